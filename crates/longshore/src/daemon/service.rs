//! The running daemon: listeners, engine, signals.

use std::sync::Arc;

use anyhow::{Context, Result};
use engine::Engine;
use sd_notify::NotifyState;
use server::{Listener, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::idle;
use super::log::Log;
use super::settings::Settings;
use super::wiring;
use crate::release;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(arguments: &[String], settings: &Settings, log: &Log) -> Result<()> {
    let mut signals = Signals::new()?;
    let security = wiring::security(settings)?;
    // Bound before the engine opens: clients that come early wait in the queue.
    let listeners = listeners(settings, &security)?;
    let config = wiring::engine(settings)?;
    // The launcher and shims carry the exec root on their command line: `ps` tells whose they are.
    let launcher = vec![super::LAUNCHER.to_owned(), config.exec_root.display().to_string()];
    let engine = Engine::open(config, launcher).await?;
    let server =
        Server::new(engine.clone(), release::DOCKER_RELEASE, wiring::policy(settings)?, wiring::cors(settings)?)?;
    let server = Arc::new(server);
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(server::serve(listener, server.clone(), security.clone())))
        .collect();
    notify(NotifyState::Ready);
    tracing::info!(hosts = ?settings.list("hosts"), "ready");
    let mut settings = settings.clone();
    tokio::select! {
        () = signals.until_end(|| settings = reload(arguments, &settings, log, &engine)) => {}
        () = idle::give_back(&server) => {}
    }
    tracing::info!("ending");
    notify(NotifyState::Stopping);
    for task in accepting {
        task.abort();
        // Aborted: its listener is dropped, and the socket's file with it.
        drop(task.await);
    }
    if !engine.changeable().live_restore {
        engine.stop_all().await;
    }
    engine.close().await;
    Ok(())
}

fn listeners(settings: &Settings, security: &server::Security) -> Result<Vec<Listener>> {
    let mut inherited = sys::activation::take_sockets().context("socket activation")?;
    let group = settings.given("group").and_then(serde_json::Value::as_str);
    let mut listeners = Vec::new();
    for address in wiring::addresses(settings)? {
        listeners.extend(server::listen(&address, group, security, &mut inherited)?);
    }
    Ok(listeners)
}

/// Tells systemd, if it asked to be told.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// SIGHUP: the settings are read again, and what can change while running is changed; all of it or, after a mistake,
/// nothing. The settings from now on.
fn reload(arguments: &[String], current: &Settings, log: &Log, engine: &Engine) -> Settings {
    let changed = Settings::read(arguments).and_then(|read| {
        let settings = current.changed_by(read);
        let changeable = wiring::changeable(&settings)?;
        log.reload(&settings)?;
        Ok((settings, changeable))
    });
    match changed {
        Ok((settings, changeable)) => {
            engine.reload(changeable);
            tracing::info!("configuration reloaded");
            settings
        }
        Err(error) => {
            tracing::error!("the configuration was not reloaded: {error:#}");
            current.clone()
        }
    }
}

/// The signals that mean something to the daemon.
struct Signals {
    end: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn until_end(&mut self, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.end.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.reload.recv() => reload(),
            }
        }
    }
}
