//! What happened to images, for the engine to make events of.

use std::collections::BTreeMap;

use model::ImageId;

use crate::Image;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A name was given.
    Tag,
    /// A name was taken away.
    Untag,
    /// The image is gone.
    Delete,
    /// Made from a tar stream.
    Import,
    /// Came from an archive.
    Load,
    /// Written to an archive.
    Save,
}

impl Action {
    /// The word in Docker's events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Delete => "delete",
            Self::Import => "import",
            Self::Load => "load",
            Self::Save => "save",
        }
    }
}

/// One thing that happened to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What was done.
    pub action: Action,
    /// The image.
    pub image: ImageId,
    /// The event's `name` attribute: the name that was given, otherwise the image's id.
    pub name: String,
    /// The image's labels, which Docker's events carry as attributes too.
    pub labels: BTreeMap<String, String>,
}

impl Happening {
    pub(crate) fn new(action: Action, image: &Image) -> Self {
        Self::named(action, image, image.id.to_string())
    }

    pub(crate) fn named(action: Action, image: &Image, name: String) -> Self {
        Self { action, image: image.id, name, labels: image.labels().clone() }
    }
}
