//! The Unix socket: for root and one group.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::ListenError;

/// The group that may use the socket if it exists.
const DEFAULT_GROUP: &str = "docker";
/// Reading and writing for the owner and the group.
const MODE: u32 = 0o660;
/// How many may wait to be let in: as many as the kernel allows.
const WAITING: i32 = -1;

/// Binds the socket at `path`; one that a daemon left behind is replaced.
pub(super) fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener, ListenError> {
    let gid = match group {
        Some("") => None,
        Some(name) => Some(group_id(name).ok_or_else(|| ListenError::NoGroup(name.to_owned()))?),
        None => group_id(DEFAULT_GROUP),
    };
    clear(path)?;
    make(path, gid).map_err(|error| ListenError::Io(path.display().to_string(), error))
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(ListenError::Taken(path.to_owned()));
            }
            fs::remove_file(path).map_err(|error| ListenError::Io(path.display().to_string(), error))
        }
        // Anything else there makes binding fail, with its own reason.
        _ => Ok(()),
    }
}

fn make(path: &Path, gid: Option<u32>) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Nobody may connect before the socket has its group: it is born without any permission for others.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::os::unix::fs::chown(path, None, gid)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, WAITING)?;
    Ok(socket.into())
}

/// The id of a group by name or number.
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let by_name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    by_name.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
        let path = std::env::temp_dir().join(format!("longshore-listen-{}.sock", std::process::id()));
        let first = bind(&path, Some("")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(bind(&path, Some("")), Err(ListenError::Taken(_))));
        drop(first);
        let second = bind(&path, Some("")).unwrap();
        drop(second);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn groups() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("12345"), Some(12345));
        assert!(matches!(bind(Path::new("/nosuch/x"), Some("no such group")), Err(ListenError::NoGroup(_))));
    }
}
