//! Git repositories as sources: fetched by the `git` program, which knows every transport and server that people use.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Repository, Result};

/// How often a program that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one step of fetching may take.
const WITHIN: Duration = Duration::from_secs(60 * 60);
/// Most of what `git` says that is shown, in bytes.
const SAID_BYTES: u64 = 8 * 1024;
/// Transports that may be used: nothing that reads files of this machine or runs programs.
const TRANSPORTS: &str = "git:http:https:ssh";

/// How a client's agent is asked to log in: with nothing of this host's, neither keys nor settings. A server's key is taken
/// as it comes, as BuildKit does, unless the host's administrator has written down another.
const SSH_WITH_AGENT: &str = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new \
     -o UserKnownHostsFile=/dev/null -o IdentityFile=none -o LogLevel=ERROR";
/// Without one: what this host has set up for itself.
const SSH: &str = "ssh -o BatchMode=yes";

/// A repository on its way into a folder.
pub(crate) struct Checkout<'a> {
    pub(crate) repository: &'a Repository,
    /// An empty folder.
    pub(crate) folder: &'a Path,
    /// The socket of the client's SSH agent.
    pub(crate) agent: Option<&'a Path>,
    /// Is asked all the while whether somebody still waits.
    pub(crate) go_on: &'a dyn Fn() -> Result<()>,
}

impl Checkout<'_> {
    /// Fetches the wanted state, submodules too.
    pub(crate) fn fetch(&self) -> Result<()> {
        let Repository { url, reference, .. } = self.repository;
        if reference.starts_with('-') || url.starts_with('-') {
            return Err(Error::Invalid(format!("invalid git address {url}#{reference}")));
        }
        self.must(&["init", "-q", "--template="])?;
        self.must(&["remote", "add", "origin", url])?;
        let wanted = if reference.is_empty() { "HEAD" } else { reference };
        if self.run(&["fetch", "-q", "--no-tags", "--depth=1", "origin", "--", wanted])?.0.success() {
            self.must(&["checkout", "-q", "FETCH_HEAD", "--"])?;
        } else {
            // Some servers know no shallow copies, and some give no single commits.
            self.must(&[
                "fetch",
                "-q",
                "--tags",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
                "+HEAD:refs/remotes/head",
            ])?;
            let there = if reference.is_empty() { "refs/remotes/head" } else { self.repository.branch() };
            if !self.run(&["checkout", "-q", "--detach", there, "--"])?.0.success() {
                self.must(&["checkout", "-q", "--detach", &format!("origin/{there}"), "--"])?;
            }
        }
        if self.repository.submodules && self.folder.join(".gitmodules").exists() {
            self.must(&["submodule", "-q", "update", "--init", "--recursive", "--depth=1"])?;
        }
        let commit = self.must(&["rev-parse", "HEAD"])?.trim().to_owned();
        let checksum = &self.repository.checksum;
        match commit.starts_with(checksum) {
            true => Ok(()),
            false => Err(Error::Step(format!("{url} is at the commit {commit}: {checksum} was expected"))),
        }
    }

    fn must(&self, arguments: &[&str]) -> Result<String> {
        match self.run(arguments)? {
            (status, said) if status.success() => Ok(said),
            (status, said) => {
                let (url, said) = (&self.repository.url, said.trim());
                let hint = match self.repository.is_ssh() && self.agent.is_none() {
                    true => "; docker buildx build --ssh default lends the client's SSH agent",
                    false => "",
                };
                let failed = format!("'git {}' for {url} failed: {status} ({said}){hint}", arguments[0]);
                Err(Error::Step(format!("Error trying to use git: {failed}")))
            }
        }
    }

    /// Runs `git`; its exit status and what it said.
    fn run(&self, arguments: &[&str]) -> Result<(ExitStatus, String)> {
        let mut said = tempfile::tempfile().map_err(Error::io("making a file for what git says"))?;
        let clone = |file: &File| file.try_clone().map_err(Error::io("making a file for what git says"));
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(clone(&said)?).stderr(clone(&said)?).process_group(0);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Step(
                "this host has no git program, which building from a git repository needs: install git, or send the files"
                    .to_owned(),
            ),
            _ => Error::Io { action: "starting git", source: error },
        })?;
        let status = wait(&mut child, self.go_on)?;
        let mut bytes = Vec::new();
        said.rewind().map_err(Error::io("reading what git said"))?;
        said.take(SAID_BYTES).read_to_end(&mut bytes).map_err(Error::io("reading what git said"))?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60", "-c", "core.hooksPath=/dev/null", "-C"])
            .arg(self.folder)
            .args(arguments)
            .env("GIT_ALLOW_PROTOCOL", TRANSPORTS)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", if self.agent.is_some() { SSH_WITH_AGENT } else { SSH })
            .env_remove("GIT_DIR");
        if let Some(agent) = self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        command
    }
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
    fn an_option_is_no_reference() {
        let repository = Repository::parse("git://127.0.0.1:1/r#--upload-pack=x").unwrap().expect("an address");
        let checkout =
            Checkout { repository: &repository, folder: Path::new("/nowhere"), agent: None, go_on: &|| Ok(()) };
        let error = checkout.fetch().expect_err("it is refused");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}
