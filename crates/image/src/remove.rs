//! Removing names and images, by the rules of Docker's image service.

mod names_first;

use std::sync::Arc;

use model::{ChainId, ImageId, Reference};

use crate::snapshot::canonical;
use crate::{Action, Error, Happening, Image, Images, Result, Snapshot};

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The container's short id.
    pub container: String,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// What the engine knows of the use of images.
///
/// Asked while a change of images is being written: an answer comes from memory and must change neither images nor store.
pub trait Usage {
    /// Containers made from this image.
    fn containers(&self, image: &ImageId) -> Vec<Use>;
}

/// One line of the answer, in the order in which things went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name, in its familiar form.
    Untagged(String),
    /// An image.
    Deleted(ImageId),
    /// A layer that no other image and no container needed.
    DeletedLayer(ChainId),
}

/// What a removal did.
#[derive(Debug, Default)]
pub struct Removal {
    /// What went, in order.
    pub removed: Vec<Removed>,
    /// What happened, in order.
    pub happenings: Vec<Happening>,
}

/// A removal being worked out on a copy of the snapshot; written down in one transaction at its end.
struct Work<'a> {
    snapshot: &'a mut Snapshot,
    usage: &'a dyn Usage,
    done: Removal,
    names: Vec<Reference>,
    images: Vec<ImageId>,
    layers: Vec<ChainId>,
}

/// Which obstacles count.
#[derive(Clone, Copy)]
struct Obstacles {
    names: bool,
    stopped_containers: bool,
}

impl Images {
    /// Removes a name, and with its last name the image; by id the image with its names. With `prune`, parents that were
    /// left without name, child and container go too.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NameInUse`] and [`Error::InUse`] if containers, children or names stand in the way.
    /// Nothing has been removed then.
    pub fn remove(&self, name: &str, force: bool, prune: bool, usage: &dyn Usage) -> Result<Removal> {
        self.work_out(usage, |work| work.remove(name, force, prune)).map(|(removal, ())| removal)
    }

    /// Works a removal out on a copy of the snapshot and writes it down.
    fn work_out<T>(&self, usage: &dyn Usage, remove: impl FnOnce(&mut Work<'_>) -> Result<T>) -> Result<(Removal, T)> {
        let ((mut done, answer), orphans) = self.change(|snapshot, transaction| {
            let mut work = Work {
                snapshot,
                usage,
                done: Removal::default(),
                names: Vec::new(),
                images: Vec::new(),
                layers: Vec::new(),
            };
            let answer = remove(&mut work)?;
            for name in &work.names {
                transaction.remove_tag(name)?;
            }
            for id in &work.images {
                transaction.remove_image(id)?;
            }
            for chain in &work.layers {
                transaction.remove_layer(chain)?;
            }
            Ok(((work.done, answer), work.layers))
        })?;
        // Layers beneath containers' file systems stay on the disk until `sweep_layers` finds them free.
        self.leases.abandon(orphans.iter().copied());
        let gone = self.drop_abandoned()?;
        done.removed.extend(gone.into_iter().filter(|chain| orphans.contains(chain)).map(Removed::DeletedLayer));
        Ok((done, answer))
    }
}

impl Work<'_> {
    fn remove(&mut self, name: &str, force: bool, prune: bool) -> Result<()> {
        let image = self.snapshot.resolve(name)?;
        let by_name = !names_by_id(&image.id, name);
        if by_name {
            self.untag(&image, name, force)?;
            if self.snapshot.references(&image.id).next().is_some() {
                return Ok(());
            }
        } else if single_repository(&self.names_of(&image)) {
            self.check(&image, Obstacles { names: false, stopped_containers: !force })?;
            for name in self.names_of(&image) {
                self.drop_name(&image, &name);
            }
        }
        self.delete(&image, force, prune, by_name)
    }

    /// Takes the asked-for name away; refuses if that would leave an image without a name to a container.
    fn untag(&mut self, image: &Arc<Image>, name: &str, force: bool) -> Result<()> {
        let names = self.names_of(image);
        let user = self.usage.containers(&image.id).into_iter().next();
        if let Some(user) = user.filter(|_| !force && single_repository(&names)) {
            return Err(Error::NameInUse { name: name.to_owned(), container: user.container, image: image.id.short() });
        }
        self.drop_asked(image, name)
    }

    fn drop_asked(&mut self, image: &Arc<Image>, name: &str) -> Result<()> {
        let names = self.names_of(image);
        let asked = canonical(&Reference::loose(name)?);
        self.drop_name(image, &asked);
        // Digests came with the tag's pull: they go with the repository's last tag.
        let same_repository = |other: &&Reference| other.name() == asked.name();
        let tag_left = names.iter().filter(same_repository).any(|other| other.digest().is_none() && *other != asked);
        if asked.digest().is_none() && !tag_left {
            for digest in names.iter().filter(same_repository).filter(|other| other.digest().is_some()) {
                self.drop_name(image, digest);
            }
        }
        Ok(())
    }

    /// Deletes an image that has no obstacle, and then, if asked, its parents as far as they have none. `quiet`: an
    /// obstacle is no error, except that of a dangling image that no container uses.
    fn delete(&mut self, image: &Arc<Image>, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let mut next = Some((Arc::clone(image), force, quiet));
        while let Some((image, force, quiet)) = next {
            if let Err(obstacle) = self.check(&image, Obstacles { names: !force, stopped_containers: !force }) {
                let used = matches!(obstacle, Error::InUse { by_container: true, .. });
                let silent = quiet && (used || !self.snapshot.is_dangling(&image.id));
                return if silent { Ok(()) } else { Err(obstacle) };
            }
            self.delete_one(&image);
            let parent = image.parent().filter(|_| prune).and_then(|parent| self.snapshot.get(&parent).cloned());
            next = parent.map(|parent| (parent, false, true));
        }
        Ok(())
    }

    fn delete_one(&mut self, image: &Image) {
        for name in self.names_of(image) {
            self.drop_name(image, &name);
        }
        self.layers.extend(self.snapshot.take(&image.id));
        self.images.push(image.id);
        self.done.removed.push(Removed::Deleted(image.id));
        self.done.happenings.push(Happening::new(Action::Delete, image));
    }

    fn check(&self, image: &Image, obstacles: Obstacles) -> Result<()> {
        let refuse =
            |hard, by_container, reason| Err(Error::InUse { image: image.id.short(), hard, by_container, reason });
        if self.snapshot.children(&image.id).next().is_some() {
            return refuse(true, false, "image has dependent child images".to_owned());
        }
        let users = self.usage.containers(&image.id);
        if let Some(user) = users.iter().find(|user| user.running) {
            return refuse(true, true, format!("image is being used by running container {}", user.container));
        }
        if obstacles.names && self.snapshot.references(&image.id).next().is_some() {
            return refuse(false, false, "image is referenced in multiple repositories".to_owned());
        }
        match users.first() {
            Some(user) if obstacles.stopped_containers => {
                refuse(false, true, format!("image is being used by stopped container {}", user.container))
            }
            _ => Ok(()),
        }
    }

    fn names_of(&self, image: &Image) -> Vec<Reference> {
        self.snapshot.references(&image.id).cloned().collect()
    }

    fn drop_name(&mut self, image: &Image, name: &Reference) {
        self.snapshot.unname(name);
        self.names.push(name.clone());
        self.done.removed.push(Removed::Untagged(name.familiar()));
        self.done.happenings.push(Happening::new(Action::Untag, image));
    }
}

/// Whether a client's text is the image's id or the beginning of it.
fn names_by_id(id: &ImageId, text: &str) -> bool {
    id.to_string().starts_with(text) || id.hex().starts_with(text)
}

/// At most one tag, and digests of that tag's repository alone.
fn single_repository(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    tags <= 1 && names.windows(2).all(|pair| pair[0].name() == pair[1].name())
}
