//! API 1.35, Docker 17.12.

use super::shapes::forget;
use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ContainerLogs, ExecCreate, Version as GetVersion};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 35),
    release: "17.12",
    changes: &[
        Change::to(&[GetVersion], "`GET /version` has `Platform` and `Components`.").down(|value, _| {
            object(value, &[]).into_iter().for_each(|value| remove(value, &["Platform", "Components"]))
        }),
        Change::to(&[ContainerLogs], "Logs take `until`.").up(|request| forget(request, &["until"])),
        Change::to(&[ExecCreate], "Exec takes `WorkingDir`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["WorkingDir"]));
            Ok(())
        }),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::Version;
    use serde_json::json;

    #[test]
    fn version_had_no_components() {
        assert_eq!(
            down("1.35", "1.34", Version, json!({"Version": "1", "Platform": {}, "Components": []})),
            json!({"Version": "1"})
        );
    }
}
