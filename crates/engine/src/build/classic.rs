//! `POST /build`: the context comes with the request, progress goes back in its answer.

use std::sync::{Arc, Mutex, PoisonError};

use build::{Build, Built, Classic, Context, Dialect, InOrder, Message, NoSession, Options, Site};
use model::Reference;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::console::Console;
use super::executor::EngineExecutor;
use super::remote::RemoteContext;
use crate::Result;
use crate::engine::Engine;
use crate::images::new_name;
use crate::options::BuildOptions;
use crate::stream::{ByteStream, TextWriter, Upload, text};

impl Engine {
    /// See [`Engine::build`].
    pub(crate) async fn build_image(self: &Arc<Self>, options: BuildOptions, mut body: Upload) -> Result<ByteStream> {
        let cancelled = CancellationToken::new();
        let client_leaves = cancelled.clone().drop_guard();
        let asked =
            Asked { engine: Arc::clone(self), names: names(&options)?, options, handle: Handle::current(), cancelled };
        let in_memory = asked.may_be_cached() && body.ends_within(Context::SMALL_BYTES).await;
        let context = in_memory.then(|| Context::in_memory(body.arrived(), &self.build_folders.temporary)).flatten();
        let build = if let Some(context) = context {
            let is_named = !asked.names.is_empty();
            let recall = move || asked.read(context).map(ClassicBuild::recall);
            // Most of these are wholly cached, and over before another thread would have woken up. A name is written to the disk.
            match if is_named { self.at_once(recall).await? } else { recall() }? {
                Ok(text) => return Ok(text.into()),
                Err(build) => build,
            }
        } else {
            self.blocking(move || {
                let context = asked.context(body)?;
                asked.read(context)
            })
            .await?
        };
        let (client, stream) = text(client_leaves.disarm());
        tokio::task::spawn_blocking(move || build.run(client));
        // A build whose steps are all cached is over in a moment: its head and its text go out together.
        stream.settled().await;
        Ok(stream.into())
    }
}

/// A build as its client asked for it.
struct Asked {
    engine: Arc<Engine>,
    names: Vec<Reference>,
    options: BuildOptions,
    handle: Handle,
    cancelled: CancellationToken,
}

impl Asked {
    fn may_be_cached(&self) -> bool {
        self.options.remote.is_empty() && !self.options.no_cache
    }

    /// Fetches or unpacks the context.
    fn context(&self, body: Upload) -> Result<Context> {
        let temporary = &self.engine.build_folders.temporary;
        Ok(match self.options.remote.as_str() {
            // The first builder took a Dockerfile alone as well.
            "" if self.options.dialect == Dialect::Of2013 => Context::of_body(body, "Dockerfile", temporary)?,
            "" => Context::unpack(body, temporary)?,
            remote => {
                let remote = RemoteContext { address: remote.to_owned(), keep_git_dir: false };
                self.engine.remote_context(&remote, &NoSession, &self.handle, &self.cancelled)?
            }
        })
    }

    /// Reads the Dockerfile.
    fn read(self, context: Context) -> Result<Box<ClassicBuild>> {
        let asked = &self.options;
        let options = Options {
            dialect: asked.dialect,
            dockerfile: asked.dockerfile.clone(),
            names: self.names.clone(),
            no_cache: asked.no_cache,
            cache_from: asked.cache_from.clone(),
            pull: asked.pull,
            squash: asked.squash,
            remove: asked.remove || asked.force_remove,
            force_remove: asked.force_remove,
            arguments: asked.arguments.clone(),
            labels: asked.labels.clone(),
            target: asked.target.clone(),
            platform: asked.platform.clone(),
            engine_version: self.engine.config.version.clone(),
            ..Options::default()
        };
        let build = Build::read(Box::new(context), options)?;
        Ok(Box::new(ClassicBuild { asked: self, build }))
    }
}

/// A build that can begin.
struct ClassicBuild {
    asked: Asked,
    build: Build,
}

impl ClassicBuild {
    /// What the client of a build is told that needs nothing but memory; any other comes back.
    fn recall(self: Box<Self>) -> std::result::Result<Vec<u8>, Box<Self>> {
        let text = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&text);
        let write = move |lines: &[u8]| {
            told.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(lines);
            true
        };
        if !self.carry_out(write, |build, site| build.recall(site)) {
            return Err(self);
        }
        self.asked.engine.end_build(self.build);
        Ok(std::mem::take(&mut *text.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Runs the build and tells its client how it goes.
    fn run(self: Box<Self>, client: TextWriter) {
        self.carry_out(move |lines: &[u8]| client.write(lines), |build, site| build.run(site).map(Some));
        // The client was told already: it need not wait for its context to be removed.
        self.asked.engine.end_build(self.build);
    }

    /// Tells how it goes; the last message is the image or the error. False if nothing is to be told of this build yet.
    fn carry_out<W>(&self, write: W, carry_out: impl FnOnce(&Build, Site<'_>) -> build::Result<Option<Built>>) -> bool
    where
        W: Fn(&[u8]) -> bool + Send + Sync,
    {
        let Asked { engine, options, handle, cancelled, .. } = &self.asked;
        let console = Arc::new(Console::new(write, options.quiet));
        let told = Arc::clone(&console);
        let text = Classic::new(options.dialect, options.quiet_commands, move |message| told.say(&message));
        let progress = InOrder::new(text);
        let (host, keys) = (options.host.clone(), Arc::new(options.credentials.clone()));
        // Of its own, that a part which fails may cancel.
        let (handle, cancelled) = (handle.clone(), cancelled.child_token());
        let executor = EngineExecutor { engine: Arc::clone(engine), handle, host, keys, cancelled };
        let built = match carry_out(&self.build, engine.site(&executor, &progress, &NoSession)) {
            Ok(Some(built)) => built,
            Ok(None) => return false,
            Err(build::Error::Cancelled) => {
                tracing::debug!("a client left its build");
                return true;
            }
            Err(error) => {
                console.fail(&error);
                return true;
            }
        };
        engine.image_events(&built.happenings);
        if options.quiet {
            console.send(&Message::Text(format!("{}\n", built.image.id)));
        }
        true
    }
}

/// The names for the image; by the rules of 2014 the first alone counts, and one that cannot be a name is no name.
fn names(options: &BuildOptions) -> Result<Vec<Reference>> {
    let mut names: Vec<Reference> = Vec::new();
    let old = options.dialect != Dialect::Current;
    let counted = if old { 1 } else { usize::MAX };
    for text in options.names.iter().take(counted).filter(|text| !text.is_empty()) {
        // A tag that is empty was none.
        let bare = text.strip_suffix(':').filter(|_| old).unwrap_or(text);
        match new_name(bare, "", old) {
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(error) if old => tracing::debug!(%error, text, "a build's image gets no name"),
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}
