//! API 1.13, Docker 1.1.0.

use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::Commit;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 13),
    release: "1.1.0",
    changes: &[
        Change::to(
            &[Commit],
            "A container is paused while it is committed, unless `pause` says otherwise; before \
             only if it said so.",
        )
        .up(|request| {
            let pause = request.flag("pause");
            request.set_parameter("pause", if pause { "1" } else { "0" });
            Ok(())
        }),
        Change::note("Start and stop answer 304 if there is nothing to do; so they do below."),
        Change::note("Logs take `tail`; `HostConfig.Links` is shown."),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::up;
    use api::routes::Endpoint::Commit;
    use serde_json::Value;

    #[test]
    fn commit_did_not_pause() {
        assert_eq!(up("1.12", Commit, "container=a", Value::Null).parameter("pause"), Some("0"));
        assert_eq!(up("1.12", Commit, "pause=1", Value::Null).parameter("pause"), Some("1"));
        assert_eq!(up("1.13", Commit, "", Value::Null).parameter("pause"), None);
    }
}
