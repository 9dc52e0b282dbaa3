//! The daemon as a program: flags, sockets, TLS, two side by side.

use testkit::{Daemon, Program, environment};

fn longshore(arguments: &[&str]) -> testkit::Output {
    Program::new(environment("LONGSHORE_BIN")).args(arguments).run()
}

#[test]
fn unknown_flags_and_keys_are_clear_errors() {
    let daemon = Daemon::start();
    let output = longshore(&["daemon", "--no-such-flag"]);
    assert!(output.code != Some(0) && output.stderr.contains("--no-such-flag"), "{output:?}");
    let config = daemon.path("daemon.json");
    std::fs::write(&config, r#"{"no-such-key": 1}"#).expect("a file can be written");
    let output = longshore(&["daemon", "--config-file", &config.display().to_string()]);
    assert!(output.code != Some(0) && output.stderr.contains("no-such-key"), "{output:?}");
    let output = longshore(&["daemon", "--host", "tcp://0.0.0.0:23750"]);
    assert!(output.code != Some(0) && output.stderr.to_lowercase().contains("tls"), "{output:?}");
}

#[test]
fn two_daemons_run_side_by_side() {
    let one = Daemon::with_busybox();
    let two = Daemon::with_busybox();
    one.docker(&["run", "-d", "--name", "same", "busybox", "sleep", "1000"]).ok();
    two.docker(&["run", "-d", "--name", "same", "busybox", "sleep", "1000"]).ok();
    assert_ne!(one.docker(&["ps", "-q"]).ok(), two.docker(&["ps", "-q"]).ok());
}

#[test]
fn a_second_daemon_on_the_same_root_is_refused() {
    let daemon = Daemon::start();
    let data = daemon.path("data").display().to_string();
    let exec = daemon.path("exec2").display().to_string();
    let host = format!("unix://{}", daemon.path("second.sock").display());
    let pid = daemon.path("pid2").display().to_string();
    let output = longshore(&["daemon", "-g", &data, "--exec-root", &exec, "-H", &host, "-p", &pid]);
    assert!(output.code != Some(0) && output.stderr.contains(&data), "{output:?}");
}

#[test]
fn the_daemon_answers_at_once() {
    let mut daemon = Daemon::start();
    // Once is enough: other tests run beside this one, and the machine may be slow.
    let mut times = Vec::new();
    let quick = (0..10).any(|_| {
        daemon.end();
        let started = std::time::Instant::now();
        daemon.restart();
        times.push(started.elapsed().as_millis());
        times.last().is_some_and(|milliseconds| *milliseconds < 1000)
    });
    assert!(quick, "the first answer took {times:?} ms");
}

#[test]
fn without_flags_it_is_where_clients_look_for_docker() {
    // In namespaces of its own, for the machine may have an engine at that place.
    let script = r#"
        cd "$1"
        mount -t tmpfs tmpfs "$(readlink -f /var/run)"
        grep -v '^docker:' /etc/group > group || true
        echo docker:x:7777: >> group
        mount --bind group /etc/group
        ip link set lo up
        "$2" daemon --data-root data --exec-root exec > log 2>&1 &
        for i in $(seq 100); do test -S /var/run/docker.sock && break; sleep 0.1; done
        env -u DOCKER_HOST docker version --format '{{.Server.Os}}' || cat log
        stat --format '%a %g' /var/run/docker.sock
        kill $!
        wait $!"#;
    let folder = tempfile::tempdir_in(environment("LONGSHORE_TEST_DISK")).expect("a folder can be made");
    let unshare = Program::new("unshare").args(["--mount", "--net", "sh", "-ec", script, "sh"]);
    let told = unshare.args([folder.path(), &environment("LONGSHORE_BIN")]).run().ok();
    assert_eq!(told, "linux\n660 7777");
}

#[test]
fn clients_with_a_certificate_are_served_over_tls_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let script = r#"
        cd "$1"
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -subj /CN=ca -days 2
        for who in server client; do
            openssl req -newkey rsa:2048 -nodes -keyout $who-key.pem -out $who.csr -subj /CN=localhost
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' > ext
            openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out $who.pem -days 2 -extfile ext
        done"#;
    Program::new("sh").args(["-ec", script, "sh"]).args([folder.path()]).run().ok();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let daemon = Daemon::with(&[
        "--host",
        "tcp://127.0.0.1:2376",
        "--tlsverify",
        "--tlscacert",
        &file("ca.pem"),
        "--tlscert",
        &file("server.pem"),
        "--tlskey",
        &file("server-key.pem"),
    ]);
    let fetch = |more: &[&str]| {
        daemon.on_host(&[&["curl", "-s", "--cacert", &file("ca.pem"), "https://127.0.0.1:2376/_ping"], more].concat())
    };
    assert_eq!(fetch(&["--cert", &file("client.pem"), "--key", &file("client-key.pem")]).ok(), "OK");
    assert_ne!(fetch(&[]).code, Some(0));
}
