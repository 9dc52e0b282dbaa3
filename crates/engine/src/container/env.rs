//! The environment a container's first process starts with.

/// Search path of a container whose image names none (Docker's).
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment: Docker's own variables, the links', then the configuration's, which override by name;
/// an entry without `=` removes a variable. `HOME` comes last, unless it is set.
pub(crate) fn environment(hostname: &str, tty: bool, links: Vec<String>, config: &[String], home: &str) -> Vec<String> {
    let mut env = vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={hostname}")];
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(links);
    override_with(&mut env, config);
    if !env.iter().any(|entry| key(entry) == "HOME") {
        env.push(format!("HOME={home}"));
    }
    env
}

/// Each entry of `config` replaces the variable of its name, or is added; without `=` it removes.
pub(crate) fn override_with(env: &mut Vec<String>, config: &[String]) {
    for entry in config {
        let position = env.iter().position(|have| key(have) == key(entry));
        match (position, entry.contains('=')) {
            (Some(position), true) => entry.clone_into(&mut env[position]),
            (Some(position), false) => {
                env.remove(position);
            }
            (None, true) => env.push(entry.clone()),
            (None, false) => {}
        }
    }
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

/// Value of a variable.
pub(crate) fn lookup<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().rev().find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_overrides_by_name() {
        let config = ["PATH=/bin".to_owned(), "X=1".to_owned(), "TERM".to_owned()];
        let env = environment("box", true, vec!["DB_NAME=/a/db".into()], &config, "/root");
        assert_eq!(env, ["PATH=/bin", "HOSTNAME=box", "DB_NAME=/a/db", "X=1", "HOME=/root"]);
    }

    #[test]
    fn a_home_that_is_set_stays() {
        let env = environment("h", false, vec![], &["HOME=/x".to_owned()], "/root");
        assert_eq!(env.iter().filter(|entry| entry.starts_with("HOME=")).collect::<Vec<_>>(), ["HOME=/x"]);
        assert_eq!(lookup(&env, "HOSTNAME"), Some("h"));
    }
}
