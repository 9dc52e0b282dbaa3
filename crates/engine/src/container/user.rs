//! `User`: names and numbers, resolved in the container's own files.

use sys::root::Root;

use crate::{Error, Result};

/// Largest passwd or group file that is read.
const FILE_LIMIT_BYTES: usize = 16 << 20;

/// Whom a process runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Resolves `user[:group]` and further groups in the container's `/etc/passwd` and `/etc/group`.
///
/// A missing file is an empty one: numbers need none.
///
/// # Errors
/// InvalidParameter in Docker's words: `unable to find user x: no matching entries in passwd file`.
pub(crate) fn resolve(root: &Root, user: &str, further: &[String]) -> Result<User> {
    let file = |path: &str| match root.read(path, FILE_LIMIT_BYTES) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.is_not_found() => Ok(String::new()),
        Err(error) => Err(Error::system(format!("cannot read {path} of the container")).caused_by(error)),
    };
    let passwd = file("/etc/passwd")?;
    let group = file("/etc/group")?;
    resolve_in(&passwd, &group, user, further)
}

fn resolve_in(passwd: &str, group: &str, wanted: &str, further: &[String]) -> Result<User> {
    let (user, primary) = wanted.split_once(':').map_or((wanted, None), |(user, group)| (user, Some(group)));
    let mut resolved = find_user(passwd, user)?;
    let name = resolved.0;
    let user = &mut resolved.1;
    match primary.filter(|group| !group.is_empty()) {
        Some(primary) => user.gid = find_group(group, primary)?,
        // With a group given the user's own memberships do not count.
        None if !name.is_empty() => user.groups = memberships(group, &name),
        None => {}
    }
    for wanted in further {
        let gid = find_group(group, wanted)?;
        if !user.groups.contains(&gid) {
            user.groups.push(gid);
        }
    }
    // The primary group is a supplementary one too: without it a process could drop it and lose a denial (CVE-2022-36109).
    user.groups.retain(|gid| *gid != user.gid);
    user.groups.insert(0, user.gid);
    Ok(resolved.1)
}

/// The user and its name in the file (empty if it is in none).
fn find_user(passwd: &str, wanted: &str) -> Result<(String, User)> {
    let number = wanted.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32);
    let wanted_or_root = if wanted.is_empty() { "root" } else { wanted };
    let entry = passwd.lines().map(fields).find(|fields| {
        let uid = fields.get(2).and_then(|uid| uid.parse::<u32>().ok());
        match wanted {
            "" => uid == Some(0),
            _ => fields[0] == wanted_or_root || (number.is_some() && uid == number),
        }
    });
    if let Some(fields) = entry
        && let (Some(Ok(uid)), Some(Ok(gid))) = (fields.get(2).map(|f| f.parse()), fields.get(3).map(|f| f.parse()))
    {
        let home = fields.get(5).copied().filter(|home| !home.is_empty()).unwrap_or("/");
        let user = User { uid, gid, groups: Vec::new(), home: home.to_owned() };
        return Ok((fields[0].to_owned(), user));
    }
    match number {
        None if is_number(wanted) => Err(out_of_range()),
        Some(uid) => Ok((String::new(), User { uid, home: "/".to_owned(), ..User::default() })),
        None if wanted.is_empty() => Ok((String::new(), User { home: "/".to_owned(), ..User::default() })),
        None => Err(Error::invalid(format!("unable to find user {wanted}: no matching entries in passwd file"))),
    }
}

fn find_group(group: &str, wanted: &str) -> Result<u32> {
    let by_name = group.lines().map(fields).find(|fields| fields[0] == wanted);
    let gid = by_name.and_then(|fields| fields.get(2).and_then(|gid| gid.parse().ok()));
    match gid.or_else(|| wanted.parse::<u32>().ok().filter(|gid| *gid <= i32::MAX as u32)) {
        Some(gid) => Ok(gid),
        None if is_number(wanted) => Err(out_of_range()),
        None => Err(Error::invalid(format!("unable to find group {wanted}: no matching entries in group file"))),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn out_of_range() -> Error {
    Error::invalid(format!("uids and gids must be in range 0-{}", i32::MAX))
}

/// Groups that list the user as a member.
fn memberships(group: &str, name: &str) -> Vec<u32> {
    let member = |fields: &Vec<&str>| fields.get(3).is_some_and(|members| members.split(',').any(|m| m == name));
    let mut gids: Vec<u32> =
        group.lines().map(fields).filter(member).filter_map(|fields| fields[2].parse().ok()).collect();
    gids.dedup();
    gids
}

/// The colon-separated fields of a line: at least one.
fn fields(line: &str) -> Vec<&str> {
    line.trim().split(':').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:\nlog:x:4:web,root\naudio:x:29:web\n";

    fn user(wanted: &str) -> Result<User> {
        resolve_in(PASSWD, GROUP, wanted, &[])
    }

    #[test]
    fn names_numbers_and_nothing() -> Result<()> {
        assert_eq!(user("")?, User { uid: 0, gid: 0, groups: vec![0, 4], home: "/root".into() });
        assert_eq!(user("web")?, User { uid: 33, gid: 33, groups: vec![33, 4, 29], home: "/srv".into() });
        assert_eq!(user("33")?, user("web")?);
        assert_eq!(user("1000")?, User { uid: 1000, groups: vec![0], home: "/".into(), ..User::default() });
        assert_eq!(user("web:log")?, User { uid: 33, gid: 4, groups: vec![4], home: "/srv".into() });
        assert_eq!(user("5:7")?.gid, 7);
        Ok(())
    }

    #[test]
    fn strangers_are_refused() {
        let text = |wanted| user(wanted).map_err(|error| error.to_string());
        assert_eq!(text("eve"), Err("unable to find user eve: no matching entries in passwd file".into()));
        assert_eq!(text("web:eve"), Err("unable to find group eve: no matching entries in group file".into()));
        assert!(user("-1").is_err());
    }

    #[test]
    fn further_groups_are_added() -> Result<()> {
        let further = ["audio".to_owned(), "77".to_owned()];
        assert_eq!(resolve_in(PASSWD, GROUP, "1000", &further)?.groups, [0, 29, 77]);
        Ok(())
    }
}
