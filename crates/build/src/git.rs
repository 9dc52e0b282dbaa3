//! Git repositories as sources: fetched by the `git` program, which knows every transport and server that people use.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How often a program that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one step of fetching may take.
const WITHIN: Duration = Duration::from_secs(60 * 60);
/// Most of what `git` says that is shown, in bytes.
const SAID_BYTES: u64 = 8 * 1024;
/// Transports that may be used: nothing that reads files of this machine or runs programs.
const TRANSPORTS: &str = "git:http:https:ssh";

/// A repository at an address, with what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its address.
    pub url: String,
    /// Branch, tag or commit; empty: what the repository itself has checked out.
    pub reference: String,
    /// The folder that is wanted; empty: all.
    pub folder: String,
}

impl Repository {
    /// Understands `git://…`, `git@host:path`, `ssh://…`, `github.com/…` and `http(s)://….git`, each perhaps with
    /// `#reference:folder`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let by_scheme = ["git://", "ssh://", "git@"].iter().any(|scheme| url.starts_with(scheme));
        let by_name = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) && url.ends_with(".git");
        let url = match url.strip_prefix("github.com/") {
            Some(path) => format!("https://github.com/{path}"),
            None if by_scheme || by_name => url.to_owned(),
            None => return None,
        };
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        Some(Self { url, reference: reference.to_owned(), folder: folder.to_owned() })
    }

    /// Its last name, without `.git`.
    pub fn name(&self) -> &str {
        let name = self.url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        name.strip_suffix(".git").unwrap_or(name)
    }

    /// Fetches the wanted state into an empty folder, submodules too; the commit. `go_on` is asked all the while whether
    /// somebody still waits.
    pub(crate) fn fetch(&self, into: &Path, go_on: &dyn Fn() -> Result<()>) -> Result<String> {
        if self.reference.starts_with('-') || self.url.starts_with('-') {
            return Err(Error::Invalid(format!("invalid git address {}#{}", self.url, self.reference)));
        }
        let git = |arguments: &[&str]| run(into, arguments, go_on);
        let wanted = |arguments: &[&str]| self.must(into, arguments, go_on);
        wanted(&["init", "-q", "--template="])?;
        wanted(&["remote", "add", "origin", &self.url])?;
        let reference = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        if git(&["fetch", "-q", "--no-tags", "--depth=1", "origin", "--", reference])?.0.success() {
            wanted(&["checkout", "-q", "FETCH_HEAD", "--"])?;
        } else {
            // Some servers know no shallow copies, and some give no single commits.
            wanted(&[
                "fetch",
                "-q",
                "--tags",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
                "+HEAD:refs/remotes/head",
            ])?;
            let there = if reference == "HEAD" { "refs/remotes/head" } else { reference };
            if !git(&["checkout", "-q", "--detach", there, "--"])?.0.success() {
                wanted(&["checkout", "-q", "--detach", &format!("origin/{there}"), "--"])?;
            }
        }
        if into.join(".gitmodules").exists() {
            wanted(&["submodule", "-q", "update", "--init", "--recursive", "--depth=1"])?;
        }
        Ok(wanted(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    fn must(&self, folder: &Path, arguments: &[&str], go_on: &dyn Fn() -> Result<()>) -> Result<String> {
        match run(folder, arguments, go_on)? {
            (status, said) if status.success() => Ok(said),
            (status, said) => Err(Error::Step(format!(
                "Error trying to use git: 'git {}' for {} failed: {status} ({})",
                arguments[0],
                self.url,
                said.trim()
            ))),
        }
    }
}

/// Runs `git`; its exit status and what it said.
fn run(folder: &Path, arguments: &[&str], go_on: &dyn Fn() -> Result<()>) -> Result<(ExitStatus, String)> {
    let mut said = tempfile::tempfile().map_err(Error::io("making a file for what git says"))?;
    let clone = |file: &File| file.try_clone().map_err(Error::io("making a file for what git says"));
    let mut command = Command::new("git");
    command
        .args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60", "-c", "core.hooksPath=/dev/null", "-C"])
        .arg(folder)
        .args(arguments)
        .env("GIT_ALLOW_PROTOCOL", TRANSPORTS)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        .env_remove("GIT_DIR")
        .stdin(Stdio::null())
        .stdout(clone(&said)?)
        .stderr(clone(&said)?)
        .process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Step(
            "this host has no git program, which building from a git repository needs: install git, or send the files"
                .to_owned(),
        ),
        _ => Error::Io { action: "starting git", source: error },
    })?;
    let status = wait(&mut child, go_on)?;
    let mut bytes = Vec::new();
    said.rewind().map_err(Error::io("reading what git said"))?;
    said.take(SAID_BYTES).read_to_end(&mut bytes).map_err(Error::io("reading what git said"))?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Waits for the end; kills it, with all that it started, when nobody waits any more.
fn wait(child: &mut Child, go_on: &dyn Fn() -> Result<()>) -> Result<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(Error::io("waiting for git"))? {
            return Ok(status);
        }
        let in_time = || match begun.elapsed() > WITHIN {
            true => Err(Error::Step(format!("git did not end within {WITHIN:?}"))),
            false => Ok(()),
        };
        if let Err(error) = go_on().and_then(|()| in_time()) {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                // It may just have ended by itself.
                let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait().map_err(Error::io("waiting for git"))?;
            return Err(error);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parts = |text: &str| {
            Repository::parse(text).map(|repository| (repository.url, repository.reference, repository.folder))
        };
        let some = |url: &str, reference: &str, folder: &str| Some((url.into(), reference.into(), folder.into()));
        assert_eq!(parts("git://h/r"), some("git://h/r", "", ""));
        assert_eq!(parts("https://h/r.git#v1:a/b"), some("https://h/r.git", "v1", "a/b"));
        assert_eq!(parts("https://h/r.git#:a"), some("https://h/r.git", "", "a"));
        assert_eq!(parts("git@h:r.git#x"), some("git@h:r.git", "x", ""));
        assert_eq!(parts("github.com/a/b"), some("https://github.com/a/b", "", ""));
        for other in ["https://h/r", "http://h/r.git.tar", "file:///r.git", "/r.git", "ext::sh"] {
            assert_eq!(parts(other), None, "{other}");
        }
        assert_eq!(Repository::parse("git@h:a/r.git").map(|it| it.name().to_owned()).as_deref(), Some("r"));
    }

    #[test]
    fn an_option_is_no_reference() {
        let repository = Repository::parse("git://127.0.0.1:1/r#--upload-pack=x").expect("an address");
        let error = repository.fetch(Path::new("/nowhere"), &|| Ok(())).expect_err("it is refused");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}
