//! The ladder: how every version of the Docker API stays one program.
//!
//! Everything behind the ladder speaks only the newest version. A request of an older version *climbs*: each version
//! above the client's own ([`Rung`]) takes it one version up, until it is a request of the newest. Its answer *descends*
//! the same rungs. One module per version says what that version changed, as code and as documentation at once.
//!
//! The ladder is pure: no connection, no engine, no clock. A server uses it like this:
//!
//! 1. [`Policy::select`] tells the version. [`at_newest`]: leave the ladder out.
//! 2. [`reads`] tells what of the body is to be collected; [`climb`] takes the request up.
//! 3. [`Descent::response`] takes the answer down: the whole of it if [`Descent::buffers_body`], else its head;
//!    [`Descent::message`] each message of a stream. [`Traits`] tell how the connection behaves.

mod climb;
mod decisions;
mod document;
mod exchange;
mod json;
mod lenient;
mod rung;
mod rungs;
mod selection;
#[cfg(test)]
mod testing;
mod traits;
mod version;
mod wording;

pub use climb::{Climbed, Descent, Reads, at_newest, climb, error_for, reads, traits};
pub use decisions::{DECISIONS, Decision};
pub use document::markdown;
pub use exchange::{
    Body, ENDPOINT_FIRST_HEADER, FAILED_MARK, FIRST_BUILD_HEADER, FOLLOW_HEADER, HOST_CONFIG_HEADER,
    IMAGE_CONTAINER_HEADER, IMAGE_NAMES_HEADER, IMAGES_ONLY_HEADER, INTERNAL_PREFIX, KEPT_CREDENTIALS_HEADER,
    NAMES_FIRST_HEADER, NEVER_STARTED_HEADER, OLD_ARCHIVE_HEADER, OLD_BUILD_HEADER, OLD_NAME_HEADER,
    OWN_CHANGES_HEADER, QUIET_COMMANDS_HEADER, QUIET_MARK, Request, Response, SIGNALS_APART_HEADER,
    STORED_IMAGE_HEADER, WARNINGS_HEADER, truth,
};
pub use rung::{Answer, Asked, Change, Down, Message, OldRoute, Rung, Up};
pub use rungs::RUNGS;
pub use selection::Policy;
pub use traits::Traits;
pub use version::{NEWEST, OLDEST, Version};
pub use wording::Wording;
