//! API 1.36, Docker 18.02.

use super::shapes::drop_events;
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::Events;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 36),
    release: "18.02",
    changes: &[Change::to(&[Events], "The end of an exec is an event, `exec_die`.")
        .message(|event, _| drop_events(event, "container", &["exec_die"]))],
};

#[cfg(test)]
mod tests {
    use crate::testing::message;
    use api::routes::Endpoint::Events;
    use serde_json::json;

    #[test]
    fn the_end_of_an_exec_was_no_event() {
        assert_eq!(message("1.36", "1.35", Events, json!({"Type": "container", "Action": "exec_die"})), "");
    }
}
