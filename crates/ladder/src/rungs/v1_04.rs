//! API 1.4, Docker 0.5.1.

use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::ContainerTop;
use serde_json::{Map, Value};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 4),
    release: "0.5.1",
    changes: &[
        Change::to(&[ContainerTop], "Top tells titles and rows of `ps`; before a list of objects.")
            .down(processes_as_objects),
        Change::note("Events, copy, `attach/ws`, `nocache` of build, `WorkingDir`."),
    ],
};

/// The columns that there were, by their titles of today.
const COLUMNS: &[(&str, &str)] =
    &[("PID", "PID"), ("TTY", "Tty"), ("TIME", "Time"), ("CMD", "Cmd"), ("COMMAND", "Cmd")];

fn processes_as_objects(top: &mut Value, _: &Asked) {
    let titles: Vec<Value> = top.get("Titles").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows = top.get("Processes").and_then(Value::as_array).cloned().unwrap_or_default();
    let process = |row: Value| {
        let cells = titles.iter().zip(row.as_array().cloned().unwrap_or_default());
        let named =
            cells.filter_map(|(title, cell)| Some((COLUMNS.iter().find(|(now, _)| title == now)?.1.to_owned(), cell)));
        Value::Object(named.collect::<Map<_, _>>())
    };
    *top = rows.into_iter().map(process).collect();
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::ContainerTop;
    use serde_json::json;

    #[test]
    fn processes_were_objects() {
        let top = json!({"Titles": ["UID", "PID", "TTY", "TIME", "CMD"], "Processes": [["root", "7", "?", "00:00:00", "sh"]]});
        assert_eq!(
            down("1.4", "1.3", ContainerTop, top),
            json!([{"PID": "7", "Tty": "?", "Time": "00:00:00", "Cmd": "sh"}])
        );
    }
}
