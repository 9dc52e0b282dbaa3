//! API 1.49, Docker 28.1.

use api::routes::Endpoint::{ImageHistory, ImageInspect, Info};
use serde_json::Value;

use crate::json::{object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 49),
    release: "28.1",
    changes: &[
        Change::to(
            &[Info],
            "`GET /info` names the `FirewallBackend`, and no longer the commits it expects of \
             containerd, runc and init.",
        )
        .down(expected_commits),
        Change::to(&[ImageInspect, ImageHistory], "Inspect of an image takes `platform`.").up(|request| {
            request.remove_parameter("platform");
            Ok(())
        }),
    ],
};

fn expected_commits(info: &mut Value, _: &Asked) {
    for program in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
        let Some(commit) = object(info, &[program]) else { continue };
        if let Some(id) = commit.get("ID").cloned() {
            commit.entry("Expected").or_insert(id);
        }
    }
    if let Some(info) = info.as_object_mut() {
        remove(info, &["FirewallBackend"]);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::Info;
    use serde_json::json;

    #[test]
    fn info_told_the_expected_commits() {
        let info = json!({"FirewallBackend": {"Driver": "nftables"}, "RuncCommit": {"ID": "v1"}});
        assert_eq!(down("1.49", "1.48", Info, info), json!({"RuncCommit": {"ID": "v1", "Expected": "v1"}}));
    }
}
