//! What becomes of a build's result.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use build::Built;
use engine::Engine;
use model::Reference;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::attributes::{csv, unbuilt};
use crate::grpc::{Code, Status};
use crate::message::SolveRequest;
use crate::progress::Recorder;
use crate::solve::of_engine;

/// Where a result goes.
#[derive(Debug)]
pub(crate) enum Export {
    /// It stays in the image store, under these names.
    Image { names: Vec<String> },
}

impl Export {
    /// What a request asks for; nothing if the result is only kept as cache.
    ///
    /// # Errors
    /// It is something that is not built.
    pub(crate) fn of(request: &SolveRequest) -> Result<Option<Self>, Status> {
        let (kind, attributes) = match request.exporters.as_slice() {
            [] => (&request.exporter, &request.exporter_attrs),
            [exporter] => (&exporter.kind, &exporter.attrs),
            _ => return Err(unbuilt("exporting a build to several places at once (--output twice)")),
        };
        Self::to(kind, attributes)
    }

    /// What an exporter does by its name.
    ///
    /// # Errors
    /// It is not built.
    pub(crate) fn to(kind: &str, attributes: &HashMap<String, String>) -> Result<Option<Self>, Status> {
        match kind {
            "" => Ok(None),
            "moby" | "image" => Ok(Some(Self::Image { names: names(attributes)? })),
            kind => Err(unbuilt(&format!("exporting a build as {kind} (--output type={kind})"))),
        }
    }

    /// Brings the result there; what the client is told about it.
    ///
    /// # Errors
    /// A name cannot be one.
    pub(crate) async fn carry_out(
        self,
        engine: &Arc<Engine>,
        built: Arc<Built>,
        recorder: Recorder,
    ) -> Result<BTreeMap<String, String>, Status> {
        let Self::Image { names } = self;
        let (engine, handle) = (engine.clone(), Handle::current());
        let export = move || {
            let id = built.image.id.to_string();
            recorder.work("exporting to image", |work| {
                work.part("exporting layers");
                work.part(&format!("writing image {id}"));
                for name in &names {
                    work.part(&format!("naming to {name}"));
                    handle.block_on(engine.image_tag(&id, name, "", false)).map_err(|error| of_engine(&error))?;
                }
                Ok(told(id, &names))
            })
        };
        let broken = |error: JoinError| Status::new(Code::Internal, "exporting an image broke down").caused_by(error);
        tokio::task::spawn_blocking(export).await.map_err(broken)?
    }
}

fn told(id: String, names: &[String]) -> BTreeMap<String, String> {
    let mut told = BTreeMap::from([
        ("containerimage.config.digest".to_owned(), id.clone()),
        ("containerimage.digest".to_owned(), id),
    ]);
    if !names.is_empty() {
        told.insert("image.name".to_owned(), names.join(","));
    }
    told
}

/// The names for an image, in full.
fn names(attributes: &HashMap<String, String>) -> Result<Vec<String>, Status> {
    let given = attributes.get("name").map(|names| csv(names).collect::<Vec<_>>()).unwrap_or_default();
    let full = |name: &String| match Reference::from_repository(name, "") {
        Ok(reference) => Ok(reference.to_string()),
        Err(error) => {
            Err(Status::new(Code::InvalidArgument, format!("invalid name {name:?}: {error}")).caused_by(error))
        }
    };
    given.iter().map(full).collect()
}
