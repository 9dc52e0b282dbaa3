//! API 1.31, Docker 17.07.

use crate::json::{Object, each, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{BuildPrune, ImageInspect, VolumeInspect, VolumeList};
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 31),
    release: "17.07",
    changes: &[
        Change::added(&[BuildPrune], "`POST /build/prune` empties the build cache."),
        Change::to(&[VolumeList, VolumeInspect], "Volumes tell when they were made, `CreatedAt`.").down(created_at),
        Change::to(&[ImageInspect], "Images tell when they were last tagged, `Metadata.LastTagTime`.")
            .down(|image, _| image.as_object_mut().into_iter().for_each(|image| remove(image, &["Metadata"]))),
    ],
};

fn created_at(value: &mut Value, _: &Asked) {
    let created_at = |volume: &mut Object| remove(volume, &["CreatedAt"]);
    match value.get_mut("Volumes") {
        Some(volumes) => each(volumes, created_at),
        None => value.as_object_mut().into_iter().for_each(created_at),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::{VolumeInspect, VolumeList};
    use serde_json::json;

    #[test]
    fn volumes_had_no_age() {
        assert_eq!(down("1.31", "1.30", VolumeInspect, json!({"Name": "a", "CreatedAt": "x"})), json!({"Name": "a"}));
        assert_eq!(
            down("1.31", "1.30", VolumeList, json!({"Volumes": [{"Name": "a", "CreatedAt": "x"}]})),
            json!({"Volumes": [{"Name": "a"}]})
        );
    }
}
