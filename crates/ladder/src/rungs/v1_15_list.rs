//! Lists as clients below 1.15 asked for them and read them.

use serde_json::{Map, Value, json};

use crate::exchange::{Request, Response};
use crate::json::{default, each, keep, map_text, text};
use crate::rung::Asked;

/// Reads `filters` as its time did: an object of lists of texts.
fn filters(text: Option<&str>) -> Result<Map<String, Value>, Response> {
    let fail = |text: String| Err(Response::error(500, &text));
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Map::new()) };
    let filters = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(filters)) => filters,
        Ok(Value::Null) => Map::new(),
        Ok(_) => return fail("json: cannot unmarshal value into Go value of type filters.Args".into()),
        Err(error) => return fail(format!("invalid character in filters: {error}")),
    };
    match filters
        .values()
        .all(|values| values.is_null() || values.as_array().is_some_and(|values| values.iter().all(Value::is_string)))
    {
        true => Ok(filters),
        false => fail("json: cannot unmarshal value into Go value of type []string".into()),
    }
}

/// The texts of one filter.
fn wanted<'a>(filters: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    filters.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// At most so many containers, of those that a filter leaves. 0: no limit, as of all that is no number above it.
fn limit(request: &Request) -> u64 {
    request.parameter("limit").and_then(|limit| limit.trim().parse().ok()).unwrap_or_default()
}

/// The only filter was `exited`, for containers that do not run; that is done on the way down.
pub(super) fn containers_up(request: &mut Request) -> Result<(), Response> {
    let filters = filters(request.parameter("filters"))?;
    if let Some(bad) = wanted(&filters, "exited").find(|code| code.parse::<i64>().is_err()) {
        return Err(Response::error(500, &format!("strconv.ParseInt: parsing {bad:?}: invalid syntax")));
    }
    request.remove_parameter("filters");
    let limit = limit(request);
    if limit == 0 || wanted(&filters, "exited").next().is_some() {
        request.remove_parameter("limit");
    }
    for flag in ["all", "size"] {
        // A limit lists stopped ones as well, also where it is kept for the way down.
        let on = request.flag(flag) || flag == "all" && limit > 0;
        request.remove_parameter(flag);
        if on {
            request.set_parameter(flag, "1");
        }
    }
    Ok(())
}

pub(super) fn containers_down(list: &mut Value, asked: &Asked) {
    let filters = filters(asked.request.parameter("filters")).unwrap_or_default();
    let codes: Vec<i64> = wanted(&filters, "exited").filter_map(|code| code.parse().ok()).collect();
    if let Some(list) = list.as_array_mut()
        && !codes.is_empty()
    {
        list.retain(|container| {
            container["Status"].as_str().is_none_or(|status| {
                status.starts_with("Up ") || exit_code(status).is_some_and(|code| codes.contains(&code))
            })
        });
        if let Ok(limit @ 1..) = usize::try_from(limit(&asked.request)) {
            list.truncate(limit);
        }
    }
    each(list, |container| {
        keep(container, &["Command", "Created", "Id", "Image", "Names", "Ports", "SizeRootFs", "SizeRw", "Status"]);
        if container.contains_key("SizeRootFs") {
            default(container, "SizeRw", json!(0));
        }
        map_text(container.get_mut("Command"), |command| Some(read_back(command)));
        if container.get("Ports").is_none_or(Value::is_null) {
            container.insert("Ports".into(), json!([]));
        }
        // An address of a port that is not published did not exist.
        if text(container, "Status").contains("(health") || text(container, "Status").contains("(unhealthy)") {
            let status = text(container, "Status").split(" (").next().unwrap_or_default().to_owned();
            container.insert("Status".into(), json!(status));
        }
    });
}

/// A command was written between quotes, which went when it was read as JSON; if it could not be read, they stayed.
fn read_back(command: &str) -> String {
    let quoted = format!("\"{command}\"");
    serde_json::from_str(&quoted).unwrap_or(quoted)
}

/// The code in `Exited (3) 2 hours ago`.
fn exit_code(status: &str) -> Option<i64> {
    match status {
        // Never ran.
        "" => Some(0),
        status => status.split_once('(')?.1.split_once(')')?.0.parse().ok(),
    }
}

/// The only filter was `dangling`, and only if it was `true`.
pub(super) fn images_up(request: &mut Request) -> Result<(), Response> {
    let filters = filters(request.parameter("filters"))?;
    request.remove_parameter("filters");
    if wanted(&filters, "dangling").any(|value| value.eq_ignore_ascii_case("true")) {
        request.set_parameter("filters", json!({"dangling": ["true"]}).to_string());
    }
    Ok(())
}

pub(super) fn images_down(list: &mut Value, asked: &Asked) {
    // The pattern was compared with names without their tags.
    let tagged = asked
        .request
        .parameter("filter")
        .and_then(|filter| filter.rsplit('/').next())
        .is_some_and(|name| name.contains(':'));
    if tagged {
        *list = json!([]);
    }
    each(list, |image| keep(image, &["Created", "Id", "ParentId", "RepoTags", "Size", "VirtualSize"]));
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, refusal};
    use crate::{Body, Response};
    use serde_json::{Value, json};

    #[test]
    fn exited_chose_among_those_that_do_not_run() {
        let (request, _, descent) =
            climbed("1.14", ask("GET", "/containers/json", "all=1&filters={\"exited\":[\"3\"]}", Value::Null));
        assert_eq!(request.parameter("filters"), None);
        let list = json!([{"Status": "Up 3 seconds"}, {"Status": "Exited (3) 1 second ago"}, {"Status": "Exited (0) 1 second ago"}]);
        let Body::Json(list) = descent.response(Response::json(200, list)).body else { panic!("no JSON") };
        assert_eq!(
            list,
            json!([{"Status": "Up 3 seconds", "Ports": []}, {"Status": "Exited (3) 1 second ago", "Ports": []}])
        );
        assert!(descent.lowers_items());
    }

    #[test]
    fn a_limit_counts_what_a_filter_leaves() {
        let query = "limit=2&filters={\"exited\":[\"3\"]}";
        let (request, _, descent) = climbed("1.14", ask("GET", "/containers/json", query, Value::Null));
        assert_eq!((request.parameter("limit"), descent.lowers_items()), (None, false));
        let list = json!([{"Status": "Exited (0) 1 second ago"}, {"Status": "Exited (3) 1 second ago"}, {"Status": "Up 3 seconds"}, {"Status": "Up 4 seconds"}]);
        let Body::Json(list) = descent.response(Response::json(200, list)).body else { panic!("no JSON") };
        assert_eq!(
            (&list[0]["Status"], &list[1]["Status"]),
            (&json!("Exited (3) 1 second ago"), &json!("Up 3 seconds"))
        );
        assert_eq!(list.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn commands_were_read_as_json() {
        for (command, shown) in [
            ("sh -c 'echo hi'", "sh -c 'echo hi'"),
            ("echo \"hi\"", "\"echo \"hi\"\""),
            ("printf a\\n", "printf a\n"),
            ("grep \\d", "\"grep \\d\""),
            ("sh -c 'a\nb'", "\"sh -c 'a\nb'\""),
        ] {
            assert_eq!(super::read_back(command), shown);
        }
    }

    #[test]
    fn bad_filters_are_500() {
        for filters in ["notjson", "[]", "{\"exited\":\"0\"}", "{\"exited\":{\"0\":true}}", "{\"exited\":[\"x\"]}"] {
            let answer = refusal("1.14", ask("GET", "/containers/json", &format!("filters={filters}"), Value::Null));
            assert_eq!(answer.status, 500, "{filters}");
        }
    }
}
