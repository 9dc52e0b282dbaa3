//! `POST /build`: the context comes with the request, progress goes back in its answer.

use std::sync::Arc;

use build::{Build, Classic, Context, Dialect, InOrder, Message, NoSession, Options};
use model::Reference;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::console::Console;
use super::executor::EngineExecutor;
use super::remote::RemoteContext;
use crate::engine::Engine;
use crate::images::new_name;
use crate::options::BuildOptions;
use crate::stream::{ByteStream, TextWriter, Upload, text};
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::build`].
    pub(crate) async fn build_image(self: &Arc<Self>, options: BuildOptions, body: Upload) -> Result<ByteStream> {
        let names = names(&options)?;
        let cancelled = CancellationToken::new();
        let (client, stream) = text(cancelled.clone());
        let (begun, begins) = oneshot::channel();
        let (engine, handle) = (Arc::clone(self), Handle::current());
        tokio::task::spawn_blocking(move || {
            let prepared = engine.prepare_build(&options, names, body, &handle, &cancelled);
            let build = match prepared {
                Ok(build) => build,
                Err(error) => {
                    if begun.send(Err(error)).is_err() {
                        tracing::debug!("a client left before its build began");
                    }
                    return;
                }
            };
            if begun.send(Ok(())).is_ok() {
                engine.classic_build(&build, &options, handle, client, cancelled);
            }
            // The client was told already: it need not wait for its context to be removed.
            engine.end_build(build);
        });
        // A build whose steps are all cached is over in a moment: its head and its text go out together.
        stream.settled().await;
        begins.await.map_err(|error| Error::system("the build broke down").caused_by(error))??;
        Ok(stream.into())
    }

    /// Fetches or unpacks the context and reads the Dockerfile.
    fn prepare_build(
        self: &Arc<Self>,
        options: &BuildOptions,
        names: Vec<Reference>,
        body: Upload,
        handle: &Handle,
        cancelled: &CancellationToken,
    ) -> Result<Build> {
        let context = match options.remote.as_str() {
            // The first builder took a Dockerfile alone as well.
            "" if options.dialect == Dialect::Of2013 => {
                Context::of_body(body, "Dockerfile", &self.build_folders.temporary)?
            }
            "" => Context::unpack(body, &self.build_folders.temporary)?,
            remote => {
                let remote = RemoteContext { address: remote.to_owned(), keep_git_dir: false };
                self.remote_context(&remote, &NoSession, handle, cancelled)?
            }
        };
        let options = Options {
            dialect: options.dialect,
            dockerfile: options.dockerfile.clone(),
            names,
            no_cache: options.no_cache,
            cache_from: options.cache_from.clone(),
            pull: options.pull,
            squash: options.squash,
            remove: options.remove || options.force_remove,
            force_remove: options.force_remove,
            arguments: options.arguments.clone(),
            labels: options.labels.clone(),
            target: options.target.clone(),
            platform: options.platform.clone(),
            engine_version: self.config.version.clone(),
            ..Options::default()
        };
        Ok(Build::read(Box::new(context), options)?)
    }

    /// Runs a build and tells its client how it goes; the last message is the image or the error.
    fn classic_build(
        self: &Arc<Self>,
        build: &Build,
        options: &BuildOptions,
        handle: Handle,
        client: TextWriter,
        cancelled: CancellationToken,
    ) {
        let console = Arc::new(Console::new(client, options.quiet));
        let told = Arc::clone(&console);
        let text = Classic::new(options.dialect, options.quiet_commands, move |message| told.say(&message));
        let progress = InOrder::new(text);
        let (host, keys) = (options.host.clone(), Arc::new(options.credentials.clone()));
        let executor = EngineExecutor { engine: Arc::clone(self), handle, host, keys, cancelled };
        match self.carry_out(build, &executor, &progress, &NoSession) {
            Ok(built) if options.quiet => console.send(&Message::Text(format!("{}\n", built.image.id))),
            Ok(_) => {}
            Err(build::Error::Cancelled) => tracing::debug!("a client left its build"),
            Err(error) => console.fail(&error),
        }
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
