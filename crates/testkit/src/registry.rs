//! Debian's `docker-registry` where a daemon sees it on loopback.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Daemon;

/// How long the registry may take to listen.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A registry in the network namespace of a daemon; ended on drop.
#[derive(Debug)]
pub struct Registry {
    process: Child,
}

impl Registry {
    /// Its address, as it stands before the names of its images. The namespace is the daemon's own, so the port is free.
    pub const ADDRESS: &str = "127.0.0.1:5000";

    /// Starts one that a daemon, and what it runs on the host, can reach.
    ///
    /// # Panics
    /// If it does not start.
    pub fn beside(daemon: &Daemon) -> Self {
        let folder = daemon.path("registry");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n  addr: {}\n",
            folder.display(),
            Self::ADDRESS
        );
        std::fs::write(&config, text).expect("a file can be written");
        let mut command = Command::new("nsenter");
        command.arg(daemon.namespace()).args(["docker-registry", "serve"]).arg(&config);
        let log = folder.join("log");
        let said = std::fs::File::create(&log).expect("a file can be made");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let registry = Self { process: command.spawn().expect("Debian's docker-registry can be started") };
        let started = Instant::now();
        while daemon.on_host(&["curl", "-s", &format!("http://{}/v2/", Self::ADDRESS)]).code != Some(0) {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(started.elapsed() < START_WITHIN, "the registry does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
