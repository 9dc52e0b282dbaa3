//! attach, logs, standard input, terminals, half-close, websocket.

use serde_json::json;
use testkit::{Daemon, Program};

use crate::lifecycle::eventually;

#[test]
fn standard_input_reaches_the_container_and_its_end_too() {
    let daemon = Daemon::with_busybox();
    let counted = daemon.docker_program(&["run", "--rm", "-i", "busybox", "wc", "-c"]).input(vec![b'x'; 3 << 20]).run();
    assert_eq!(counted.ok().trim(), (3 << 20).to_string());
    let echoed = daemon.docker_program(&["run", "--rm", "-i", "busybox", "cat"]).input("line 1\nline 2").run();
    assert_eq!(echoed.ok(), "line 1\nline 2");
}

#[test]
fn a_large_output_arrives_whole_live_and_from_the_log() {
    let daemon = Daemon::with_busybox();
    let script = "yes 0123456789abcdef0123456789abcdef | head -n 300000";
    let live = daemon.docker(&["run", "--name", "loud", "busybox", "sh", "-c", script]).ok();
    assert_eq!(live.len() + 1, 33 * 300_000);
    let logged = daemon.docker(&["logs", "loud"]).ok();
    assert_eq!(logged, live);
    assert_eq!(daemon.docker(&["logs", "--tail", "2", "loud"]).ok().lines().count(), 2);
}

#[test]
fn logs_follow_until_the_end_and_can_carry_times() {
    let daemon = Daemon::with_busybox();
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done";
    daemon.docker(&["run", "-d", "--name", "slow", "busybox", "sh", "-c", script]).ok();
    let followed = daemon.docker(&["logs", "-f", "slow"]);
    assert_eq!(followed.stdout, "out 1\nout 2\nout 3\n");
    assert_eq!(followed.stderr, "err 1\nerr 2\nerr 3\n");
    let timed = daemon.docker(&["logs", "-t", "slow"]).ok();
    assert!(timed.lines().all(|line| line.as_bytes()[4] == b'-' && line.contains("Z out ")), "{timed}");
    let year = timed.split('-').next().unwrap_or_default().to_owned();
    assert!(year.parse::<u32>().is_ok_and(|year| year > 2000));
    assert_eq!(daemon.docker(&["logs", "--since", "1h", "--until", "1h", "slow"]).ok(), "");
}

#[test]
fn logs_rotate_and_lose_nothing_that_is_kept() {
    let daemon = Daemon::with_busybox();
    let options = ["--log-opt", "max-size=64k", "--log-opt", "max-file=3"];
    let script = ["busybox", "sh", "-c", "seq 1 20000"];
    daemon.docker(&[&["run", "--name", "rotating"], &options[..], &script[..]].concat()).ok();
    let kept = daemon.docker(&["logs", "rotating"]).ok();
    let numbers: Vec<u32> = kept.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(numbers.last(), Some(&20000));
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a line is missing or repeated");
    let path = daemon.docker(&["inspect", "-f", "{{.LogPath}}", "rotating"]).ok();
    let total: u64 =
        ["", ".1", ".2"].iter().map(|end| std::fs::metadata(format!("{path}{end}")).map_or(0, |file| file.len())).sum();
    assert!(total < 4 * 64 * 1024, "{total} bytes of log");
    assert!(!std::path::Path::new(&format!("{path}.3")).exists());
}

#[test]
fn a_follower_misses_no_line_however_often_the_log_rotates() {
    let daemon = Daemon::with_busybox();
    let options = ["--log-opt", "max-size=256k", "--log-opt", "max-file=4"];
    // Many times what is kept, as fast as it goes.
    let run = ["busybox", "sh", "-c", "read go; seq 1 120000"];
    // Its input ends with the client's, so that the client sees its output to the end.
    daemon.docker(&[&["create", "-i", "--name", "burst"], &options[..], &run[..]].concat()).ok();
    daemon.docker(&["start", "burst"]).ok();
    let follow = |path| {
        let mut connection = daemon.connect();
        connection.request("GET", path, "", b"");
        assert_eq!(connection.head().0, 200);
        connection
    };
    // One that reads as it comes, and one that does not read before all is written.
    let mut prompt = follow("/containers/burst/logs?stdout=1&follow=1");
    let mut late = follow("/containers/burst/logs?stdout=1&follow=1&timestamps=1");
    let prompt = std::thread::spawn(move || prompt.chunks());
    let mut input = daemon.connect();
    input.request("POST", "/containers/burst/attach?stream=1&stdin=1", "", b"");
    input.head();
    input.send("go\n");
    daemon.docker(&["wait", "burst"]).ok();
    input.half_close();
    for received in [prompt.join().expect("no panic"), late.chunks()] {
        let text: String = frames(&received).concat();
        let numbers = text.lines().map(|line| line.rsplit(' ').next().and_then(|word| word.parse::<u32>().ok()));
        assert!(numbers.eq((1..=120_000).map(Some)), "a line is missing or repeated");
    }
}

/// The texts of the frames of a multiplexed stream.
fn frames(mut stream: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [_, _, _, _, a, b, c, d, rest @ ..] = stream {
        let (text, behind) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        texts.push(String::from_utf8_lossy(text).into_owned());
        stream = behind;
    }
    texts
}

#[test]
fn attach_multiplexes_and_a_half_close_ends_only_the_input() {
    let daemon = Daemon::with_busybox();
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", "cat; echo done >&2"], "OpenStdin": true, "StdinOnce": true,
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true});
    let created = daemon.post("/containers/create", &body).json();
    let id = created["Id"].as_str().expect("an id");
    let mut attached = daemon.connect();
    attached.send(format!("POST /containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"));
    let (status, head) = attached.head();
    assert_eq!(status, 101);
    assert!(head.contains("application/vnd.docker.multiplexed-stream"), "{head}");
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    attached.send("hello");
    attached.half_close();
    assert_eq!(attached.rest(), b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x05done\n");
}

#[test]
fn an_attach_ends_with_its_input_unless_the_container_ends_with_it() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-di", "--name", "cat", "busybox", "cat"]).ok();
    for word in ["one", "two"] {
        let mut attached = daemon.connect();
        attached.request("POST", "/containers/cat/attach?stream=1&stdin=1&stdout=1", "", b"");
        attached.head();
        attached.send(word);
        attached.until(word);
        attached.half_close();
        assert_eq!(attached.rest(), b"");
        assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Running}}", "cat"]).ok(), "true");
    }
}

#[test]
fn input_that_comes_with_the_request_is_not_lost() {
    let daemon = Daemon::with_busybox();
    let body = json!({"Image": "busybox", "Cmd": ["cat"], "OpenStdin": true, "StdinOnce": true});
    let created = daemon.post("/containers/create", &body).json();
    let id = created["Id"].as_str().expect("an id");
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    let mut attached = daemon.connect();
    attached.send(format!(
        "POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nearly"
    ));
    attached.half_close();
    let (status, _) = attached.head();
    assert_eq!(status, 200);
    assert_eq!(attached.rest(), b"\x01\0\0\0\0\0\0\x05early");
}

/// Words for a shell that wait until its terminal has a size, and print it: docker programs before 23 tell it only after the start.
pub(crate) fn until_sized(size: &str) -> String {
    format!("until [ \"$(stty size 2>/dev/null)\" = \"{size}\" ]; do sleep 0.05; done; stty size")
}

#[test]
fn a_terminal_is_one_and_can_be_resized() {
    let daemon = Daemon::with_busybox();
    let run = format!("docker run --rm -it busybox timeout 20 sh -c 'tty; {}; echo $TERM'", until_sized("33 99"));
    let inner = format!("DOCKER_HOST={} {run}", daemon.host());
    let seen = Program::new("script").args(["-qec", &format!("stty rows 33 cols 99; {inner}"), "/dev/null"]).run();
    let text = seen.stdout.replace('\r', "");
    assert!(text.contains("/dev/console") || text.contains("/dev/pts/0"), "{text}");
    assert!(text.contains("33 99"), "{text}");
    assert!(text.contains("xterm"), "{text}");

    let id = daemon.docker(&["run", "-dt", "busybox", "sh", "-c", "while :; do stty size; sleep 0.05; done"]).ok();
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/resize?h=12&w=34"), None).status, 200);
    eventually(|| daemon.docker(&["logs", &id]).ok().contains("12 34"));
}

#[test]
fn detach_keys_leave_the_container_running() {
    let daemon = Daemon::with_busybox();
    let body = json!({"Image": "busybox", "Cmd": ["cat"], "OpenStdin": true, "Tty": true});
    let created = daemon.post("/containers/create", &body).json();
    let id = created["Id"].as_str().expect("an id");
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    let mut attached = daemon.connect();
    attached.request("POST", &format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1"), "", b"");
    attached.head();
    attached.send("hi\r");
    attached.until("hi");
    attached.send([0x10]);
    attached.send([0x11]);
    attached.rest();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Running}}", id]).ok(), "true");
}

#[test]
fn websocket_attach_echoes() {
    let daemon = Daemon::with_busybox();
    let body = json!({"Image": "busybox", "Cmd": ["cat"], "OpenStdin": true});
    let created = daemon.post("/containers/create", &body).json();
    let id = created["Id"].as_str().expect("an id");
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    let mut socket = daemon.connect();
    socket.send(format!(
        "GET /containers/{id}/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://d\r\n\r\n"
    ));
    let (status, head) = socket.head();
    assert_eq!(status, 101);
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // A masked text frame with the mask 0: "hey\n".
    socket.send(b"\x81\x84\0\0\0\0hey\n");
    socket.until("hey\n");
}

#[test]
fn the_last_words_of_a_program_arrive_whole_however_long_they_take() {
    let daemon = Daemon::with_busybox();
    // Written into the pipe at once, and recorded as half a million lines.
    let run = ["run", "--name", "last", "busybox", "sh", "-c", "yes | head -c 1048576"];
    assert_eq!(daemon.docker(&run).stdout.len(), 1 << 20);
    assert_eq!(daemon.docker(&["logs", "last"]).stdout.len(), 1 << 20);
}

#[test]
fn a_client_that_does_not_read_for_a_while_gets_everything_afterwards() {
    let daemon = Daemon::with_busybox();
    let script = "cat > /dev/null; yes 0123456789abcdef0123456789abcdef | head -n 200000; echo end";
    let body =
        json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "OpenStdin": true, "StdinOnce": true, "Tty": false});
    let id = daemon.post("/containers/create", &body).json()["Id"].as_str().expect("an id").to_owned();
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    let mut attached = daemon.connect();
    attached.request("POST", &format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1"), upgrade, b"");
    assert_eq!(attached.head().0, 101);
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    let mut followed = daemon.connect();
    followed.request("GET", &format!("/containers/{id}/logs?follow=1&stdout=1"), "", b"");
    assert_eq!(followed.head().0, 200);
    attached.half_close();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let payload = |bytes: &[u8]| {
        let (mut rest, mut sum) = (bytes, 0);
        while let [_, 0, 0, 0, a, b, c, d, more @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            sum += length;
            rest = &more[length..];
        }
        sum
    };
    assert_eq!(payload(&attached.rest()), 33 * 200_000 + 4);
    assert_eq!(payload(&followed.chunks()), 33 * 200_000 + 4);
}

#[test]
fn attached_clients_that_vanish_do_not_stop_the_container() {
    let daemon = Daemon::with_busybox();
    let script = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.01; done";
    daemon.docker(&["run", "-d", "-i", "--name", "ticking", "busybox", "sh", "-c", script]).ok();
    for _ in 0..20 {
        let mut attached = daemon.connect();
        attached.request("POST", "/containers/ticking/attach?stream=1&stdin=1&stdout=1", "", b"");
        attached.head();
        attached.until("tick");
    }
    let mut client = daemon.docker_program(&["attach", "--sig-proxy=false", "ticking"]).start();
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.kill().expect("a child can be killed");
    client.wait().expect("a child can be waited for");
    let last = || daemon.docker(&["logs", "--tail", "1", "ticking"]).ok();
    let before = last();
    eventually(|| last() != before);
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Running}}", "ticking"]).ok(), "true");
}

#[test]
fn a_log_that_is_read_right_after_the_start_has_the_first_words() {
    let daemon = Daemon::with_busybox();
    let started = || {
        let create = json!({"Image": "busybox", "Cmd": ["sh", "-c", "sleep 0.04; echo hello"]});
        let created = daemon.post("/containers/create", &create).json();
        let id = created["Id"].as_str().expect("an id").to_owned();
        assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
        id
    };
    let log = |id: &str| daemon.get(&format!("/containers/{id}/logs?stdout=1")).text();
    let old = |id: &str| daemon.call("POST", &format!("/v1.10/containers/{id}/attach?logs=1&stdout=1"), None).text();
    for read in [&log as &dyn Fn(&str) -> String, &old] {
        for _ in 0..5 {
            let begun = std::time::Instant::now();
            let heard = read(&started());
            // On a busy machine it may take longer to begin than it is waited for.
            assert!(heard.contains("hello") || begun.elapsed() >= std::time::Duration::from_millis(100), "{heard:?}");
        }
    }
    // One that goes on is not waited for.
    daemon.docker(&["run", "-d", "--name", "long", "busybox", "sleep", "1000"]).ok();
    assert_eq!(daemon.docker(&["logs", "long"]).ok(), "");
}
