//! API 1.34, Docker 17.11.

use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::ContainerWait;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 34),
    release: "17.11",
    changes: &[Change::to(&[ContainerWait], "Wait tells why it failed in `Error`.")
        .down(|value, _| object(value, &[]).into_iter().for_each(|value| remove(value, &["Error"])))],
};

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::ContainerWait;
    use serde_json::json;

    #[test]
    fn wait_told_no_error() {
        assert_eq!(
            down("1.34", "1.33", ContainerWait, json!({"StatusCode": 1, "Error": null})),
            json!({"StatusCode": 1})
        );
    }
}
