//! Kernel settings of the network namespace that the calling thread is in.

use std::{fs, io};

use crate::{Error, Result};

fn path(setting: &str) -> String {
    format!("/proc/sys/net/{setting}")
}

/// Sets `/proc/sys/net/...`; a setting this kernel does not have (no IPv6, say) is left out.
pub(crate) fn set(setting: &str, value: &str) -> Result<()> {
    match fs::write(path(setting), value) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(refused(setting, value, cause)),
        Ok(()) => Ok(()),
    }
}

/// Sets `/proc/sys/net/...` unless it has the value already; it may be read-only then.
pub(crate) fn ensure(setting: &str, value: &str) -> Result<()> {
    if fs::read_to_string(path(setting)).is_ok_and(|text| text.trim() == value) {
        return Ok(());
    }
    fs::write(path(setting), value).map_err(|cause| refused(setting, value, cause))
}

fn refused(setting: &str, value: &str, cause: io::Error) -> Error {
    Error::system(format!("set net.{} to {value}", setting.replace('/', ".")), cause)
}
