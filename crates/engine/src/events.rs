//! What happens, told to whoever listens, and remembered for a while.

use api::event::Event;

/// Events as they come, replayed ones first.
#[derive(Debug)]
pub struct Events {}

impl Events {
    /// The next event; `None` at the end (`until` has passed, or the engine closes).
    pub async fn next(&mut self) -> Option<Event> {
        None
    }
}
