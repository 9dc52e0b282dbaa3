//! docker-py of today and of 2014 against the daemon.

use testkit::{Daemon, Program, environment};

fn script(name: &str) -> String {
    std::fs::read_to_string(format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR")))
        .expect("the script is beside the tests")
}

#[test]
fn docker_py_of_today() {
    let daemon = Daemon::with_busybox();
    let seen = Program::new(environment("LONGSHORE_PYTHON"))
        .args(["-c", &script("docker_py_7.py"), &daemon.host()])
        .run()
        .ok();
    assert!(seen.ends_with("well"), "{seen}");
}

#[test]
fn docker_py_of_2014() {
    if std::env::var_os("LONGSHORE_PYTHON2").is_none() {
        eprintln!("no Python 2.7 on this machine: the docker-py of 2014 was NOT tried");
        return;
    }
    let daemon = Daemon::with_busybox();
    let seen = Program::new(environment("LONGSHORE_PYTHON2"))
        .args(["-c", &script("docker_py_0_5.py"), &daemon.host()])
        .run()
        .ok();
    assert!(seen.ends_with("well"), "{seen}");
}
