//! Contexts that `docker buildx build` sends again: only what has changed travels, and what is built is what the client has.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, Output};

use crate::build::context;
use crate::buildkit::buildx;
use crate::lifecycle::eventually;

/// Copies all of the context into nothing.
const COPY_ALL: &str = "FROM scratch\nCOPY . /\n";

/// Builds, and says how many bytes of the context travelled.
fn transferred(output: &Output) -> u64 {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let done = |line: &str| Some(line.split_once("transferring context: ")?.1.split_once(' ')?.0.to_owned());
    // The first is that of the `.dockerignore`.
    let size = output.stderr.lines().filter_map(done).next_back().unwrap_or_default();
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &size[digits.len()..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        other => panic!("{other:?} in {size:?}: {}", output.stderr),
    };
    let number: f64 = digits.parse().unwrap_or_else(|error| panic!("{size:?}: {error}"));
    (number * unit) as u64
}

/// Everything in a folder: path, kind, permissions, and what it holds.
fn listed(folder: &Path) -> Vec<String> {
    let (mut lines, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder can be read").flatten() {
            let (path, metadata) = (entry.path(), entry.metadata().expect("it is there"));
            let what = if metadata.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else if metadata.is_symlink() {
                format!("to {}", fs::read_link(&path).expect("a link can be read").display())
            } else if metadata.file_type().is_fifo() {
                "pipe".to_owned()
            } else {
                format!("{:?}", fs::read(&path).expect("a file can be read"))
            };
            let path = path.strip_prefix(folder).expect("it is beneath it").display().to_string();
            lines.push(format!("{path} {:o} {what}", metadata.permissions().mode()));
        }
    }
    lines.sort();
    lines
}

/// The build cache as `GET /system/df` lists it.
fn cached(daemon: &Daemon) -> Vec<Value> {
    let usage = daemon.get("/system/df?type=build-cache").json();
    usage["BuildCache"].as_array().cloned().unwrap_or_default()
}

/// The folders of kept contexts.
fn kept(daemon: &Daemon) -> Vec<PathBuf> {
    let caches = fs::read_dir(daemon.path("data/build-caches")).expect("a folder can be read");
    caches.flatten().map(|entry| entry.path().join("files")).collect()
}

#[test]
fn what_has_not_changed_does_not_travel() {
    let daemon = Daemon::with_busybox();
    let large = "large\n".repeat(200_000);
    let files =
        [("Dockerfile", "FROM busybox\nCOPY . /c\nRUN cat /c/small\n"), ("d/large", &large), ("small", "one\n")];
    let folder = context(&daemon, "again", &files);
    let build = || buildx(&daemon, &[&folder]).run();
    let first = build();
    assert!(transferred(&first) >= 1_200_000 && first.stderr.contains(" one\n"), "{}", first.stderr);
    let second = build();
    assert!(transferred(&second) < 2_000 && second.stderr.matches("CACHED").count() == 2, "{}", second.stderr);
    let modified = |name: &str| {
        let metadata = fs::metadata(Path::new(&folder).join(name)).expect("it is there");
        metadata.modified().expect("it has a time")
    };
    let write = |name: &str, text: &str, modified| {
        fs::write(Path::new(&folder).join(name), text).expect("a file can be written");
        let file = fs::File::options().write(true).open(Path::new(&folder).join(name)).expect("a file can be opened");
        file.set_modified(modified).expect("a time can be set");
    };
    let before = modified("small");
    context(&daemon, "again", &[("small", "two\n")]);
    let third = build();
    assert!(transferred(&third) < 2_000 && third.stderr.contains(" two\n"), "{}", third.stderr);
    // What it was before is known, with its old time and with another.
    for time in [before, before + Duration::from_secs(1)] {
        write("small", "one\n", time);
        let told = build();
        assert!(transferred(&told) < 2_000 && told.stderr.matches("CACHED").count() == 2, "{}", told.stderr);
    }
    // A file of the same size and time is not looked into, as by BuildKit.
    write("d/large", &"other\n".repeat(200_000), modified("d/large"));
    let told = build();
    assert!(transferred(&told) < 2_000 && told.stderr.matches("CACHED").count() == 2, "{}", told.stderr);
    // Another folder is another context.
    let beside = context(&daemon, "beside", &files);
    assert!(transferred(&buildx(&daemon, &[&beside]).run()) >= 1_200_000);
}

#[test]
fn every_change_is_seen() {
    let daemon = Daemon::with_busybox();
    let folder = context(&daemon, "changing", &[("a", "a"), ("b", "b"), ("d/c", "c"), ("d/e/f", "f"), ("moved", "m")]);
    let path = |name: &str| Path::new(&folder).join(name);
    let file = daemon.path("Dockerfile.all");
    fs::write(&file, COPY_ALL).expect("a file can be written");
    symlink("d/c", path("link")).expect("a link can be made");
    let built = || {
        let output = daemon.path("built");
        drop(fs::remove_dir_all(&output));
        let arguments = ["-f", &file.display().to_string(), "-o", &output.display().to_string(), &folder];
        let told = buildx(&daemon, &arguments).run();
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        listed(&output)
    };
    assert_eq!(built(), listed(Path::new(&folder)));
    let changes: [(&str, &dyn Fn() -> std::io::Result<()>); 10] = [
        ("contents", &|| fs::write(path("a"), "another")),
        ("permissions", &|| fs::set_permissions(path("d/c"), fs::Permissions::from_mode(0o4711))),
        ("a folder's permissions", &|| fs::set_permissions(path("d"), fs::Permissions::from_mode(0o711))),
        ("a file is gone", &|| fs::remove_file(path("b"))),
        ("a name", &|| fs::rename(path("moved"), path("d/to"))),
        ("a link leads elsewhere", &|| fs::remove_file(path("link")).and_then(|()| symlink("a", path("link")))),
        ("a file becomes a folder", &|| {
            fs::remove_file(path("a"))?;
            fs::create_dir(path("a")).and_then(|()| fs::write(path("a/a"), "deeper"))
        }),
        ("a folder becomes a file", &|| fs::remove_dir_all(path("d/e")).and_then(|()| fs::write(path("d/e"), "f"))),
        ("a folder becomes a link", &|| fs::remove_dir_all(path("a")).and_then(|()| symlink("d", path("a")))),
        ("a second name", &|| fs::hard_link(path("d/c"), path("b"))),
    ];
    for (change, make) in changes {
        make().unwrap_or_else(|error| panic!("{change}: {error}"));
        assert_eq!(built(), listed(Path::new(&folder)), "{change}");
    }
    // What is ignored from now on, and what no longer is.
    for ignored in ["d/c\n", "d\n", ""] {
        fs::write(path(".dockerignore"), ignored).expect("a file can be written");
        let left = listed(Path::new(&folder));
        let expected = left.iter().filter(|line| match ignored {
            "d/c\n" => !line.starts_with("d/c "),
            "d\n" => !line.starts_with("d/") && !line.starts_with("d "),
            _ => true,
        });
        assert_eq!(built(), expected.cloned().collect::<Vec<_>>(), "{ignored:?}");
    }
    // The two names of one file are so here.
    let inodes = |name: &str| fs::metadata(kept(&daemon)[0].join(name)).map(|metadata| metadata.ino()).ok();
    assert!(inodes("d/c").is_some() && inodes("d/c") == inodes("b"));
}

#[test]
fn a_kept_context_is_build_cache() {
    let mut daemon = Daemon::with_busybox();
    let large = "large\n".repeat(100_000);
    let folder = context(&daemon, "listed", &[("Dockerfile", COPY_ALL), ("large", &large)]);
    let build = |daemon: &Daemon| transferred(&buildx(daemon, &[&folder]).run());
    assert!(build(&daemon) > 600_000 && build(&daemon) < 1_000);
    let caches = cached(&daemon);
    let [cache] = &caches[..] else { panic!("{caches:?}") };
    assert!(cache["Type"] == "source.local" && cache["Description"] == "local source for context", "{cache}");
    assert!(cache["UsageCount"] == 2 && cache["InUse"] == false && cache["Size"].as_i64() >= Some(600_000), "{cache}");
    let usage = daemon.docker(&["buildx", "du", "--verbose"]).ok();
    assert!(usage.contains("source.local") && usage.contains("local source for context"), "{usage}");
    daemon.end();
    daemon.restart();
    assert!(build(&daemon) < 1_000, "it outlives the daemon");
    daemon.docker(&["builder", "prune", "-f", "--filter", "type=exec.cachemount"]).ok();
    daemon.docker(&["builder", "prune", "-f", "--filter", "until=1h"]).ok();
    assert_eq!(kept(&daemon).len(), 1);
    daemon.docker(&["builder", "prune", "-f", "--filter", "type=source.local"]).ok();
    assert_eq!((cached(&daemon), kept(&daemon)), (Vec::new(), Vec::new()));
    assert!(build(&daemon) > 600_000);
}

/// The second build begins when the first has its context, and the first ends when the second has had another.
#[test]
fn a_build_does_not_see_what_another_one_s_client_has() {
    let daemon = Daemon::with_busybox();
    let gate = "--mount=type=cache,id=gate,target=/gate";
    let wait = |name: &str| format!("for i in $(seq 600); do test -e /gate/{name} && break; sleep 0.1; done");
    let first =
        format!("FROM busybox\nRUN {gate} --mount=target=/c cat /c/f; touch /gate/begun; {}; cat /c/f\n", wait("open"));
    let second = format!("FROM busybox\nCOPY f /\nRUN {gate} cat /f; touch /gate/open\n");
    let folder = context(&daemon, "shared", &[("first", &first), ("second", &second), ("f", "early\n")]);
    let build = |file: &str| buildx(&daemon, &["-f", &format!("{folder}/{file}"), &folder]).run();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| build("first"));
        eventually(|| kept(&daemon).iter().any(|files| files.join("begun").exists()));
        context(&daemon, "shared", &[("f", "late\n")]);
        daemon.docker(&["builder", "prune", "-f"]).ok();
        let second = build("second");
        (first.join().expect("a build ends"), second)
    });
    assert!(first.stderr.matches(" early\n").count() == 2 && !first.stderr.contains(" late\n"), "{}", first.stderr);
    assert!(second.stderr.contains(" late\n"), "{}", second.stderr);
}

#[test]
fn killed_in_the_middle_of_a_transfer() {
    let mut daemon = Daemon::with_busybox();
    let folder = context(&daemon, "many", &[("Dockerfile", COPY_ALL)]);
    let write = |round: usize| {
        for number in 0..1_500 {
            let path = Path::new(&folder).join(format!("{number:04}"));
            fs::write(path, format!("{round} {number}\n").repeat(300)).expect("a file can be written");
        }
    };
    let output = daemon.path("built");
    let build = |daemon: &Daemon| buildx(daemon, &["-o", &output.display().to_string(), &folder]);
    // One that has nothing yet, and one that changes what it has.
    for (round, wanted) in [(1, 200), (2, 900)] {
        write(round);
        let mut client = build(&daemon).start();
        let begins_with = format!("{round} ");
        let arrived = |files: &PathBuf| {
            let entries = fs::read_dir(files).into_iter().flatten().flatten();
            let new = entries
                .filter(|entry| fs::read_to_string(entry.path()).is_ok_and(|text| text.starts_with(&begins_with)));
            new.count()
        };
        eventually(|| kept(&daemon).iter().map(arrived).sum::<usize>() >= wanted);
        daemon.kill();
        eventually(|| client.try_wait().expect("a child can be waited for").is_some());
        daemon.restart();
        let report: Value = serde_json::from_str(&daemon.store(&["check", "--json"]).ok()).expect("it is JSON");
        assert_eq!(report["problems"], serde_json::json!([]), "{report:#}");
        drop(fs::remove_dir_all(&output));
        let told = build(&daemon).run();
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        assert!(listed(&output) == listed(Path::new(&folder)), "what is built is not what the client has");
    }
}
