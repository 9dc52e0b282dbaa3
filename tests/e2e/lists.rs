//! Lists of containers: what was written for the last one is never told when it is no longer so.

use serde_json::{Value, json};
use testkit::Daemon;

use crate::lifecycle::eventually;

/// The newest, one that changes nothing of lists, and some on the way down.
const VERSIONS: [&str; 8] = ["1.51", "1.50", "1.41", "1.24", "1.20", "1.14", "1.5", "1.0"];

struct Lists {
    daemon: Daemon,
    asked: usize,
}

impl Lists {
    fn text(&self, version: &str, query: &str) -> String {
        let answer = self.daemon.get(&format!("/v{version}/containers/json?all=1{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// The list that was asked for again and again is the one that nobody has asked for yet, at each version.
    fn tell_the_truth(&mut self) {
        for version in VERSIONS {
            // A second may pass between the two, and change `Up 3 seconds`.
            eventually(|| {
                self.asked += 1;
                self.text(version, "") == self.text(version, &format!("&asked={}", self.asked))
            });
        }
    }

    fn newest(&self) -> Value {
        self.daemon.get("/v1.51/containers/json?all=1").json()
    }

    fn docker(&self, arguments: &[&str]) -> String {
        self.daemon.docker(arguments).ok()
    }
}

#[test]
fn a_list_that_is_asked_for_again_tells_what_has_changed() {
    let mut lists = Lists { daemon: Daemon::with_busybox(), asked: 0 };
    lists.tell_the_truth();
    lists.docker(&["create", "--name", "idle", "--label", "a=b", "busybox", "true"]);
    let health = ["--health-cmd", "test -e /well", "--health-interval", "50ms", "--health-retries", "1"];
    lists
        .docker(&[&["run", "-d", "--name", "web", "-v", "/data"], &health[..], &["busybox", "sleep", "1000"]].concat());
    for arguments in [
        &["create", "--name", "linked", "--link", "web:db", "busybox", "sh", "-c", "exit 3"][..],
        &["start", "linked"],
        &["rename", "idle", "quiet"],
        &["exec", "web", "touch", "/well"],
        &["pause", "web"],
        &["unpause", "web"],
        &["tag", "busybox", "a-name-before-others"],
        &["rmi", "--no-prune", "busybox"],
        &["tag", "a-name-before-others", "busybox"],
        &["stop", "-t", "0", "web"],
        &["start", "web"],
        &["kill", "web"],
        &["rm", "quiet"],
    ] {
        lists.docker(arguments);
        lists.tell_the_truth();
    }
    assert_eq!(lists.newest().as_array().map(Vec::len), Some(2));
    assert_eq!(lists.newest()[1]["Names"], json!(["/web", "/linked/db"]));
}

#[test]
fn a_list_that_is_asked_for_again_tells_the_time_that_has_passed() {
    let lists = Lists { daemon: Daemon::with_busybox(), asked: 0 };
    lists.docker(&["run", "-d", "busybox", "sleep", "1000"]);
    let status = |version: &str| lists.daemon.get(&format!("/v{version}/containers/json")).json()[0]["Status"].clone();
    let first = VERSIONS.map(status);
    eventually(|| VERSIONS.map(status).iter().zip(&first).all(|(now, first)| now != first));
}
