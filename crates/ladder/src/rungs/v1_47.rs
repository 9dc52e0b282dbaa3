//! API 1.47, Docker 27.2.

use api::routes::Endpoint::{ImageList, Info};
use serde_json::Value;

use crate::json::{default, each, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 47),
    release: "27.2",
    changes: &[
        Change::to(&[ImageList], "`GET /images/json` takes `manifests` and then lists `Manifests`.")
            .up(|request| {
                request.remove_parameter("manifests");
                Ok(())
            })
            .down(|images, _| each(images, |image| remove(image, &["Manifests"]))),
        Change::to(&[Info], "`GET /info` no longer tells registries for artifacts that must not be distributed.")
            .down(artifact_registries),
    ],
};

fn artifact_registries(info: &mut Value, _: &Asked) {
    if let Some(registries) = object(info, &["RegistryConfig"]) {
        default(registries, "AllowNondistributableArtifactsCIDRs", Value::Null);
        default(registries, "AllowNondistributableArtifactsHostnames", Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, up};
    use api::routes::Endpoint::{ImageList, Info};
    use serde_json::{Value, json};

    #[test]
    fn manifests_were_not_listed() {
        assert_eq!(down("1.47", "1.46", ImageList, json!([{"Id": "x", "Manifests": []}])), json!([{"Id": "x"}]));
        assert!(up("1.46", ImageList, "manifests=1", Value::Null).query.is_empty());
    }

    #[test]
    fn info_told_registries_for_artifacts() {
        let info = down("1.47", "1.46", Info, json!({"RegistryConfig": {}}));
        assert_eq!(info["RegistryConfig"]["AllowNondistributableArtifactsCIDRs"], Value::Null);
    }
}
