//! Measures a shim: output through an attached client and the log at once, reading the log back, and memory.
//!
//! ```text
//! cargo run --release -p shim --example throughput [folder for the log]
//! ```

#[path = "../tests/containers/plain.rs"]
mod plain;

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use serde_json::value::RawValue;
use shim::log::{Reader, Record, Selection, Style};
use shim::protocol::{Attach, Command, Event, LogConfig, Start, Stdio};
use shim::{Connection, Incoming, Launcher};

const MIB: f64 = 1024.0 * 1024.0;
const TOTAL_BYTES: u64 = 256 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("launcher") => {
            let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            shim::launcher::run_with(control, || Box::new(plain::Plain));
        }
        Some("text") => return write_text(),
        _ => {}
    }
    let folder = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("throughput-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let launcher = Launcher::start(["launcher"]).unwrap();
    for (name, client, log) in
        [("attach + log", true, true), ("attach", true, false), ("log", false, true), ("neither", false, false)]
    {
        let path = folder.join("json.log");
        let seconds = stream(&launcher, &folder, client, log.then_some(path.as_path()));
        println!("{name:14} {:6.0} MiB/s", TOTAL_BYTES as f64 / MIB / seconds);
        if log && client {
            read_back(&path);
        }
        drop(std::fs::remove_file(&path));
    }
    launches(&launcher, &folder);
    memory(&launcher, &folder);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What a container would write: lines of about 80 characters.
fn write_text() {
    use std::io::Write;
    let mut block = Vec::new();
    for number in 0.. {
        let line = format!("{number:08} the quick brown fox jumps over the lazy dog, again and again and again\n");
        if block.len() + line.len() > 64 * 1024 {
            break;
        }
        block.extend_from_slice(line.as_bytes());
    }
    let mut written = 0;
    let mut stdout = std::io::stdout().lock();
    while written < TOTAL_BYTES {
        let length = block.len().min((TOTAL_BYTES - written) as usize);
        stdout.write_all(&block[..length]).unwrap();
        written += length as u64;
    }
}

/// Seconds from the start to the exit.
fn stream(launcher: &Launcher, folder: &Path, client: bool, log: Option<&Path>) -> f64 {
    let connection = launcher.launch("throughput", &folder.join("shim.sock")).unwrap();
    let reader = client.then(|| attach(&connection));
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let plan = plain::Program::json([&program, "text"]);
    let started = Instant::now();
    start(&connection, &plan, log);
    if let Some(mut client) = reader {
        let mut buffer = vec![0; 256 * 1024];
        let mut received = 0;
        loop {
            match client.read(&mut buffer).unwrap() {
                0 => break,
                length => received += length as u64,
            }
        }
        assert!(received > TOTAL_BYTES, "{received}");
    }
    until(&connection, |event| matches!(event, Event::Exited(_)));
    let seconds = started.elapsed().as_secs_f64();
    release(&connection);
    seconds
}

fn start(connection: &Connection, plan: &RawValue, log: Option<&Path>) {
    let start = Start {
        plan: plan.to_owned(),
        stdio: Stdio::default(),
        log: log.map(|path| LogConfig { path: path.to_owned(), ..LogConfig::default() }),
    };
    connection.send(&Command::Start(Box::new(start)), &[]).unwrap();
    until(connection, |event| matches!(event, Event::Started { .. }));
}

fn attach(connection: &Connection) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let attach = Attach { attach_id: 1, stdout: true, stderr: true, framed: true, ..Attach::default() };
    connection.send(&Command::Attach(attach), &[theirs.as_fd()]).unwrap();
    ours
}

fn release(connection: &Connection) {
    connection.send(&Command::Release, &[]).unwrap();
    while !matches!(connection.receive(), Ok(Incoming::Closed)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn until(connection: &Connection, wanted: impl Fn(&Event) -> bool) {
    loop {
        match connection.receive().unwrap() {
            Incoming::Message(event, _) if wanted(&event) => return,
            Incoming::Message(..) => {}
            Incoming::Nothing => {
                let mut fds = [PollFd::new(connection, PollFlags::IN)];
                rustix::event::poll(&mut fds, None).unwrap();
            }
            Incoming::Closed => panic!("the shim is gone"),
        }
    }
}

fn read_back(path: &Path) {
    let size = std::fs::metadata(path).unwrap().len() as f64 / MIB;
    let mut reader = Reader::open(path, Selection::default()).unwrap();
    let started = Instant::now();
    let mut record = Record::default();
    let mut records = 0u64;
    while reader.read(&mut record).unwrap() {
        records += 1;
    }
    let speed = size / started.elapsed().as_secs_f64();
    println!("{:14} {speed:6.0} MiB/s of file ({records} records, {size:.0} MiB)", "decode");
    let mut reader = Reader::open(path, Selection::default()).unwrap();
    let style = Style { stdout: true, framed: true, ..Style::default() };
    let started = Instant::now();
    let mut out = Vec::new();
    while reader.render(&style, &mut out, 64 * 1024).unwrap() {
        out.clear();
    }
    println!("{:14} {:6.0} MiB/s of file", "render", size / started.elapsed().as_secs_f64());
    let started = Instant::now();
    Reader::open(path, Selection { tail: Some(100), ..Selection::default() }).unwrap().read(&mut record).unwrap();
    println!("{:14} {:6.0} µs", "tail 100", started.elapsed().as_secs_f64() * 1e6);
}

fn launches(launcher: &Launcher, folder: &Path) {
    let mut times: Vec<f64> = (0..50)
        .map(|_| {
            let started = Instant::now();
            let connection = launcher.launch("launch", &folder.join("shim.sock")).unwrap();
            let seconds = started.elapsed().as_secs_f64();
            until(&connection, |event| matches!(event, Event::Hello(_)));
            release(&connection);
            seconds * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{:14} {:6.0} µs median, {:.0} µs p95", "launch", times[25], times[47]);
}

fn memory(launcher: &Launcher, folder: &Path) {
    let plan = plain::Program::json(["/bin/sleep", "60"]);
    let connections: Vec<Connection> = (0..10)
        .map(|number| {
            let connection = launcher.launch("memory", &folder.join(format!("{number}.sock"))).unwrap();
            start(&connection, &plan, Some(&folder.join(format!("{number}.log"))));
            connection
        })
        .collect();
    let pids: Vec<i32> = connections
        .iter()
        .map(|connection| {
            connection.send(&Command::Hello { protocol: 1 }, &[]).unwrap();
            loop {
                match connection.receive().unwrap() {
                    Incoming::Message(Event::Hello(state), _) if state.pid.is_some() => return state.shim_pid,
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        })
        .collect();
    let sum = |field: &str| -> u64 { pids.iter().map(|pid| rollup(*pid, field)).sum::<u64>() / pids.len() as u64 };
    println!(
        "{:14} PSS {} kB, private dirty {} kB, RSS {} kB",
        "10 shims",
        sum("Pss:"),
        sum("Private_Dirty:"),
        sum("Rss:")
    );
    for connection in &connections {
        connection.send(&Command::Signal { exec_id: None, signal: 9 }, &[]).unwrap();
        until(connection, |event| matches!(event, Event::Exited(_)));
        release(connection);
    }
}

fn rollup(pid: i32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
