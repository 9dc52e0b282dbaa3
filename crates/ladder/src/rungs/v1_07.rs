//! API 1.7, Docker 0.6.7.

use crate::exchange::{Body, Response};
use crate::json::{Object, each, keep, remove, rename, text};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ImageList, ImageSearch};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 7),
    release: "0.6.7",
    changes: &[
        Change::to(
            &[ImageList],
            "`GET /images/json` lists each image once, with all its names; before once for each name.",
        )
        .down(by_name),
        Change::to(
            &[ImageSearch],
            "Search tells `name`, `description`, stars and flags; before `Name` and `Description`.",
        )
        .down(first_search),
        Change::removed(&VIZ, "`GET /images/viz` is gone; clients draw the graph."),
        Change::note("Images can be saved and loaded."),
    ],
};

/// Nothing found was null.
fn first_search(results: &mut Value, _: &Asked) {
    each(results, |result| {
        for (key, older) in [("name", "Name"), ("description", "Description")] {
            rename(result, key, older);
        }
        keep(result, &["Name", "Description"]);
    });
    if results.as_array().is_some_and(Vec::is_empty) {
        *results = Value::Null;
    }
}

fn by_name(images: &mut Value, _: &Asked) {
    let Some(list) = images.as_array_mut() else { return };
    let mut rows = Vec::new();
    for image in std::mem::take(list) {
        let Value::Object(mut image) = image else { continue };
        let names = image.remove("RepoTags").unwrap_or_default();
        remove(&mut image, &["ParentId"]);
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
            // The tag follows the last colon; a colon before that belongs to a port.
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
            let mut row = image.clone();
            row.insert("Repository".into(), json!(repository));
            row.insert("Tag".into(), json!(tag));
            rows.push(Value::Object(row));
        }
    }
    *list = rows;
}

/// The images as a graph in the language of Graphviz.
static VIZ: OldRoute = OldRoute {
    method: "GET",
    pattern: "/images/viz",
    since: Version::new(1, 0),
    alias: false,
    up: |request, _| {
        request.path = "/images/json".into();
        request.query = vec![("all".into(), "1".into())];
        Ok(())
    },
    answer: Some(|response, _| {
        if let Body::Json(Value::Array(images)) = &response.body {
            let graph = graph(images.iter().filter_map(Value::as_object));
            *response = Response::text(200, graph);
        }
    }),
    message: None,
};

fn graph<'a>(images: impl Iterator<Item = &'a Object> + Clone) -> String {
    let mut graph = String::from("digraph docker {\n");
    for image in images.clone() {
        let id = text(image, "Id");
        graph += &match text(image, "ParentId") {
            "" => format!(" base -> \"{id}\" [style=invis]\n"),
            parent => format!(" \"{parent}\" -> \"{id}\"\n"),
        };
    }
    for image in images {
        let names: Vec<&str> = image
            .get("RepoTags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| *name != "<none>:<none>")
            .collect();
        if !names.is_empty() {
            let id: String = text(image, "Id").chars().take(12).collect();
            graph += &format!(
                " \"{id}\" \
             [label=\"{id}\\n{}\",shape=box,fillcolor=\"paleturquoise\",style=\"filled,rounded\"];\n",
                names.join("\\n")
            );
        }
    }
    graph + " base [style=invisible]\n}\n"
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, down, refusal};
    use crate::{Body, Response};
    use api::routes::Endpoint::ImageList;
    use serde_json::{Value, json};

    #[test]
    fn images_were_listed_by_name() {
        let list = json!([{"Id": "1", "ParentId": "", "RepoTags": ["host:5000/a:1", "b:latest"]}]);
        let rows = json!([{"Id": "1", "Repository": "host:5000/a", "Tag": "1"}, {"Id": "1", "Repository": "b", "Tag": "latest"}]);
        assert_eq!(down("1.7", "1.6", ImageList, list), rows);
    }

    #[test]
    fn images_could_be_drawn() {
        let (_, _, descent) = climbed("1.6", ask("GET", "/images/viz", "", Value::Null));
        assert!(descent.buffers_body());
        let images = json!([{"Id": "sha256:0123456789abcdef", "ParentId": "", "RepoTags": ["a:1"]}, {"Id": "sha256:ff", "ParentId": "sha256:0123456789abcdef", "RepoTags": []}]);
        let Body::Text(graph) = descent.response(Response::json(200, images)).body else { panic!("no text") };
        assert_eq!(
            graph,
            "digraph docker {\n base -> \"0123456789abcdef\" [style=invis]\n \"0123456789abcdef\" -> \"ff\"\n \"0123456789ab\" [label=\"0123456789ab\\na:1\",shape=box,fillcolor=\"paleturquoise\",style=\"filled,rounded\"];\n base [style=invisible]\n}\n"
        );
        assert_eq!(
            refusal("1.14", ask("GET", "/images/viz", "", Value::Null)).body,
            Body::Text("This is now implemented in the client.\n".into())
        );
    }
}
