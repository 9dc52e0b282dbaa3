//! A tar stream becomes an image.

use std::io::Read;

use model::{Reference, Timestamp, native_architecture};

use crate::{Action, Config, Error, Happening, History, Image, Images, NewImage, Result, RunConfig};

/// What an imported image shall be.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Its name, if it shall have one.
    pub name: Option<Reference>,
    /// Message of its only step: `Imported from -`.
    pub message: String,
    /// Its configuration, if it shall have one.
    pub config: Option<RunConfig>,
    /// `amd64`, `arm64`; empty means this machine's.
    pub architecture: String,
    /// `v7` or empty.
    pub variant: String,
    /// Version of the engine, kept in the config.
    pub engine_version: String,
}

/// The JSON of a config that is being made here.
pub(crate) fn to_bytes(config: &Config) -> Result<Vec<u8>> {
    serde_json::to_vec(config).map_err(|source| Error::Document { member: "config".to_owned(), source })
}

impl Images {
    /// Makes an image with one layer from a tar stream in any compression.
    ///
    /// # Errors
    /// The tar is malformed; nothing is left behind then.
    pub fn import(&self, tar: impl Read, import: &Import) -> Result<(std::sync::Arc<Image>, Vec<Happening>)> {
        let lease = self.lease();
        let layer = lease.import(tar, None)?;
        let created = Some(Timestamp::now());
        let architecture = match import.architecture.as_str() {
            "" => native_architecture(),
            named => named,
        };
        let config = Config {
            comment: import.message.clone(),
            created,
            config: import.config.clone(),
            docker_version: import.engine_version.clone(),
            architecture: architecture.to_owned(),
            variant: import.variant.clone(),
            os: "linux".to_owned(),
            rootfs: crate::RootFs { diff_ids: vec![layer.diff_id], ..Default::default() },
            history: vec![History { created, comment: import.message.clone(), ..Default::default() }],
            ..Default::default()
        };
        let names = import.name.iter().cloned().collect();
        let image = self.register(&lease, NewImage { config: to_bytes(&config)?, names, ..NewImage::default() })?;
        let mut happenings = vec![Happening::new(Action::Import, &image)];
        happenings.extend(
            import
                .name
                .iter()
                .map(|name| Happening::named(Action::Tag, &image, name.clone().with_default_tag().familiar())),
        );
        Ok((image, happenings))
    }
}
