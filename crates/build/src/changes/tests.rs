use super::*;
use proptest::prelude::*;

fn changed(lines: &[&str]) -> RunConfig {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    apply(
        &RunConfig { env: Some(vec!["PATH=/bin".into()]), cmd: Some(vec!["old".into()]), ..Default::default() },
        &lines,
    )
    .unwrap_or_else(|error| panic!("{lines:?}: {error}"))
}

fn refused(line: &str) -> String {
    apply(&RunConfig::default(), &[line.to_owned()]).unwrap_err().to_string()
}

fn strings(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn commands() {
    assert_eq!(changed(&["CMD true"]).cmd, strings(&["/bin/sh", "-c", "true"]));
    assert_eq!(changed(&["cmd [\"a\", \"b c\"]"]).cmd, strings(&["a", "b c"]));
    let config = changed(&["ENTRYPOINT [\"/e\"]"]);
    assert_eq!((config.entrypoint, config.cmd), (strings(&["/e"]), None));
    let config = changed(&["CMD [\"c\"]", "ENTRYPOINT /e x"]);
    assert_eq!((config.entrypoint, config.cmd), (strings(&["/bin/sh", "-c", "/e x"]), strings(&["c"])));
    assert_eq!(changed(&["CMD a \\", " b"]).cmd, strings(&["/bin/sh", "-c", "a  b"]));
}

#[test]
fn environment_and_labels() {
    let config = changed(&["ENV A=1 B=\"two words\" C='$A' PATH=$PATH:/x", "ENV D ${B:-none} and ${E:-e}", "ENV A=2"]);
    assert_eq!(config.env, strings(&["PATH=/bin:/x", "A=2", "B=two words", "C=$A", "D=two words and e"]));
    let config = changed(&["LABEL a=b c=\"d e\" f=${PATH:+yes}", "LABEL old style"]);
    let labels = config.labels.unwrap();
    assert_eq!(labels["c"], "d e");
    assert_eq!(labels["f"], "yes");
    assert_eq!(labels["old"], "style");
}

#[test]
fn the_others() {
    let config = changed(&[
        "EXPOSE 80 90-91/udp $PATH_NONE 7",
        "USER me:us",
        "VOLUME /a /b",
        "VOLUME [\"/c d\"]",
        "WORKDIR /x/./y",
        "WORKDIR ../z",
        "ONBUILD RUN true",
        "STOPSIGNAL SIGQUIT",
        "HEALTHCHECK --interval=5s --retries=2 CMD curl -f x",
        "# comment",
        "",
    ]);
    let ports: Vec<_> = config.exposed_ports.unwrap().into_keys().collect();
    assert_eq!(ports, ["7/tcp", "80/tcp", "90/udp", "91/udp"]);
    assert_eq!(config.user, "me:us");
    assert_eq!(config.volumes.unwrap().into_keys().collect::<Vec<_>>(), ["/a", "/b", "/c d"]);
    assert_eq!(config.working_dir, "/x/z");
    assert_eq!(config.on_build, strings(&["RUN true"]));
    assert_eq!(config.stop_signal, "SIGQUIT");
    let check = config.healthcheck.unwrap();
    assert_eq!(check.test, strings(&["CMD-SHELL", "curl -f x"]));
    assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
    assert_eq!(changed(&["HEALTHCHECK NONE"]).healthcheck.unwrap().test, strings(&["NONE"]));
}

#[test]
fn refusals() {
    assert_eq!(refused("FROM x"), "from is not a valid change command");
    assert_eq!(refused("run true"), "run is not a valid change command");
    for line in [
        "ENV",
        "ENV a",
        "ENV a=b c",
        "ENV =b",
        "EXPOSE",
        "EXPOSE 80/icmp",
        "EXPOSE x",
        "VOLUME",
        "WORKDIR",
        "USER",
        "STOPSIGNAL NOPE",
        "ONBUILD FROM x",
        "ONBUILD ONBUILD x",
        "HEALTHCHECK",
        "HEALTHCHECK FOO",
        "HEALTHCHECK CMD",
        "HEALTHCHECK --interval=1ns CMD x",
        "LABEL a=\"b",
        "ENV a=${b",
        "ENV a=${b:",
        "ENV a=${b:?}",
    ] {
        let message = refused(line);
        assert!(!message.contains("valid change"), "{line}: {message}");
    }
}

proptest! {
    #[test]
    fn never_panics(rest in "[a-z ${}:+=\"'\\\\\\[\\],/-]{0,40}", which in 0..11usize) {
        let names = ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];
        let _ = apply(&RunConfig::default(), &[format!("{} {rest}", names[which])]);
    }

    #[test]
    fn plain_values_survive(value in "[a-zA-Z0-9_./:-]{1,20}") {
        let config = apply(&RunConfig::default(), &[format!("ENV X={value}")]).unwrap();
        prop_assert_eq!(config.env, Some(vec![format!("X={value}")]));
    }
}
