//! How an image came about.

use model::{ImageId, Timestamp};

use crate::{Error, Image, Result, Snapshot};

/// One step, as the API lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// The image that the step left, if it was made here; otherwise it is missing.
    pub id: Option<ImageId>,
    /// When.
    pub created: Timestamp,
    /// The command.
    pub created_by: String,
    /// Familiar names of the image it left, with tags.
    pub tags: Vec<String>,
    /// Bytes of the layer it left.
    pub size_bytes: u64,
    /// The message.
    pub comment: String,
}

impl Snapshot {
    /// The steps of an image, newest first.
    ///
    /// # Errors
    /// [`Error::Config`] if the config lists more steps with layers than layers.
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryStep>> {
        let mut layers = image.layers.iter();
        let mut steps = Vec::with_capacity(image.config.history.len());
        for step in &image.config.history {
            let size_bytes = if step.empty_layer {
                0
            } else {
                let chain = layers
                    .next()
                    .ok_or_else(|| Error::Config("too many non-empty layers in History section".into()))?;
                self.layer_size(chain)
            };
            steps.push(HistoryStep {
                id: None,
                created: step.created.unwrap_or_default(),
                created_by: step.created_by.clone(),
                tags: Vec::new(),
                size_bytes,
                comment: step.comment.clone(),
            });
        }
        steps.reverse();
        // Each parent made here is one step less; where the chain ends, the older steps' images are not known.
        let mut next = Some(image.id);
        for step in &mut steps {
            let Some(made) = next.and_then(|id| self.get(&id)) else { break };
            step.id = Some(made.id);
            step.tags = self.tags(&made.id);
            next = made.parent();
        }
        Ok(steps)
    }
}
