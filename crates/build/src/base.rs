//! Images that stages stand on or copy from: those that are here, and those that the engine fetches.

use std::sync::Arc;

use image::Image;
use model::Platform;

use crate::progress::{Event, StepEvent};
use crate::work::Work;
use crate::{Error, Result, Wanted};

impl Work<'_> {
    /// An image that is here, or that the engine fetches; for this platform, if one is wanted.
    pub(crate) fn base_image(&self, name: &str, platform: Option<&Platform>) -> Result<Arc<Image>> {
        let images = self.solve.site.images;
        let fits = |image: &Image| platform.is_none_or(|wanted| wanted.fit(&image.platform()).is_some());
        let here = match images.resolve(name) {
            Err(image::Error::NotFound(_)) => None,
            Err(image::Error::Reference(error)) => {
                return Err(Error::Invalid(format!("failed to parse stage name {name:?}: {error}")));
            }
            other => Some(other?),
        };
        // What is meant by its id is at no registry.
        let may_stay = !self.options.pull || name.starts_with("sha256:");
        if let Some(image) = here.as_ref().filter(|image| may_stay && fits(image)) {
            return Ok(Arc::clone(image));
        }
        self.solve.beyond_cache()?;
        match (here, platform) {
            (Some(image), Some(wanted)) if !fits(&image) => {
                self.fetch_image(name, platform, true).map_err(|error| Error::OtherPlatform {
                    name: name.to_owned(),
                    here: image.platform().to_string(),
                    wanted: wanted.to_string(),
                    source: Box::new(error),
                })
            }
            _ => self.fetch_image(name, platform, false),
        }
    }

    /// The images whose steps count, beside those of earlier builds: those that are here, and those that are fetched, once,
    /// at the first step that is not here. What cannot be had is no reason to fail.
    pub(crate) fn cache_images(&self) -> Vec<Arc<Image>> {
        let images = self.solve.site.images;
        let here = self.options.cache_from.iter().filter_map(|name| images.resolve(name).ok());
        let names = &self.options.cache_import;
        let imported = || names.iter().filter_map(|name| self.import(name)).collect();
        here.chain(self.solve.imported.get_or_init(imported).iter().cloned()).collect()
    }

    fn import(&self, name: &str) -> Option<Arc<Image>> {
        let platform = self.solve.build.stages.platform.as_ref();
        let fits = |image: &Arc<Image>| platform.is_none_or(|wanted| wanted.fit(&image.platform()).is_some());
        let here = self.solve.site.images.resolve(name).ok().filter(fits);
        here.or_else(|| match self.fetch_image(name, platform, true) {
            Ok(image) => Some(image),
            Err(Error::Cancelled) => None,
            Err(error) => {
                self.solve.site.progress.tell(Event::warning(format!("importing cache from {name} failed: {error}")));
                None
            }
        })
    }

    /// Fetches an image. One for another machine than this never takes a name, so that what has it here, or will have it,
    /// can be run.
    fn fetch_image(&self, name: &str, platform: Option<&Platform>, aside: bool) -> Result<Arc<Image>> {
        let aside = aside || platform.is_some_and(|wanted| Platform::native().fit(wanted).is_none());
        let mut told = |message| self.tell(StepEvent::Fetching(message));
        let id = self.solve.site.executor.pull(&Wanted { name, platform, aside }, &mut told)?;
        let gone = || Error::NotFound(format!("{name} was removed while it was being fetched"));
        let image = self.solve.site.images.snapshot().get(&id).cloned().ok_or_else(gone)?;
        match platform.filter(|wanted| wanted.fit(&image.platform()).is_none()) {
            Some(wanted) => Err(Error::NotFound(format!("{name} is there for {}, not for {wanted}", image.platform()))),
            None => Ok(image),
        }
    }
}
