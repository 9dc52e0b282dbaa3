//! What was decided about registries where Docker 1.2.0 had dropped what older versions did. See [`ladder::DECISIONS`].

use serde_json::json;
use testkit::Daemon;

use crate::registry_servers::{Served, USER};

#[test]
fn transfers_of_1_0_are_unframed() {
    let daemon = Daemon::with_busybox();
    let registry = Served::old(&daemon, &[]);
    let tagged = format!("/v1.0/images/busybox/tag?repo={}&tag=v1", registry.name("test"));
    assert_eq!(daemon.call("POST", &tagged, None).status, 201);
    let told = |target: &str, body: &str| {
        let mut connection = daemon.connect();
        let length = body.len();
        connection.send(format!("POST {target} HTTP/1.1\r\nHost: d\r\nContent-Length: {length}\r\n\r\n{body}"));
        String::from_utf8(connection.rest()).expect("text")
    };
    let bare = |told: &str, first: &str| {
        let (head, text) = told.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.0 200 ok") && head.contains("content-type: text/plain"), "{head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        assert!(text.starts_with(first) && !text.contains("{\""), "{text}");
        text.to_owned()
    };
    let pushed = told(&format!("/v1.0/images/{}/push", registry.name("test")), "{}");
    let first = format!("The push refers to a repository [{}] (len: 1)\r\n", registry.name("test"));
    let text = bare(&pushed, &first);
    assert!(text.contains("Image successfully pushed\r\n"), "{text}");
    let pulled = told(&format!("/v1.0/images/create?fromImage={}&tag=v1", registry.name("test")), "");
    bare(&pulled, &format!("Pulling repository {}\r\n", registry.name("test")));
    // A failure ends with the connection as well.
    let missing = told(&format!("/v1.0/images/create?fromImage={}&tag=none", registry.name("test")), "");
    assert!(
        missing.ends_with(&format!("Error: Tag none not found in repository {}\r\n", registry.name("test"))),
        "{missing}"
    );
    let target = format!("/v1.1/images/create?fromImage={}&tag=v1", registry.name("test"));
    assert_eq!(daemon.call("POST", &target, None).header("Transfer-Encoding"), Some("chunked"));
}

#[test]
fn insert_fetches_a_file() {
    let daemon = Daemon::with_busybox();
    let files = Served::files(&daemon, 8099, &[("hello", "hello\n")]);
    for version in ["1.0", "1.6", "1.11"] {
        let url = format!("http://127.0.0.1:{}/hello", files.port);
        let target = format!("/v{version}/images/busybox/insert?url={url}&path=/greeting");
        let told = daemon.call("POST", &target, None);
        assert_eq!(told.status, 200, "{}", told.text());
        let text = told.text();
        let last = text.trim_end().lines().last().unwrap_or_default();
        let id = match version {
            "1.0" => last.to_owned(),
            "1.6" => {
                serde_json::from_str::<serde_json::Value>(last).expect("JSON")["Id"].as_str().expect("an id").into()
            }
            _ => serde_json::from_str::<serde_json::Value>(last).expect("JSON")["status"].as_str().expect("it").into(),
        };
        let kind = if version == "1.0" { "text/plain; charset=utf-8" } else { "application/json" };
        assert_eq!(told.header("Content-Type"), Some(kind));
        let run = daemon.docker(&["run", "--rm", &id, "cat", "/greeting"]);
        assert_eq!(run.ok(), "hello", "{version}");
    }
    let failed = daemon.call("POST", "/v1.11/images/busybox/insert?url=http://127.0.0.1:8099/none&path=/x", None);
    assert!(failed.text().contains("\"error\":"), "{}", failed.text());
    assert_eq!(daemon.call("POST", "/v1.5/images/busybox/insert?path=/x", None).status, 400);
    assert_eq!(daemon.call("POST", "/v1.12/images/busybox/insert?url=x&path=/x", None).status, 404);
}

#[test]
fn logins_below_1_2_are_kept() {
    let daemon = Daemon::with_busybox();
    let registry = Served::old(&daemon, &["--user", &format!("{}:{}", USER.0, USER.1)]);
    let other = Served::old(&daemon, &["--user", &format!("{}:{}", USER.0, USER.1)]);
    let server = format!("http://127.0.0.1:{}/v1/", registry.port);
    let login = |version: &str, secret: &str| {
        let config = json!({"username": USER.0, "password": secret, "email": "joe@test", "serveraddress": server});
        daemon.post(&format!("/v{version}/auth"), &config)
    };
    let kept = || daemon.get("/v1.1/auth").json();
    for registry in [&registry, &other] {
        let tagged = format!("/v1.1/images/busybox/tag?repo={}&tag=v1", registry.name("test"));
        assert_eq!(daemon.call("POST", &tagged, None).status, 201);
    }
    let push = |registry: &Served| daemon.call("POST", &format!("/v1.1/images/{}/push", registry.name("test")), None);
    assert_eq!(kept(), json!({"username": "", "password": "", "email": ""}));
    assert_eq!((push(&registry).status, push(&registry).text().as_str()), (500, "EOF\n"));
    let wrong = login("1.0", "wrong");
    assert_eq!((wrong.status, wrong.text().as_str()), (401, "Wrong login/password, please try again\n"));
    assert_eq!(kept()["username"], "");
    assert_eq!(login("1.2", USER.1).json(), json!({"Status": "Login Succeeded"}));
    assert_eq!(kept()["username"], "", "from 1.2 on nothing is kept");
    assert_eq!(login("1.0", USER.1).json(), json!({"Status": "Login Succeeded"}));
    assert_eq!(kept(), json!({"username": USER.0, "password": "", "email": "joe@test"}));
    assert_eq!(login("1.1", "").status, 200, "the kept secret of the same user");
    let pushed = push(&registry);
    assert!(pushed.text().contains("Image successfully pushed"), "{}", pushed.text());
    assert!(!push(&other).text().contains("successfully"), "secrets go to the registry of the login alone");
    let pulled = daemon.call("POST", &format!("/v1.0/images/create?fromImage={}&tag=v1", registry.name("test")), None);
    assert!(!pulled.text().contains("Error"), "{}", pulled.text());
    let newer = daemon.call("POST", &format!("/v1.5/images/create?fromImage={}&tag=v1", registry.name("test")), None);
    assert!(newer.text().contains("Authentication is required."), "{}", newer.text());
}

#[test]
fn credentials_in_the_body_of_a_push() {
    let daemon = Daemon::with_busybox();
    let registry = Served::old(&daemon, &["--user", &format!("{}:{}", USER.0, USER.1)]);
    daemon.docker(&["tag", "busybox", &registry.name("test:v1")]).ok();
    for version in ["1.1", "1.2", "1.4", "1.14"] {
        let target = format!("/v{version}/images/{}/push", registry.name("test"));
        let good = json!({"username": USER.0, "password": USER.1, "email": "joe@test"});
        let pushed = daemon.post(&target, &good).text();
        assert!(!pushed.contains("error"), "{version}: {pushed}");
        let refused = daemon.post(&target, &json!({"username": USER.0, "password": "wrong"})).text();
        assert!(refused.contains("Authentication is required."), "{version}: {refused}");
    }
    let nothing = daemon.call("POST", &format!("/v1.14/images/{}/push", registry.name("test")), None);
    assert_eq!((nothing.status, nothing.text().as_str()), (500, "EOF\n"));
}

#[test]
fn results_of_a_search() {
    let daemon = Daemon::start();
    let found = json!({"results": [{"name": "a/b", "description": "d", "star_count": 3, "is_official": false, "is_trusted": true}]});
    let index = Served::files(&daemon, 8097, &[("v1/search", &found.to_string()), ("v1/_ping", "true")]);
    let search = |version: &str| daemon.get(&format!("/v{version}/images/search?term={}", index.name("a"))).json();
    let whole = json!({"name": "a/b", "description": "d", "star_count": 3, "is_official": false});
    for (version, automated, trusted) in
        [("1.7", false, true), ("1.11", false, true), ("1.12", true, true), ("1.15", true, false)]
    {
        let mut wanted = whole.clone();
        for key in automated.then_some("is_automated").into_iter().chain(trusted.then_some("is_trusted")) {
            wanted[key] = json!(true);
        }
        assert_eq!(search(version), json!([wanted]), "{version}");
    }
    assert_eq!(search("1.6"), json!([{"Name": "a/b", "Description": "d"}]));
    let nothing = Served::files(&daemon, 8096, &[("v1/search", "{\"results\": []}"), ("v1/_ping", "true")]);
    let search = |version: &str| daemon.get(&format!("/v{version}/images/search?term={}", nothing.name("a"))).json();
    assert_eq!((search("1.0"), search("1.7")), (json!(null), json!([])));
}
