//! API 1.32, Docker 17.09.

use super::shapes::forget;
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ImageCreate};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 32),
    release: "17.09",
    changes: &[
        Change::to(&[Build, ImageCreate], "Build and pull take `platform`.")
            .up(|request| forget(request, &["platform"])),
        Change::to(&[Build], "Build removes a step's container before it tells the step's image; before after it.")
            .message(image_first),
        Change::note("`HostConfig.IpcMode` may be `none`, `private` or `shareable`."),
    ],
};

/// Messages that wait for the image of their step.
const HELD: &str = "build.held";
/// The last message told an image.
const TOLD: &str = "build.told";

fn image_first(message: &mut Value, asked: &Asked) {
    let text = message.get("stream").and_then(Value::as_str).unwrap_or_default();
    let told = asked.recall(TOLD).is_some();
    if text.starts_with("Removing intermediate container ") {
        if told {
            asked.note(TOLD, Value::Null);
            return;
        }
        let mut held = waiting(asked);
        held.push(message.take());
        asked.note(HELD, Value::Array(held));
        return;
    }
    let is_image =
        text.strip_prefix(" ---> ").is_some_and(|id| id.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_image {
        asked.note(TOLD, Value::Null);
        let held = waiting(asked);
        if !held.is_empty() {
            *message = json!([message.take()].into_iter().chain(held).collect::<Vec<_>>());
        }
    } else if message.get("error").is_some() {
        let held = waiting(asked);
        if !held.is_empty() {
            *message = json!(held.into_iter().chain([message.take()]).collect::<Vec<_>>());
        }
    }
}

fn waiting(asked: &Asked) -> Vec<Value> {
    match asked.recall(HELD) {
        Some(Value::Array(held)) => held,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Body, Request};
    use api::routes::Params;

    #[test]
    fn the_image_was_told_first() {
        let request = Request {
            method: "POST".into(),
            path: "/build".into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
        };
        let asked = Asked::new(RUNG.version, Build, request, Params::default());
        let lower = |text: &str| {
            let mut message = json!({"stream": text});
            image_first(&mut message, &asked);
            message
        };
        let removing = "Removing intermediate container 0123456789ab\n";
        assert_eq!(lower(" ---> Running in 0123456789ab\n"), json!({"stream": " ---> Running in 0123456789ab\n"}));
        assert_eq!(lower(removing), Value::Null);
        assert_eq!(lower(" ---> ba9876543210\n"), json!([{"stream": " ---> ba9876543210\n"}, {"stream": removing}]));
        // Those that come late already stay where they are.
        assert_eq!(lower(removing), json!({"stream": removing}));
        assert_eq!(lower(removing), json!({"stream": removing}));
        assert_eq!(lower("x"), json!({"stream": "x"}));
        assert_eq!(lower(removing), Value::Null);
        let mut failed = json!({"error": "bad"});
        image_first(&mut failed, &asked);
        assert_eq!(failed, json!([{"stream": removing}, {"error": "bad"}]));
    }
}
