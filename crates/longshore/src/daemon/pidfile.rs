//! The file that holds the daemon's process id.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The file, removed at the end.
#[derive(Debug)]
pub(super) struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes our process id.
    ///
    /// # Errors
    /// The daemon whose id is in the file still runs, or the file cannot be written.
    pub(super) fn write(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        if let Some(pid) = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u32>().ok())
            && pid != std::process::id()
            && runs(pid)
        {
            bail!(
                "a daemon with process id {pid} is still running: stop it, or choose another --pidfile, --data-root \
                 and --exec-root (its id is in {})",
                path.display()
            );
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {}", path.display()))?;
        }
        fs::write(&path, std::process::id().to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

/// Whether `pid` is a process that runs our program: ids are used again.
fn runs(pid: u32) -> bool {
    let name = |pid: &str| fs::read_to_string(Path::new("/proc").join(pid).join("comm")).ok();
    name(&pid.to_string()).is_some_and(|theirs| name("self").is_none_or(|ours| ours == theirs))
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "the pidfile could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_left_behind_is_replaced() {
        let path = std::env::temp_dir().join(format!("longshore-pidfile-{}", std::process::id()));
        let text = path.display().to_string();
        // No process has this id: it is above the kernel's limit.
        fs::write(&path, "4194305").unwrap();
        let pidfile = Pidfile::write(&text).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(pidfile);
        assert!(!path.exists());
    }
}
