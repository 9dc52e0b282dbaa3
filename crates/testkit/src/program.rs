//! Running a program to its end, with a limit on its time.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No program of a test may take longer; a hang is a failure with a name. Far above what any takes, for machines under load.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// A program to run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Vec<u8>,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Its command line, for failures.
    pub words: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// How long it took.
    pub took: Duration,
}

impl Program {
    /// `program` without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program), input: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads on standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Starts it, without waiting; its output goes nowhere.
    pub fn start(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.command))
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Panics
    /// If it does not end, or leaves somebody behind who holds its output open. What it has said until then is shown.
    pub fn run(mut self) -> Output {
        let words = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {words}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let input = std::mem::take(&mut self.input);
        std::thread::spawn(move || {
            // A program that does not read its input closes the pipe: not our failure.
            let _ = stdin.write_all(&input);
        });
        let stdout = Heard::of(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Heard::of(child.stderr.take().expect("stderr is a pipe"));
        let late = started + LIMIT;
        let status = wait(&mut child, late);
        let whole = stdout.is_whole(late) && stderr.is_whole(late);
        let (stdout, stderr) = (stdout.text(), stderr.text());
        let code = status.and_then(|status| status.code());
        let output = Output { words, stdout, stderr, code, took: started.elapsed() };
        assert!(status.is_some(), "it did not end within {LIMIT:?}: {}", output.story());
        assert!(whole, "somebody whom it left behind holds its output open: {}", output.story());
        output
    }
}

impl Output {
    /// Standard output without the last line end, of a program that must have succeeded.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == Some(0), "{}", self.story());
        self.stdout.trim_end_matches(['\n', '\r']).to_owned()
    }

    /// Standard error, of a program that must have failed with `code`.
    ///
    /// # Panics
    /// If it ended otherwise.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert!(self.code == Some(code), "{}", self.story());
        self.stderr
    }

    /// What went on. The reason stands first: readers of long reports may see only that.
    fn story(&self) -> String {
        format!("{}\nended with {:?} after {:?}: {}\n{}", self.stderr, self.code, self.took, self.words, self.stdout)
    }
}

/// What comes out of a pipe, read by a thread of its own: also that of a program that does not end can be looked at.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Heard {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (reading, ended) = mpsc::channel();
        let heard = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = pipe.read(&mut buffer).expect("a pipe can be read");
                if length == 0 {
                    return drop(reading);
                }
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
            }
        });
        Self { bytes, ended }
    }

    /// Waits for the end of the pipe; false if it has not come in time.
    fn is_whole(&self, late: Instant) -> bool {
        let left = late.saturating_duration_since(Instant::now());
        matches!(self.ended.recv_timeout(left), Err(RecvTimeoutError::Disconnected))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Waits for the end of a program; one that does not end in time is killed.
fn wait(child: &mut Child, late: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if Instant::now() > late {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
