//! `docker run` as section 3.1 of the documents of 2013 and 2014 walks it, at every version from 1.0 to 1.14.

use serde_json::{Value, json};
use testkit::{Daemon, Registry};

const IMAGE: &str = "127.0.0.1:5000/busybox";
const SCRIPT: &str = "echo out; echo err >&2; exit 3";

/// One walk: the version, and what the user asked for.
struct Walk<'a> {
    daemon: &'a Daemon,
    version: String,
    tty: bool,
    attached: bool,
}

impl Walk<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/v{}{rest}", self.version)
    }

    fn framed(&self) -> bool {
        !self.tty && ladder::Version::parse(&self.version) >= Some(ladder::Version::new(1, 6))
    }

    fn config(&self) -> Value {
        json!({
            "Image": IMAGE, "Cmd": ["sh", "-c", SCRIPT], "Tty": self.tty,
            "AttachStdin": false, "AttachStdout": self.attached, "AttachStderr": self.attached,
        })
    }

    /// Create, and if the image is missing pull it and create again.
    fn create(&self) -> String {
        let missing = self.daemon.post(&self.path("/containers/create"), &self.config());
        assert_eq!(missing.status, 404, "{}: {}", self.version, missing.text());
        assert_eq!(missing.text(), format!("No such image: {IMAGE} (tag: latest)\n"));
        self.pull();
        let created = self.daemon.post(&self.path("/containers/create"), &self.config());
        assert_eq!(created.status, 201, "{}: {}", self.version, created.text());
        created.json()["Id"].as_str().expect("an id").to_owned()
    }

    fn pull(&self) {
        let target = self.path(&format!("/images/create?fromImage={IMAGE}&tag=latest"));
        let pulled = self.daemon.call("POST", &target, None);
        assert_eq!(pulled.status, 200, "{}", pulled.text());
        assert!(!pulled.text().to_ascii_lowercase().contains("error"), "{}: {}", self.version, pulled.text());
        let type_of_text = "text/plain; charset=utf-8";
        if self.version == "1.0" {
            assert_eq!(pulled.header("Content-Type"), Some(type_of_text));
            return;
        }
        assert_eq!(pulled.header("Content-Type"), Some("application/json"));
        let messages: Vec<Value> = serde_json::Deserializer::from_slice(&pulled.body)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("JSON after JSON");
        assert!(messages.iter().any(|message| message["status"].is_string()), "{}", pulled.text());
    }

    /// Attaches after the start, as the document has it; the whole output must come all the same.
    fn attach(&self, id: &str) {
        let mut stream = self.daemon.connect();
        let target = self.path(&format!("/containers/{id}/attach?logs=1&stream=1&stdout=1&stderr=1"));
        stream.send(format!("POST {target} HTTP/1.1\r\nHost: d\r\nContent-Type: plain/text\r\n\r\n"));
        let (status, head) = stream.head();
        assert_eq!((status, head.as_str()), (200, "Content-Type: application/vnd.docker.raw-stream"));
        self.check_output(&stream.rest());
    }

    fn check_output(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if self.framed() {
            for frame in ["\u{1}\0\0\0\0\0\0\u{4}out\n", "\u{2}\0\0\0\0\0\0\u{4}err\n"] {
                assert!(text.contains(frame), "{}: {text:?}", self.version);
            }
            return;
        }
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines.sort_unstable();
        let end = if self.tty { "\r\n" } else { "\n" };
        assert_eq!(lines, [format!("err{end}"), format!("out{end}")], "{}", self.version);
    }

    fn go(&self) {
        let id = self.create();
        let started = self.daemon.call("POST", &self.path(&format!("/containers/{id}/start")), None);
        assert_eq!(started.status, 204, "{}: {}", self.version, started.text());
        if self.attached {
            self.attach(&id);
        }
        let waited = self.daemon.call("POST", &self.path(&format!("/containers/{id}/wait")), None);
        assert_eq!((waited.status, waited.json()), (200, json!({"StatusCode": 3})), "{}", self.version);
        let logs = self.daemon.get(&self.path(&format!("/containers/{id}/logs?stdout=1&stderr=1")));
        self.check_output(&logs.body);
        let removed = self.daemon.call("DELETE", &self.path(&format!("/containers/{id}")), None);
        assert_eq!(removed.status, 204, "{}: {}", self.version, removed.text());
        // So that the next walk finds no image.
        let removed = self.daemon.call("DELETE", &self.path(&format!("/images/{IMAGE}")), None);
        assert_eq!(removed.status, 200, "{}: {}", self.version, removed.text());
    }
}

#[test]
fn docker_run_as_the_documents_walk_it_at_every_version() {
    let daemon = Daemon::with_busybox();
    let _registry = Registry::beside(&daemon);
    daemon.docker(&["tag", "busybox", IMAGE]).ok();
    daemon.docker(&["push", "-q", IMAGE]).ok();
    daemon.docker(&["rmi", "busybox", IMAGE]).ok();
    for minor in 0..=14 {
        for (tty, attached) in [(false, true), (false, false), (true, true), (true, false)] {
            Walk { daemon: &daemon, version: format!("1.{minor}"), tty, attached }.go();
        }
    }
}
