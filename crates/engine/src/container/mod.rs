//! Containers: their records, their life, and what can be asked of them.

mod archive;
pub(crate) mod attach;
mod changes;
mod commit;
mod cpuset;
mod create;
mod end;
pub(crate) mod env;
mod etc;
pub(crate) mod health;
mod inspect;
pub(crate) mod life;
pub(crate) mod links;
pub(crate) mod list;
mod logs;
mod merge;
pub(crate) mod mounts;
pub(crate) mod ports;
mod prepare;
mod probe;
mod prune;
pub(crate) mod record;
mod remove;
mod rename;
mod resources;
pub(crate) mod security;
mod start;
mod stats;
mod stop;
mod top;
mod update;
pub(crate) mod user;
mod validate;
mod view;
pub(crate) mod wait;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::ContainerId;
use tokio::sync::{mpsc, oneshot, watch};

use self::life::Actor;
use self::record::Record;
use self::wait::Life;
use crate::{Error, Result};

pub(crate) use self::prepare::start_error_text;
pub(crate) use self::prune::until;
pub(crate) use self::start::timestamp;

/// Steps that may wait for a container's actor; a caller beyond that waits for its turn.
const MAILBOX: usize = 64;

/// A future that may borrow the actor.
pub(crate) type Stepping<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A short piece of work that a container's actor carries out, alone with its state.
pub(crate) type Step = Box<dyn for<'a> FnOnce(&'a mut Actor) -> Stepping<'a, ()> + Send>;

/// A container as everybody but its actor sees it: what it is, and where to ask for more.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    record: ArcSwap<Record>,
    life: watch::Sender<Life>,
    mailbox: mpsc::Sender<Step>,
    /// Clients that were promised an attach and are not there yet.
    promised: watch::Sender<usize>,
}

impl Container {
    /// A container with its mailbox, whose receiving end is the actor's.
    pub(crate) fn new(record: Record) -> (Arc<Self>, mpsc::Receiver<Step>) {
        let (mailbox, steps) = mpsc::channel(MAILBOX);
        let up = record.state.status.is_up();
        let (life, _) = watch::channel(Life {
            up,
            exit_code: record.state.exit_code,
            signalled: record.state.signalled,
            ..Life::default()
        });
        let promised = watch::channel(0).0;
        let container = Self { id: record.id, record: ArcSwap::from_pointee(record), life, mailbox, promised };
        (Arc::new(container), steps)
    }

    /// The record as it is now.
    pub(crate) fn record(&self) -> Arc<Record> {
        self.record.load_full()
    }

    /// Shows readers a new record. Only the actor does that.
    pub(crate) fn publish(&self, record: Record) {
        self.record.store(Arc::new(record));
    }

    /// What waiters watch.
    pub(crate) fn life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Tells waiters. Only the actor does that.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Life)) {
        self.life.send_modify(change);
    }

    /// Has the actor carry out a step, and waits for the outcome. The step is finished even if the caller goes away.
    pub(crate) async fn step<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Actor) -> Stepping<'a, Result<T>> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let step: Step = Box::new(move |actor| {
            Box::pin(async move {
                let result = work(actor).await;
                if reply.send(result).is_err() {
                    tracing::debug!("a caller left before its step was done");
                }
            })
        });
        self.mailbox.send(step).await.map_err(|_| self.gone())?;
        outcome.await.map_err(|_| self.gone())?
    }

    /// The answer of a container that was removed meanwhile.
    pub(crate) fn gone(&self) -> Error {
        no_such_container(&self.id.to_string())
    }
}

/// Docker's answer for a name that leads to no container.
pub(crate) fn no_such_container(name: &str) -> Error {
    Error::not_found(format!("No such container: {name}"))
}
