//! What happens, told to whoever listens, and remembered for a while.
//!
//! Events lie in a ring in memory and, written behind, in the database's journal. A listener has a place in the ring and
//! takes what is new; one that is slower than the ring is long loses the oldest, and nobody waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use api::StringMap;
use api::event::{Actor, Event};
use model::Timestamp;
use store::Store;
use tokio::sync::watch;

use crate::container::record::Record;
use crate::engine::Engine;
use crate::options::{EventsOptions, Filters};
use crate::{Error, Result};

/// Events in memory.
const RING: usize = 4096;
/// Events that may wait for the database; beyond that they are only in memory.
const BEHIND: usize = 8192;
/// Events written in one transaction.
const BATCH: usize = 256;
/// Filters that the call knows.
const FILTERS: [&str; 15] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
    "builder",
];

/// The ring, and the way to the database.
#[derive(Debug)]
pub(crate) struct Journal {
    ring: Mutex<Ring>,
    /// Number of the next event.
    news: watch::Sender<u64>,
    behind: mpsc::SyncSender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the first one in the ring.
    first: u64,
}

impl Journal {
    /// An empty ring before a journal.
    pub(crate) fn open(store: &Arc<Store>) -> Result<Self> {
        let (behind, waiting) = mpsc::sync_channel(BEHIND);
        let store = Arc::clone(store);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_behind(&store, &waiting))
            .map_err(|error| Error::system("cannot start the journal's thread").caused_by(error))?;
        Ok(Self { ring: Mutex::default(), news: watch::channel(0).0, behind })
    }

    /// Adds an event.
    pub(crate) fn append(&self, event: Event) {
        let event = Arc::new(event);
        if self.behind.try_send(Arc::clone(&event)).is_err() {
            tracing::warn!("the journal is behind; an event is kept in memory only");
        }
        let mut ring = self.lock();
        ring.events.push_back(event);
        if ring.events.len() > RING {
            ring.events.pop_front();
            ring.first += 1;
        }
        let next = ring.first + ring.events.len() as u64;
        drop(ring);
        self.news.send_replace(next);
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.news.receiver_count()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_behind(store: &Store, waiting: &mpsc::Receiver<Arc<Event>>) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
        let written = store.write(|tx| {
            for event in &batch {
                tx.append_event(nanoseconds(event.time_nano), &**event)?;
            }
            Ok::<(), store::Error>(())
        });
        if let Err(error) = written {
            tracing::error!(%error, "cannot write events into the journal");
        }
    }
}

fn nanoseconds(ns: i64) -> Timestamp {
    crate::container::timestamp(ns)
}

/// Events as they come, replayed ones first.
#[derive(Debug)]
pub struct Events {
    engine: Arc<Engine>,
    news: watch::Receiver<u64>,
    /// Number of the next event to look at.
    next: u64,
    ready: VecDeque<Arc<Event>>,
    options: EventsOptions,
}

impl Events {
    /// The next event; `None` at the end (`until` has passed, or the engine closes).
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event.as_ref().clone());
            }
            self.take();
            if self.ready.is_empty() {
                self.more().await?;
            }
        }
    }

    /// Takes what is new and wanted out of the ring.
    fn take(&mut self) {
        let ring = self.engine.events.lock();
        let skip = self.next.saturating_sub(ring.first);
        self.next = self.next.max(ring.first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        for event in ring.events.iter().skip(skip) {
            self.next += 1;
            if self.wants(event) {
                self.ready.push_back(Arc::clone(event));
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let time = nanoseconds(event.time_nano);
        self.options.since.is_none_or(|since| time >= since)
            && self.options.until.is_none_or(|until| time <= until)
            && matches(&self.options.filters, event)
    }

    /// Waits for news; `None` when none can come any more.
    async fn more(&mut self) -> Option<()> {
        let left = self.options.until.map(|until| until.since(Timestamp::now()));
        let closing = self.engine.closing.clone();
        let over = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let next = self.next;
        tokio::select! {
            biased;
            news = self.news.wait_for(|latest| *latest > next) => news.ok().map(drop),
            () = over => None,
            () = closing.cancelled() => None,
        }
    }
}

/// Docker's event filters.
fn matches(filters: &Filters, event: &Event) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map_or("", String::as_str);
    let of_type = |kind: &str| {
        filters.any(kind, |wanted| {
            event.r#type == kind
                && (event.actor.id.starts_with(wanted) || attribute("name") == wanted.trim_start_matches('/'))
        })
    };
    let action = |wanted: &str| event.action == wanted || event.action.starts_with(&format!("{wanted}:"));
    let image = |wanted: &str| {
        let name = attribute(if event.r#type == "image" { "name" } else { "image" });
        event.actor.id == wanted || name == wanted || name.split(':').next() == Some(wanted)
    };
    filters.any("type", |wanted| event.r#type == wanted)
        && filters.any("event", action)
        && filters.any("scope", |wanted| event.scope == wanted)
        && filters.any("image", |wanted| matches!(event.r#type.as_str(), "image" | "container") && image(wanted))
        && ["container", "network", "volume", "daemon", "plugin", "service", "node", "secret", "config", "builder"]
            .iter()
            .all(|kind| of_type(kind))
        && filters.labels(Some(&event.actor.attributes))
}

impl Engine {
    pub(crate) fn listen(self: &Arc<Self>, options: EventsOptions) -> Result<Events> {
        options.filters.only(&FILTERS)?;
        if let (Some(since), Some(until)) = (options.since, options.until)
            && until < since
        {
            return Err(Error::invalid("`since` time cannot be after `until` time"));
        }
        let ring = self.events.lock();
        let next = if options.since.is_some() || options.until.is_some() {
            ring.first
        } else {
            ring.first + ring.events.len() as u64
        };
        let oldest = ring.events.front().map(|event| nanoseconds(event.time_nano));
        drop(ring);
        let news = self.events.news.subscribe();
        let mut events = Events { engine: Arc::clone(self), news, next, ready: VecDeque::new(), options };
        if events.options.since.is_some() {
            events.replay(oldest.unwrap_or_else(Timestamp::now))?;
        }
        Ok(events)
    }

    /// Tells the world what happened to something.
    pub(crate) fn tell<'a>(
        &self,
        kind: &str,
        action: &str,
        id: &str,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.append(kind, action, id, "", attributes);
    }

    /// Tells the world what happened to a container.
    pub(crate) fn container_event(&self, record: &Record, action: &str, attributes: &[(&str, String)]) {
        let mut all: StringMap = record.config.labels.clone().unwrap_or_default();
        all.insert("image".to_owned(), record.config.image.clone());
        all.insert("name".to_owned(), record.name.clone());
        all.extend(attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.append("container", action, &record.id.hex(), &record.config.image, all);
    }

    /// Tells the world what happened to the daemon.
    pub(crate) fn daemon_event(&self, action: &str, mut attributes: StringMap) {
        attributes.insert("name".to_owned(), crate::system::host_name());
        self.append("daemon", action, &self.id, "", attributes);
    }

    /// Tells the world that a container joined or left the bridge.
    pub(crate) fn network_event(&self, record: &Record, action: &str) {
        let id = record.id.hex();
        let attributes = [("container", id.as_str()), ("name", "bridge"), ("type", "bridge")];
        self.tell("network", action, &self.networks.bridge, attributes);
    }

    fn append(&self, kind: &str, action: &str, id: &str, from: &str, attributes: StringMap) {
        let now = Timestamp::now();
        let old = matches!(kind, "container" | "image");
        self.events.append(Event {
            status: if old { action.to_owned() } else { String::new() },
            id: if old { id.to_owned() } else { String::new() },
            from: from.to_owned(),
            r#type: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor { id: id.to_owned(), attributes },
            scope: "local".to_owned(),
            time: now.unix_seconds(),
            time_nano: now.unix_nanoseconds(),
        });
    }
}

impl Events {
    /// What the journal remembers from before the ring.
    fn replay(&mut self, before: Timestamp) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        let stored = engine.store.read(|reader| reader.events::<Event>(0))?;
        for event in stored.into_iter().filter(|event| event.time < before).map(|event| event.document) {
            if self.wants(&event) {
                self.ready.push_back(Arc::new(event));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, action: &str, id: &str, name: &str) -> Event {
        let attributes = [("name".to_owned(), name.to_owned()), ("image".to_owned(), "busybox:latest".to_owned())];
        Event {
            r#type: kind.into(),
            action: action.into(),
            actor: Actor { id: id.into(), attributes: attributes.into() },
            scope: "local".into(),
            ..Event::default()
        }
    }

    fn filters(key: &str, value: &str) -> Filters {
        Filters([(key.to_owned(), vec![value.to_owned()])].into())
    }

    #[test]
    fn filters_choose() {
        let start = event("container", "start", "abc123", "web");
        for (key, value) in [
            ("type", "container"),
            ("container", "web"),
            ("container", "abc"),
            ("image", "busybox"),
            ("event", "start"),
        ] {
            assert!(matches(&filters(key, value), &start), "{key}={value}");
        }
        for (key, value) in [("type", "image"), ("container", "db"), ("volume", "web"), ("event", "sta")] {
            assert!(!matches(&filters(key, value), &start), "{key}={value}");
        }
        assert!(matches(&filters("event", "exec_create"), &event("container", "exec_create: ls", "a", "b")));
    }
}
