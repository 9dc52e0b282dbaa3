//! API 1.34, Docker 17.11.

use serde_json::{Value, json};

use crate::json::{object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerWait};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 34),
    release: "17.11",
    changes: &[
        Change::to(&[ContainerWait], "Wait tells why it failed in `Error`.")
            .down(|value, _| object(value, &[]).into_iter().for_each(|value| remove(value, &["Error"]))),
        Change::to(
            &[Build],
            "Build says that it removed a container before it names the layer; before it said so after.",
        )
        .message(removed_last),
    ],
};

/// ` ---> Removed intermediate container C` and then ` ---> L` were ` ---> L` and then `Removing intermediate container C`.
fn removed_last(message: &mut Value, asked: &Asked) {
    let Some(line) = message.get("stream").and_then(Value::as_str) else { return };
    if let Some(container) = line.strip_prefix(" ---> Removed intermediate container ") {
        asked.note("removed", json!({ "stream": format!("Removing intermediate container {container}") }));
        *message = Value::Null;
    } else if line.starts_with(" ---> ")
        && let Some(removed) = asked.recall("removed")
    {
        *message = json!([message.take(), removed]);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, down};
    use api::routes::Endpoint::ContainerWait;
    use serde_json::{Value, json};

    #[test]
    fn wait_told_no_error() {
        assert_eq!(
            down("1.34", "1.33", ContainerWait, json!({"StatusCode": 1, "Error": null})),
            json!({"StatusCode": 1})
        );
    }

    #[test]
    fn removal_was_told_last() {
        let (_, _, descent) = climbed("1.33", ask("POST", "/build", "", Value::Null));
        assert_eq!(descent.message(json!({"stream": " ---> Removed intermediate container c\n"})), b"");
        let two = b"{\"stream\":\" ---> 12\\n\"}\r\n{\"stream\":\"Removing intermediate container c\\n\"}\r\n";
        assert_eq!(descent.message(json!({"stream": " ---> 12\n"})), two);
    }
}
