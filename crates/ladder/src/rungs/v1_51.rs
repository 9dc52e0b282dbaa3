//! API 1.51, Docker 28.3.

use api::routes::Endpoint::ImageList;
use serde_json::Value;

use crate::json::{each, set};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 51),
    release: "28.3",
    changes: &[Change::to(
        &[ImageList],
        "`GET /images/json` counts the containers that use an image in `Containers`; before \
             it was always -1.",
    )
    .down(uncounted)],
};

fn uncounted(images: &mut Value, _: &Asked) {
    each(images, |image| set(image, "Containers", -1));
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::ImageList;
    use serde_json::json;

    #[test]
    fn containers_were_not_counted() {
        let images = json!([{"Id": "sha256:1", "Containers": 2}]);
        assert_eq!(down("1.51", "1.50", ImageList, images), json!([{"Id": "sha256:1", "Containers": -1}]));
    }
}
