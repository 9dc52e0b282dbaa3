//! Lists of images.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::{ImageId, Pattern, Reference, Timestamp};

use crate::{Image, Images, Result, Snapshot};

/// Which images a list shall have.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Images that are only steps on the way to others as well.
    pub all: bool,
    /// `Some(true)`: only images without a tag; `Some(false)`: only images with a name.
    pub dangling: Option<bool>,
    /// `key` or `key=value`; an image must have all.
    pub labels: Vec<String>,
    /// `key` or `key=value`; an image must have none.
    pub without_labels: Vec<String>,
    /// Shell patterns of familiar names, with or without tag; one must match, and only names that match are listed.
    pub references: Vec<String>,
    /// Only images made before each of these images.
    pub before: Vec<String>,
    /// Only images made after each of these images.
    pub since: Vec<String>,
    /// Only images made before this time.
    pub until: Option<Timestamp>,
    /// Compute what images share.
    pub shared_size: bool,
}

/// An image in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The image.
    pub image: Arc<Image>,
    /// Familiar `name:tag`s.
    pub tags: Vec<String>,
    /// Familiar `name@digest`s.
    pub digests: Vec<String>,
    /// Bytes of layers it shares with other images, if asked for.
    pub shared_size_bytes: Option<u64>,
}

impl Summary {
    /// The image it was made from.
    pub fn parent(&self) -> Option<ImageId> {
        self.image.parent()
    }

    /// Labels of its containers.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        self.image.labels()
    }
}

impl Images {
    /// As [`Snapshot::list`], now.
    ///
    /// # Errors
    /// As [`Snapshot::list`].
    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>> {
        self.snapshot().list(filter)
    }
}

impl Snapshot {
    /// The images that pass a filter, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if `before` or `since` names no image.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>> {
        let mut before = filter.until;
        for name in &filter.before {
            let created = self.resolve(name)?.created();
            before = Some(before.map_or(created, |earliest| earliest.min(created)));
        }
        let mut since = None;
        for name in &filter.since {
            since = since.max(Some(self.resolve(name)?.created()));
        }
        let mut list: Vec<Summary> = self
            .images()
            .filter(|image| before.is_none_or(|before| image.created() < before))
            .filter(|image| since.is_none_or(|since| image.created() > since))
            .filter(|image| filter.labels.iter().all(|label| has_label(image, label)))
            .filter(|image| !filter.without_labels.iter().any(|label| has_label(image, label)))
            .filter_map(|image| self.summary(image, filter))
            .collect();
        list.sort_by_key(|one| Reverse((one.image.created(), one.image.id)));
        Ok(list)
    }

    fn summary(&self, image: &Arc<Image>, filter: &Filter) -> Option<Summary> {
        let (digests, tags): (Vec<&Reference>, Vec<&Reference>) = self
            .references(&image.id)
            .filter(|name| filter.references.is_empty() || filter.references.iter().any(|p| name_matches(p, name)))
            .partition(|name| name.digest().is_some());
        if tags.is_empty() && digests.is_empty() {
            let leaf = self.children(&image.id).next().is_none();
            let wanted = filter.dangling != Some(false) && filter.references.is_empty();
            // Asked for dangling ones, Docker looks at leaves only, even with `all`.
            let shown = if filter.dangling == Some(true) { leaf } else { filter.all || leaf };
            if !wanted || !shown {
                return None;
            }
        } else if filter.dangling == Some(true) && !tags.is_empty() {
            return None;
        }
        let familiar = |names: Vec<&Reference>| names.into_iter().map(Reference::familiar).collect();
        Some(Summary {
            image: Arc::clone(image),
            tags: familiar(tags),
            digests: familiar(digests),
            shared_size_bytes: filter.shared_size.then(|| self.shared_size(image)),
        })
    }
}

fn has_label(image: &Image, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => image.labels().get(key).is_some_and(|found| found == value),
        None => image.labels().contains_key(wanted),
    }
}

/// A malformed pattern matches nothing.
fn name_matches(pattern: &str, name: &Reference) -> bool {
    Pattern::new(pattern, false)
        .is_ok_and(|pattern| [name.familiar(), name.familiar_name()].iter().any(|text| pattern.matches(text)))
}
