//! A list of containers on its way to the client.

use std::fmt;
use std::sync::Arc;

use api::container::ContainerSummary;
use bytes::Bytes;
use engine::Line;
use ladder::Descent;
use serde::Serialize;

use crate::Server;
use crate::lists::Way;
use crate::query::Query;
use crate::reply::unwritten;

/// What a line usually takes.
const LINE_BYTES: usize = 768;

/// Containers that somebody asked for: written only where it is known how.
pub(crate) struct Listing {
    pub(crate) server: Arc<Server>,
    /// What was asked.
    pub(crate) query: Query,
    pub(crate) lines: Vec<Line>,
}

impl Listing {
    /// The document as the newest version has it.
    pub(crate) fn text(self) -> Result<Bytes, engine::Error> {
        let write = |line: &Line| written(&self.server.engine.summary(line));
        self.server.lists.text(Way::Newest(self.query), self.lines, write)
    }

    /// The document as an older version has it, if its items go down one by one.
    pub(crate) fn lowered(self, descent: &Arc<Descent>) -> Result<Bytes, engine::Error> {
        let write = |line: &Line| {
            let summary = self.server.engine.summary(line);
            if !descent.buffers_body() {
                return written(&summary);
            }
            let item = descent.item(serde_json::to_value(summary).map_err(unwritten)?);
            item.map_or(Ok(Vec::new()), |item| written(&item))
        };
        self.server.lists.text(Way::Older(descent.clone()), self.lines, write)
    }

    /// What rungs can change as a whole.
    pub(crate) fn summaries(&self) -> Vec<ContainerSummary> {
        self.lines.iter().map(|line| self.server.engine.summary(line)).collect()
    }
}

fn written(line: &impl Serialize) -> Result<Vec<u8>, engine::Error> {
    let mut bytes = Vec::with_capacity(LINE_BYTES);
    serde_json::to_writer(&mut bytes, line).map_err(unwritten)?;
    Ok(bytes)
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("query", &self.query).field("lines", &self.lines.len()).finish()
    }
}
