//! One daemon a database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::{Error, Result};

/// How often the lock is tried again, and after how long: whoever only asks for its [`holder`] has it for a moment.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Holds the lock file as long as it lives; the kernel lets go of it when the process dies in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock beside `database` or says who has it.
    pub(crate) fn take(database: &Path) -> Result<Self> {
        let path = database.with_extension("lock");
        let failed = |source| Error::File { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut attempts = ATTEMPTS;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempts > 0 => {
                    attempts -= 1;
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(Error::InUse { holder: number(&mut file), path }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// The process number that the lock's holder wrote. It is an extra: without it the lock stands all the same.
fn number(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok())
}

/// Who has the lock beside `database`, if anybody has.
pub(crate) fn holder(database: &Path) -> Result<Option<Option<u32>>> {
    let path = database.with_extension("lock");
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| Error::File { path: path.clone(), source })?,
    };
    // Shared, so that two who ask do not take each other for a daemon; let go of as the file is closed.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(number(&mut file))),
        Err(TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}
