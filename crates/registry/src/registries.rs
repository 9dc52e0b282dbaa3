//! The door: all registries, and what is going on with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use image::Images;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::board::{Board, Following, Transferred};
use crate::claims::Claims;
use crate::http::Clients;
use crate::pull::Pull;
use crate::session::Session;
use crate::settings::Endpoint;
use crate::{Credentials, Error, Result, Settings};

/// How long a mirror that did not answer is passed over.
const SULK: Duration = Duration::from_secs(30);

/// A pull that may be joined as long as somebody follows it.
type UnderWay = (Arc<Board>, Weak<DropGuard>);

/// What can change while something is under way, which goes on with what it began with.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) settings: Settings,
    pub(crate) downloads: Semaphore,
    pub(crate) uploads: Semaphore,
}

impl Terms {
    fn of(settings: Settings) -> Self {
        let (downloads, uploads) = (Semaphore::new(settings.downloads), Semaphore::new(settings.uploads));
        Self { settings, downloads, uploads }
    }
}

/// All registries.
#[derive(Debug)]
pub struct Registries {
    pub(crate) images: Arc<Images>,
    terms: ArcSwap<Terms>,
    pub(crate) clients: Clients,
    /// Folder for what runs ahead of unpacking; its files have no names.
    pub(crate) spool: PathBuf,
    pub(crate) claims: Claims,
    pulls: Mutex<HashMap<Pull, UnderWay>>,
    /// Mirrors that did not answer, and when.
    silent: Mutex<HashMap<String, Instant>>,
}

impl Registries {
    /// Registries for these images. `spool` is a folder on the disk of the storage; it is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made, or the settings are of no use.
    pub fn open(images: Arc<Images>, settings: Settings, spool: &Path) -> Result<Arc<Self>> {
        std::fs::create_dir_all(spool).map_err(|source| Error::File { path: spool.to_owned(), source })?;
        Ok(Arc::new(Self {
            clients: Clients::new(&settings)?,
            images,
            terms: ArcSwap::from_pointee(Terms::of(settings)),
            spool: spool.to_owned(),
            claims: Claims::default(),
            pulls: Mutex::default(),
            silent: Mutex::default(),
        }))
    }

    /// Changes mirrors, insecure registries and limits, for all that begins from now on.
    pub fn reload(&self, settings: Settings) {
        self.terms.store(Arc::new(Terms::of(settings)));
    }

    /// The settings of now.
    pub fn settings(&self) -> Settings {
        self.terms().settings.clone()
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Pulls an image. A pull of the same that is under way is joined. When nobody follows it any more, it is cancelled.
    ///
    /// Must be called within a tokio runtime.
    pub fn pull(self: &Arc<Self>, pull: Pull) -> Following {
        let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((board, interest)) = pulls.get(&pull)
            && let Some(interest) = interest.upgrade()
            && !board.has_ended()
        {
            return Following::new(Arc::clone(board), interest);
        }
        let (registries, wanted) = (Arc::clone(self), pull.clone());
        let (board, interest) = start(move |board| async move {
            let outcome = registries.run_pull(&wanted, &board).await;
            registries
                .pulls
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|_, (other, interest)| !Arc::ptr_eq(other, &board) && interest.strong_count() > 0);
            outcome
        });
        pulls.insert(pull, (Arc::clone(&board), Arc::downgrade(&interest)));
        Following::new(board, interest)
    }

    /// The addresses of a registry, to be tried one after the other.
    pub(crate) async fn addresses(&self, domain: &str, mirrors: bool, access: Access) -> Addresses<'_> {
        let endpoints = self.terms().settings.endpoints(domain, mirrors).await.into_iter();
        Addresses { registries: self, endpoints, access, current: None, failed: None }
    }

    /// The addresses of a registry for somebody it does not know, who can do without it: each gets little time.
    pub(crate) async fn strangers(&self, domain: &str) -> Addresses<'_> {
        let endpoints = self.terms().settings.endpoints(domain, true).await;
        let as_mirrors = endpoints.into_iter().map(|endpoint| Endpoint { mirror: true, legacy: false, ..endpoint });
        let endpoints = as_mirrors.collect::<Vec<_>>().into_iter();
        Addresses { registries: self, endpoints, access: Access::default(), current: None, failed: None }
    }

    fn sulks(&self, endpoint: &Endpoint) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(&endpoint.base()).is_some_and(|since| since.elapsed() < SULK)
    }
}

/// The addresses of a registry, tried one after the other until one does what is asked.
pub(crate) struct Addresses<'a> {
    registries: &'a Registries,
    endpoints: std::vec::IntoIter<Endpoint>,
    access: Access,
    current: Option<Endpoint>,
    failed: Option<Error>,
}

impl Addresses<'_> {
    /// The next address that answers.
    ///
    /// # Errors
    /// There is none any more: why the last failed.
    pub(crate) async fn next(&mut self) -> Result<Session> {
        while let Some(endpoint) = self.endpoints.next() {
            if endpoint.mirror && self.registries.sulks(&endpoint) {
                continue;
            }
            let access = &self.access;
            let session = Session::open(&self.registries.clients, &endpoint, &access.credentials, &access.meta).await;
            match session {
                Ok(session) => {
                    self.current = Some(endpoint);
                    return Ok(session);
                }
                Err(error) if !endpoint.mirror && !error.is_connection() => return Err(error),
                Err(error) => self.note(&endpoint, error),
            }
        }
        Err(self.failed.take().unwrap_or_else(|| Error::Invalid("no registry answers".to_owned())))
    }

    /// What was asked of the last address failed there.
    ///
    /// # Errors
    /// The failure itself, if another address would not help.
    pub(crate) fn failed(&mut self, error: Error) -> Result<()> {
        match self.current.take() {
            Some(endpoint) if endpoint.mirror && !error.is_ours() => {
                self.note(&endpoint, error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn note(&mut self, endpoint: &Endpoint, error: Error) {
        if endpoint.mirror {
            tracing::debug!(%error, mirror = endpoint.authority, "a mirror does not help");
            if error.is_connection() {
                let mut silent = self.registries.silent.lock().unwrap_or_else(PoisonError::into_inner);
                silent.insert(endpoint.base(), Instant::now());
            }
        }
        self.failed = Some(error);
    }
}

/// On whose behalf a registry is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) credentials: Credentials,
    pub(crate) meta: HeaderMap,
}

impl Access {
    /// `meta` are the client's `X-Meta-` headers; others are not passed on.
    pub(crate) fn new(credentials: &Credentials, meta: &[(String, String)]) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in meta {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
                && name.as_str().starts_with("x-meta-")
            {
                headers.append(name, value);
            }
        }
        Self { credentials: credentials.clone(), meta: headers }
    }
}

/// Ends the board even if the operation breaks down.
struct Ending(Arc<Board>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.finish(Err(Arc::new(Error::Cancelled)));
    }
}

/// Starts an operation that ends when nobody holds the guard any more.
pub(crate) fn start<F>(work: impl FnOnce(Arc<Board>) -> F + Send + 'static) -> (Arc<Board>, Arc<DropGuard>)
where
    F: Future<Output = Result<Vec<Transferred>>> + Send + 'static,
{
    let board = Arc::<Board>::default();
    let token = CancellationToken::new();
    let interest = Arc::new(token.clone().drop_guard());
    let ending = Ending(Arc::clone(&board));
    let work = work(Arc::clone(&board));
    tokio::spawn(async move {
        let outcome = tokio::select! {
            biased;
            () = token.cancelled() => Err(Error::Cancelled),
            outcome = work => outcome,
        };
        ending.0.finish(outcome.map_err(Arc::new));
    });
    (board, interest)
}
