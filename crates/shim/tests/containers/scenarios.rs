//! What is expected of a shim, seen from the daemon and from clients.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use shim::log::{Reader, Selection, Style, Watch};
use shim::protocol::{Attach, Command, EndReason, Event, Exec, LogConfig, Start, Stdio, WindowSize};
use shim::{Connection, Error};

use crate::harness::{Container, PATIENCE, read_until, script, unframe, write_and_close};
use crate::plain::Program;

/// Name and body of every scenario.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("output_reaches_client_and_log_before_the_exit", output_reaches_client_and_log_before_the_exit),
    ("an_exec_whose_client_cannot_be_served_has_failed", an_exec_whose_client_cannot_be_served_has_failed),
    ("old_clients_get_merged_raw_output", old_clients_get_merged_raw_output),
    ("input_passes_and_its_end_closes_stdin_once", input_passes_and_its_end_closes_stdin_once),
    ("stdin_stays_open_across_clients_without_once", stdin_stays_open_across_clients_without_once),
    ("early_input_comes_first", early_input_comes_first),
    ("a_slow_client_stops_the_output_but_loses_nothing", a_slow_client_stops_the_output_but_loses_nothing),
    ("a_dead_client_is_dropped", a_dead_client_is_dropped),
    ("a_killed_process_reports_its_signal", a_killed_process_reports_its_signal),
    ("a_program_that_cannot_start_ends_the_shim", a_program_that_cannot_start_ends_the_shim),
    ("a_terminal_is_raw_resizable_and_detachable", a_terminal_is_raw_resizable_and_detachable),
    ("execs_have_streams_of_their_own", execs_have_streams_of_their_own),
    ("an_exec_outlives_its_client", an_exec_outlives_its_client),
    ("left_behind_processes_do_not_delay_the_exit", left_behind_processes_do_not_delay_the_exit),
    ("containers_and_clients_outlive_the_daemon", containers_and_clients_outlive_the_daemon),
    ("an_exit_without_daemon_is_kept", an_exit_without_daemon_is_kept),
    ("a_shim_without_container_ends_with_its_daemon", a_shim_without_container_ends_with_its_daemon),
    ("a_dead_launcher_is_replaced", a_dead_launcher_is_replaced),
    ("our_program_cannot_be_written_through_proc", our_program_cannot_be_written_through_proc),
    ("garbage_does_not_end_a_shim", garbage_does_not_end_a_shim),
    ("real_container", crate::real::a_real_container_runs_with_execs_in_little_memory),
    ("real_terminal", crate::real::a_real_terminal_works_and_dies_with_its_shim),
    ("a_replay_joins_the_live_output", a_replay_joins_the_live_output),
    ("without_log_nothing_is_written", without_log_nothing_is_written),
    ("a_log_is_rotated_while_it_is_followed", a_log_is_rotated_while_it_is_followed),
    ("a_client_that_is_no_socket_is_turned_away", a_client_that_is_no_socket_is_turned_away),
    ("a_client_that_never_reads_does_not_delay_the_exit", a_client_that_never_reads_does_not_delay_the_exit),
];

const PIPED: Stdio = Stdio { terminal: false, open_stdin: true, stdin_once: false };
const ONCE: Stdio = Stdio { terminal: false, open_stdin: true, stdin_once: true };
const TERMINAL: Stdio = Stdio { terminal: true, open_stdin: true, stdin_once: false };

fn output_reaches_client_and_log_before_the_exit() {
    let mut container = Container::new();
    let client = container.attach();
    container.start("echo one; echo two >&2; printf rest; exit 7", Stdio::default());
    let (stdout, stderr) = unframe(client);
    assert_eq!((stdout.as_slice(), stderr.as_slice()), (&b"one\nrest"[..], &b"two\n"[..]));
    let mut ended = false;
    let exit = container.until(|event| match event {
        Event::AttachEnded { reason, .. } => {
            ended = reason == EndReason::Exited;
            None
        }
        Event::Exited(exit) => Some(exit),
        _ => None,
    });
    assert!(ended, "clients end before the exit is reported");
    assert_eq!((exit.code, exit.signal), (7, None));
    assert_eq!(container.logged("stdout"), "one\nrest");
    assert_eq!(container.logged("stderr"), "two\n");
    container.release();
}

fn old_clients_get_merged_raw_output() {
    let mut container = Container::new();
    let mut client = container.attach_as(Attach { stdout: true, stderr: true, ..Attach::default() });
    let mut quiet = container.attach_as(Attach { stderr: true, ..Attach::default() });
    container.start("echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three", Stdio::default());
    let (mut text, mut part) = (String::new(), String::new());
    client.read_to_string(&mut text).unwrap();
    quiet.read_to_string(&mut part).unwrap();
    assert_eq!((text.as_str(), part.as_str()), ("one\ntwo\nthree\n", "two\n"));
    container.exit();
    container.release();
}

fn input_passes_and_its_end_closes_stdin_once() {
    let mut container = Container::new();
    let client = container.attach();
    // Much more than all buffers on the way together hold, and given before the start.
    let sent: Vec<u8> = (0..3_000_000u32).map(|number| b'a' + (number % 26) as u8).collect();
    let writer = write_and_close(&client, sent.clone());
    container.start("sleep 0.1; cat; echo >&2 end", ONCE);
    let (stdout, stderr) = unframe(client);
    writer.join().unwrap();
    assert!(stdout == sent, "input is changed");
    assert_eq!(stderr, b"end\n");
    assert_eq!(container.exit().code, 0);
    container.release();
}

fn stdin_stays_open_across_clients_without_once() {
    let mut container = Container::new();
    container.start("while read line; do echo got $line; test $line = last && exit 3; done", PIPED);
    let mut first = container.attach();
    first.write_all(b"one\n").unwrap();
    read_until(&mut first, "got one\n");
    first.shutdown(Shutdown::Write).unwrap();
    let mut second = container.attach();
    second.write_all(b"last\n").unwrap();
    // The process takes more input, and so the first was done with its own.
    assert_eq!(unframe(first).0, b"");
    read_until(&mut second, "got last\n");
    assert_eq!(container.exit().code, 3);
    container.release();
}

fn early_input_comes_first() {
    let mut container = Container::new();
    let early_input = b"\xffearly ".repeat(20_000);
    let attach = Attach { stdin: true, stdout: true, early_input: early_input.clone(), ..Attach::default() };
    let mut client = container.attach_as(attach);
    let writer = write_and_close(&client, b"late".to_vec());
    container.start("cat", ONCE);
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    writer.join().unwrap();
    assert!(all == [early_input, b"late".to_vec()].concat());
    container.exit();
    container.release();
}

fn a_slow_client_stops_the_output_but_loses_nothing() {
    let mut container = Container::new();
    let client = container.attach();
    container.start("head -c 4000000 /dev/zero | tr '\\0' x; echo; exit 0", Stdio::default());
    std::thread::sleep(Duration::from_millis(500));
    let logged = std::fs::metadata(container.log_path()).unwrap().len();
    assert!(logged < 2_000_000, "the output was not held back: {logged}");
    let (stdout, _) = unframe(client);
    assert_eq!(stdout.len(), 4_000_001);
    container.exit();
    assert_eq!(container.logged("stdout").len(), 4_000_001);
    container.release();
}

fn a_dead_client_is_dropped() {
    let mut container = Container::new();
    let client = container.attach_as(Attach { stdout: true, ..Attach::default() });
    container.start("while read line; do :; done; head -c 4000000 /dev/zero | tr '\\0' x", PIPED);
    let mut second = container.attach_as(Attach { stdin: true, ..Attach::default() });
    drop(client);
    let reason = container.until(|event| match event {
        Event::AttachEnded { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, EndReason::Gone);
    second.write_all(b"x\n").unwrap();
    container.send(&Command::CloseStdin { exec_id: None }, None);
    container.exit();
    assert_eq!(container.logged("stdout").len(), 4_000_000);
    container.release();
}

fn a_killed_process_reports_its_signal() {
    let mut container = Container::new();
    container.start("kill -STOP $$", Stdio::default());
    container.send(&Command::Signal { exec_id: None, signal: 9 }, None);
    let exit = container.exit();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    container.release();
}

fn a_program_that_cannot_start_ends_the_shim() {
    let mut container = Container::new();
    let mut client = container.attach();
    let plan = Program::json(["/does/not/exist"]);
    let start = Start { plan, stdio: Stdio::default(), log: None };
    container.send(&Command::Start(Box::new(start)), None);
    let failure = container.until(|event| match event {
        Event::StartFailed(failure) => Some(failure),
        _ => None,
    });
    assert_eq!((failure.stage.as_str(), failure.errno), ("exec", 2));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    while container.socket.exists() {
        assert!(Instant::now() < deadline, "the shim did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn a_terminal_is_raw_resizable_and_detachable() {
    let mut container = Container::new();
    let keys = Attach {
        stdin: true,
        stdout: true,
        stderr: true,
        framed: true,
        detach_keys: vec![16, 17],
        ..Attach::default()
    };
    // Attached before it is known that there is a terminal.
    let mut client = container.attach_as(keys.clone());
    container.start("stty -echo; while read line; do stty size; echo got $line >&2; done; exit 5", TERMINAL);
    std::thread::sleep(Duration::from_millis(100));
    container.send(&Command::Resize { exec_id: None, size: WindowSize { rows: 33, columns: 77 } }, None);
    client.write_all(b"a\n").unwrap();
    assert!(read_until(&mut client, "got a\r\n").contains("33 77\r\n"));
    client.write_all(b"b\x10").unwrap();
    client.write_all(b"\x11never seen\n").unwrap();
    let reason = container.until(|event| match event {
        Event::AttachEnded { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, EndReason::Detached);
    assert_eq!(client.read(&mut [0; 64]).unwrap(), 0);
    let mut second = container.attach_as(keys);
    second.write_all(b"c\n").unwrap();
    read_until(&mut second, "got bc\r\n");
    second.write_all(b"\x04").unwrap();
    assert_eq!(container.exit().code, 5);
    assert!(!container.logged("stdout").contains("never seen"));
    container.release();
}

fn execs_have_streams_of_their_own() {
    let mut container = Container::new();
    let main_client = container.attach();
    container.start("echo main; sleep 1", Stdio::default());
    let (client, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let attach = Attach { attach_id: 99, stdin: true, stdout: true, stderr: true, framed: true, ..Attach::default() };
    let exec = Exec {
        exec_id: "e1".to_owned(),
        process: script("cat; echo error >&2; exit 4"),
        stdio: ONCE,
        attach: Some(attach),
    };
    container.send(&Command::Exec(Box::new(exec)), Some(theirs.into()));
    let writer = write_and_close(&client, b"to the exec".to_vec());
    assert_eq!(unframe(client), (b"to the exec".to_vec(), b"error\n".to_vec()));
    writer.join().unwrap();
    let exit = container.until(|event| match event {
        Event::ExecExited { exec_id, exit } => Some((exec_id, exit.code)),
        _ => None,
    });
    assert_eq!(exit, ("e1".to_owned(), 4));
    assert_eq!(unframe(main_client), (b"main\n".to_vec(), Vec::new()));
    container.exit();
    assert_eq!(container.logged("stdout"), "main\n");
    container.release();
}

fn an_exec_outlives_its_client() {
    let mut container = Container::new();
    container.start("sleep 2", Stdio::default());
    let (client, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let exec = Exec {
        exec_id: "e1".to_owned(),
        process: script("sleep 0.2; echo lost; echo lost; exit 6"),
        stdio: Stdio::default(),
        attach: Some(Attach { attach_id: 5, stdout: true, ..Attach::default() }),
    };
    container.send(&Command::Exec(Box::new(exec)), Some(theirs.into()));
    drop(client);
    let code = container.until(|event| match event {
        Event::ExecExited { exit, .. } => Some(exit.code),
        _ => None,
    });
    assert_eq!(code, 6);
    container.send(&Command::Signal { exec_id: None, signal: 15 }, None);
    container.exit();
    container.release();
}

fn an_exec_whose_client_cannot_be_served_has_failed() {
    let mut container = Container::new();
    container.start("sleep 1000", Stdio::default());
    let exec = Exec {
        exec_id: "e1".to_owned(),
        process: script("exit 1"),
        stdio: Stdio::default(),
        attach: Some(Attach { attach_id: 5, stdout: true, ..Attach::default() }),
    };
    container.send(&Command::Exec(Box::new(exec)), None);
    let failed = container.until(|event| match event {
        Event::ExecFailed { exec_id, failure } => Some((exec_id, failure.detail)),
        Event::Refused { detail, .. } => panic!("whoever waits for its start is not told: {detail}"),
        _ => None,
    });
    assert_eq!(failed, ("e1".to_owned(), "the client's descriptor is missing".to_owned()));
    container.send(&Command::Signal { exec_id: None, signal: 9 }, None);
    container.exit();
    container.release();
}

fn left_behind_processes_do_not_delay_the_exit() {
    let mut container = Container::new();
    let client = container.attach();
    container.start("sleep 1000 & echo $!", Stdio::default());
    container.exit();
    let left = String::from_utf8(unframe(client).0).unwrap();
    let left = sys::process::open(left.trim().parse().unwrap()).unwrap();
    // It is still there, and holds the pipes.
    sys::process::send_signal(left, 9).unwrap();
    container.release();
}

fn containers_and_clients_outlive_the_daemon() {
    let mut container = Container::new();
    let mut client = container.attach_as(Attach { stdin: true, stdout: true, ..Attach::default() });
    let pid = container.start("while read line; do echo got $line; done; exit 9", PIPED);
    client.write_all(b"one\n").unwrap();
    read_until(&mut client, "got one\n");
    container.connection = None;
    client.write_all(b"two\n").unwrap();
    read_until(&mut client, "got two\n");
    container.connection = Some(Connection::open(&container.socket).unwrap());
    let Event::Hello(state) = container.event() else { panic!("no hello") };
    assert_eq!((state.pid, state.exit, state.attached.as_slice()), (Some(pid), None, &[1][..]));
    let mut second = container.attach_as(Attach { stdin: true, stdout: true, ..Attach::default() });
    second.write_all(b"three\n").unwrap();
    read_until(&mut client, "got three\n");
    container.send(&Command::CloseStdin { exec_id: None }, None);
    assert_eq!(container.exit().code, 9);
    assert_eq!(container.logged("stdout"), "got one\ngot two\ngot three\n");
    container.release();
}

fn an_exit_without_daemon_is_kept() {
    let mut container = Container::new();
    let first = container.start("sleep 0.1; echo late; exit 11", Stdio::default());
    let exec = Exec {
        exec_id: "e1".to_owned(),
        process: script("sleep 0.05; exit 12"),
        stdio: Stdio::default(),
        attach: None,
    };
    container.send(&Command::Exec(Box::new(exec)), None);
    let second = container.until(|event| match event {
        Event::ExecStarted { pid, .. } => Some(pid),
        _ => None,
    });
    container.connection = None;
    let deadline = Instant::now() + PATIENCE;
    while [first, second].iter().any(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists()) {
        assert!(Instant::now() < deadline, "the shim does not reap");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The pipes are read to their end after that.
    std::thread::sleep(Duration::from_millis(400));
    container.connection = Some(Connection::open(&container.socket).unwrap());
    let Event::Hello(state) = container.event() else { panic!("no hello") };
    assert_eq!(state.exit.map(|exit| exit.code), Some(11));
    assert_eq!(state.execs[0].exit.map(|exit| exit.code), Some(12));
    assert_eq!(container.logged("stdout"), "late\n");
    container.release();
}

fn a_shim_without_container_ends_with_its_daemon() {
    let mut container = Container::new();
    container.connection = None;
    let deadline = Instant::now() + PATIENCE;
    while container.socket.exists() {
        assert!(Instant::now() < deadline, "the shim did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(Connection::open(&container.socket), Err(Error::NoShim { .. })));
}

fn a_dead_launcher_is_replaced() {
    let mut container = Container::new();
    container.start("sleep 0.3; exit 2", Stdio::default());
    let dead = container.launcher.pid().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(dead as i32).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    let other = container.launcher.launch("other", &container.folder.path().join("other.sock")).unwrap();
    assert_ne!(container.launcher.pid().unwrap(), dead);
    drop(other);
    // The first shim does not notice.
    assert_eq!(container.exit().code, 2);
    container.release();
}

fn our_program_cannot_be_written_through_proc() {
    // A copy of this program plays the daemon, so that the test itself does not keep its file busy.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut daemon = std::process::Command::new(&copy)
        .arg("daemon")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut launcher = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(daemon.stdout.as_mut().unwrap()), &mut launcher).unwrap();
    let link = format!("/proc/{}/exe", launcher.trim());
    let held = rustix::fs::open(&*link, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    let write = |path: &str| std::fs::OpenOptions::new().write(true).open(path).map_err(|error| error.raw_os_error());
    assert!(write(&link).is_err());
    drop(daemon.stdin.take());
    daemon.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Once nobody executes it the file itself can be written, but not through what a container could have kept open.
    while write(copy.to_str().unwrap()).is_err() {
        assert!(Instant::now() < deadline, "the launcher did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kept = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    assert_eq!(write(&kept).unwrap_err(), Some(30));
}

fn garbage_does_not_end_a_shim() {
    let mut container = Container::new();
    for garbage in [&b"@"[..], b"{", b"\"Dance\"", b"{\"Start\":{}}", &[0xff; 5000]] {
        sys::socket::send(container.connection.as_ref().unwrap(), garbage, &[]).unwrap();
        assert!(matches!(container.event(), Event::Refused { .. }));
    }
    container.start("exit 1", Stdio::default());
    assert_eq!(container.exit().code, 1);
    container.release();
}

fn a_replay_joins_the_live_output() {
    let mut container = Container::new();
    let text = "n=0; while test $n -lt 20000; do echo line $n; n=$((n+1)); done; printf half; sleep 0.5; echo .";
    container.start(text, Stdio::default());
    let mut parts = Vec::new();
    for pause in [0, 5, 20, 400] {
        std::thread::sleep(Duration::from_millis(pause));
        let mut reader = Reader::open(&container.log_path(), Selection::default()).unwrap();
        let mut replay = Vec::new();
        let style = Style { stdout: true, ..Style::default() };
        assert!(!reader.render(&style, &mut replay, usize::MAX).unwrap());
        let attach = Attach { stdout: true, resume: reader.position(), ..Attach::default() };
        let mut client = container.attach_as(attach);
        parts.push(std::thread::spawn(move || {
            client.read_to_end(&mut replay).unwrap();
            String::from_utf8(replay).unwrap()
        }));
    }
    let expected: String = (0..20_000).map(|n| format!("line {n}\n")).chain(["half.\n".to_owned()]).collect();
    for part in parts {
        assert!(part.join().unwrap() == expected, "replay and live output do not join");
    }
    container.exit();
    container.release();
}

fn without_log_nothing_is_written() {
    let mut container = Container::new();
    let client = container.attach();
    let start = Start { plan: script("echo x; exit 3"), stdio: Stdio::default(), log: None };
    container.send(&Command::Start(Box::new(start)), None);
    assert_eq!(unframe(client).0, b"x\n");
    assert_eq!(container.exit().code, 3);
    assert_eq!(std::fs::read_dir(container.folder.path()).unwrap().count(), 1, "only the socket");
    container.release();
}

fn a_log_is_rotated_while_it_is_followed() {
    let mut container = Container::new();
    let path = container.log_path();
    let log = LogConfig { path: path.clone(), max_size_bytes: Some(20_000), max_files: 1000, ..LogConfig::default() };
    let text = "n=0; while test $n -lt 5000; do echo $n; n=$((n+1)); done";
    let start = Start { plan: script(text), stdio: Stdio::default(), log: Some(log) };
    let mut reader = Reader::open(&path, Selection::default()).unwrap();
    let watch = Watch::new(&path).unwrap();
    container.send(&Command::Start(Box::new(start)), None);
    let mut text = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !text.ends_with(b"\n4999\n") {
        assert!(Instant::now() < deadline, "records are missing");
        watch.clear().unwrap();
        if reader.render(&Style { stdout: true, ..Style::default() }, &mut text, usize::MAX).unwrap() {
            continue;
        }
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&Duration::from_secs(1).try_into().unwrap())).unwrap();
    }
    let expected: String = (0..5000).map(|n| format!("{n}\n")).collect();
    assert!(String::from_utf8(text).unwrap() == expected);
    assert!(shim::log::rotated(&path, 3).exists());
    container.exit();
    container.release();
}

fn a_client_that_is_no_socket_is_turned_away() {
    let mut container = Container::new();
    container.start("sleep 0.3; echo x; exit 8", Stdio::default());
    let file = tempfile::tempfile().unwrap();
    let attach = Attach { attach_id: 77, stdin: true, stdout: true, ..Attach::default() };
    container.send(&Command::Attach(attach), Some(file.into()));
    container.send(&Command::Attach(Attach { attach_id: 78, ..Attach::default() }), None);
    let mut refused = 0;
    let code = container.until(|event| match event {
        Event::Refused { .. } | Event::AttachEnded { reason: EndReason::Gone, .. } => {
            refused += 1;
            None
        }
        Event::Exited(exit) => Some(exit.code),
        _ => None,
    });
    assert_eq!((code, refused), (8, 2));
    container.release();
}

fn a_client_that_never_reads_does_not_delay_the_exit() {
    let mut container = Container::new();
    let client = container.attach();
    container.start("head -c 250000 /dev/zero | tr '\\0' x", Stdio::default());
    let was_given_up = container.until(|event| match event {
        Event::AttachEnded { .. } => Some(true),
        Event::Exited(_) => Some(false),
        _ => None,
    });
    assert!(!was_given_up, "the exit is told before anybody loses patience with the client");
    assert_eq!(container.logged("stdout").len(), 250_000);
    // It can still have the rest.
    assert_eq!(unframe(client).0.len(), 250_000);
    container.release();
}
