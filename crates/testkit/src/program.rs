//! Running a program to its end, with a limit on its time.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No program of a test may take longer; a hang is a failure with a name.
const LIMIT: Duration = Duration::from_secs(60);

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
    pub fn run(mut self) -> Output {
        let words = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("cannot start {words}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let input = std::mem::take(&mut self.input);
        let writer = std::thread::spawn(move || {
            // A program that does not read its input closes the pipe: not our failure.
            let _ = stdin.write_all(&input);
        });
        let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
        let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
        let status = wait(&mut child, started, &words);
        writer.join().expect("the writing thread does not panic");
        Output {
            words,
            stdout: stdout.join().expect("the reading thread does not panic"),
            stderr: stderr.join().expect("the reading thread does not panic"),
            code: status.code(),
            took: started.elapsed(),
        }
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

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, started: Instant, words: &str) -> std::process::ExitStatus {
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if started.elapsed() > LIMIT {
            child.kill().expect("a child can be killed");
            panic!("{words} did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
