//! Every row of the database, read as the engine would read it.

use std::collections::BTreeMap;

use model::{ChainId, ContainerId, DiffId, ImageId, Reference};
use serde::de::{DeserializeOwned, IgnoredAny};
use store::RawRow;

use super::{Checked, Problem, short};
use crate::container::record::Record;
use crate::volumes::Document;

/// What the whole rows say.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Layers of each image, lowest first.
    pub(super) images: BTreeMap<ImageId, Vec<ChainId>>,
    /// A name of each image that has one.
    names: BTreeMap<ImageId, String>,
    /// Names of containers by their ids.
    pub(super) containers: BTreeMap<String, String>,
    /// Ids of containers that have rows, damaged ones too: their files are not nobody's.
    pub(super) known_containers: Vec<String>,
    /// Names of volumes, those with damaged rows too.
    pub(super) volumes: Vec<String>,
    /// Layers that have rows.
    pub(super) layers: Vec<ChainId>,
    /// Whether a row of an image is damaged, so that nobody knows which layers belong to it.
    pub(super) lost_images: bool,
    /// Damaged rows.
    pub(super) problems: Vec<Problem>,
}

impl Rows {
    /// Reads all rows.
    pub(super) fn read(database: &store::Inspection) -> Self {
        let mut rows = Self::default();
        for damage in &database.damages {
            let repair = "stop the daemon and run `longshore store check --repair`; if that does not help, put back a copy of longshore.db";
            rows.problems.push(Problem::new("database", damage, repair));
        }
        rows.tags(database);
        rows.images(database);
        rows.containers(database);
        rows.volumes(database);
        rows.layers(database);
        for row in database.rows("manifests") {
            let read = document::<IgnoredAny>(row).map(drop);
            rows.note("manifests", row, read, "the image's next push makes another manifest");
        }
        for row in database.rows("blobs") {
            let read = row.key.parse::<DiffId>().map(drop).map_err(|error| error.to_string());
            rows.note("blobs", row, read, "a layer may be sent once more than needed");
        }
        for row in database.rows("events") {
            let read = document::<api::event::Event>(row).map(drop);
            rows.note("events", row, read, "the event is forgotten");
        }
        rows
    }

    /// How much there is.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn checked(&self, database: &store::Inspection, disk: &storage::Inspection) -> crate::Result<Checked> {
        let blobs = disk.blobs()?;
        Ok(Checked {
            rows: database.tables.values().map(Vec::len).sum(),
            images: database.rows("images").len(),
            layers: disk.layers().count(),
            layer_bytes: disk.layers().map(|layer| layer.tar_bytes).sum(),
            blobs: blobs.len(),
            blob_bytes: blobs.iter().map(|blob| blob.size_bytes).sum(),
            containers: database.rows("containers").len(),
            volumes: database.rows("volumes").len(),
        })
    }

    /// An image in a reader's words.
    pub(super) fn name_of(&self, id: &ImageId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| short(id))
    }

    fn tags(&mut self, database: &store::Inspection) {
        for row in database.rows("tags") {
            let image = row.text("image").parse::<ImageId>().map_err(|error| error.to_string());
            let name = Reference::loose(&row.key).map_err(|error| error.to_string());
            let read = image.and_then(|image| Ok((image, name?)));
            if let Some((image, name)) = self.note("tags", row, read, "the name is lost: docker tag gives it again") {
                self.names.entry(image).or_insert_with(|| name.familiar());
            }
        }
    }

    fn images(&mut self, database: &store::Inspection) {
        for row in database.rows("images") {
            let read = image::layers_of_row(row).map_err(|error| error.to_string());
            let read = read.and_then(|layers| Ok((row.key.parse().map_err(|_| "no image's id".to_owned())?, layers)));
            match self.note("images", row, read, "the image is lost: pull, load or build it again") {
                Some((id, layers)) => drop(self.images.insert(id, layers)),
                None => self.lost_images = true,
            }
        }
    }

    fn containers(&mut self, database: &store::Inspection) {
        for row in database.rows("containers") {
            self.known_containers.push(row.key.clone());
            let read = document::<Record>(row).and_then(|record| match row.key.parse::<ContainerId>() {
                Ok(id) if id == record.id => Ok(()),
                _ => Err(format!("it is the record of container {}", record.id)),
            });
            let lost =
                "the container and what it wrote are lost; copy what you need from its folder beneath containers first";
            if self.note("containers", row, read, lost).is_some() {
                self.containers.insert(row.key.clone(), row.text("name"));
            }
        }
    }

    fn volumes(&mut self, database: &store::Inspection) {
        for row in database.rows("volumes") {
            self.volumes.push(row.key.clone());
            self.note(
                "volumes",
                row,
                document::<Document>(row),
                "its labels are lost, its files stay: the next start takes it in",
            );
        }
    }

    fn layers(&mut self, database: &store::Inspection) {
        for row in database.rows("layers") {
            let lost = "the next start makes it again";
            if let Some(chain) = self.note("layers", row, layer(row), lost) {
                self.layers.push(chain);
            }
        }
    }

    /// Notes a damaged row; gives what a whole one holds.
    fn note<T>(&mut self, table: &'static str, row: &RawRow, read: Result<T, String>, after: &str) -> Option<T> {
        let reason = match read {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        let subject = format!("row {} of table {table}", row.key);
        let repair =
            format!("stop the daemon and run `longshore store check --repair`, which removes the row; {after}");
        let problem = Problem::new(subject, format!("the row is damaged: {reason}"), repair);
        self.problems.push(Problem { row: Some((table, row.key.clone())), ..problem });
        None
    }
}

fn document<D: DeserializeOwned>(row: &RawRow) -> Result<D, String> {
    serde_json::from_slice(row.bytes("document")).map_err(|error| error.to_string())
}

fn layer(row: &RawRow) -> Result<ChainId, String> {
    let chain: ChainId = row.key.parse().map_err(|_| "its key is no chain id".to_owned())?;
    let diff: DiffId = row.text("diff").parse().map_err(|_| "its digest is none".to_owned())?;
    let parent = match row.text("parent").as_str() {
        "" => None,
        parent => Some(parent.parse::<ChainId>().map_err(|_| "its parent is no chain id".to_owned())?),
    };
    match storage::chain_id(parent.as_ref(), &diff) == chain {
        true => Ok(chain),
        false => Err("parent and digest give another chain id".to_owned()),
    }
}
