//! API 1.39, Docker 18.09.

use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{DiskUsage, Grpc, Info, Session};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 39),
    release: "18.09",
    changes: &[
        Change::added(&[Session, Grpc], "`POST /session` and `POST /grpc` serve builds."),
        Change::to(
            &[Info],
            "`GET /info` has `Warnings` and `ProductLicense`; what is not known is empty rather \
             than `<unknown>`.",
        )
        .down(|info, _| object(info, &[]).into_iter().for_each(|info| remove(info, &["Warnings", "ProductLicense"]))),
        Change::to(&[DiskUsage], "`GET /system/df` lists the `BuildCache`.")
            .down(|usage, _| object(usage, &[]).into_iter().for_each(|usage| remove(usage, &["BuildCache"]))),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::{down, missing};
    use api::routes::Endpoint::{Info, Session};
    use serde_json::json;

    #[test]
    fn info_had_no_warnings() {
        assert_eq!(down("1.39", "1.38", Info, json!({"Warnings": null, "NCPU": 1})), json!({"NCPU": 1}));
        assert!(missing("1.38", Session));
    }
}
