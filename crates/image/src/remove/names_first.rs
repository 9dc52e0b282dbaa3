//! Removing by the rules of Docker before 1.8: names go first, and stay gone even if the image then must stay.

use std::sync::Arc;

use model::Reference;

use super::{Removal, Usage, Work, names_by_id};
use crate::snapshot::canonical;
use crate::{Error, Image, Images, Result};

impl Images {
    /// Removes as Docker did before 1.8 (API 1.19 and below): the asked-for name, or by id the names of one repository, and then
    /// the image if it has neither name nor child left. Names that went stay gone even if a container keeps the image: what
    /// stood in the way is told beside what went.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Obstacle`] if nothing went.
    pub fn remove_names_first(
        &self,
        name: &str,
        force: bool,
        prune: bool,
        usage: &dyn Usage,
    ) -> Result<(Removal, Option<Error>)> {
        self.work_out(usage, |work| work.remove_names_first(name, force, prune))
    }
}

impl Work<'_> {
    fn remove_names_first(&mut self, name: &str, force: bool, prune: bool) -> Result<Option<Error>> {
        let image = self.snapshot.resolve(name).map_err(|_| self.missing(name))?;
        let names = self.names_of(&image);
        let by_id = names_by_id(&image.id, name);
        if !by_id {
            self.drop_asked(&image, name)?;
        } else if let Some(first) = names.first() {
            if !force && several_repositories(&names) {
                return Err(in_several_repositories(name));
            }
            names.iter().filter(|other| other.name() == first.name()).for_each(|name| self.drop_name(&image, name));
        }
        let untagged = !self.names.is_empty();
        let obstacle = self.delete_nameless(&image, force, prune, untagged);
        match obstacle {
            Some(obstacle) if self.done.removed.is_empty() => Err(obstacle),
            None if self.done.removed.is_empty() => Err(Error::Obstacle(format!("{name} wasn't deleted"))),
            obstacle => Ok(obstacle),
        }
    }

    /// Deletes an image without name and child, and then, if asked, its parents as far as they have neither. What keeps the
    /// image or its parent is told; what keeps the parents of that is not.
    fn delete_nameless(&mut self, image: &Arc<Image>, force: bool, prune: bool, untagged: bool) -> Option<Error> {
        let mut next = Some(Arc::clone(image));
        for depth in 0.. {
            let image = next?;
            let names = self.names_of(&image);
            let obstacle = match depth > 0 && !force && several_repositories(&names) {
                true => Some(in_several_repositories(&image.id.hex())),
                false if !names.is_empty() || self.snapshot.children(&image.id).next().is_some() => return None,
                false => self.user(&image, force, untagged && depth == 0),
            };
            if obstacle.is_some() {
                return obstacle.filter(|_| depth < 2);
            }
            self.delete_one(&image);
            next = image.parent().filter(|_| prune).and_then(|parent| self.snapshot.get(&parent).cloned());
        }
        None
    }

    /// The container that keeps an image.
    fn user(&self, image: &Image, force: bool, untagged: bool) -> Option<Error> {
        let users = self.usage.containers(&image.id);
        let id = image.id.short();
        let note = if untagged { " (docker untagged the image)" } else { "" };
        let text = match (users.iter().find(|user| user.running), users.first(), force) {
            (Some(user), _, true) => format!(
                "cannot force delete {id} because the running container {} is using it{note}, stop it and retry",
                user.container
            ),
            (Some(user), _, false) => format!(
                "cannot delete {id} because the running container {} is using it{note}, stop it and use -f to force",
                user.container
            ),
            (None, Some(user), false) => {
                format!(
                    "cannot delete {id} because the container {} is using it{note}, use -f to force",
                    user.container
                )
            }
            _ => return None,
        };
        Some(Error::Obstacle(text))
    }

    /// Of a repository that is there, the tag is named too.
    fn missing(&self, name: &str) -> Error {
        let known = Reference::loose(name).ok().map(|name| canonical(&name)).filter(|asked| {
            let mut names = self.snapshot.images().flat_map(|image| self.snapshot.references(&image.id));
            names.any(|other| other.name() == asked.name())
        });
        Error::NotFound(known.map_or_else(|| name.to_owned(), |known| known.familiar()))
    }
}

fn several_repositories(names: &[Reference]) -> bool {
    names.windows(2).any(|pair| pair[0].name() != pair[1].name())
}

fn in_several_repositories(name: &str) -> Error {
    Error::Obstacle(format!(
        "cannot delete image {name} because it is tagged in multiple repositories, use -f to force"
    ))
}
