//! `RUN --mount`, `--network`, `--security`, and the flags of `COPY`.

use testkit::Daemon;

use crate::build::{build, context};

#[test]
fn caches_outlive_builds_and_leave_no_trace_in_images() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox AS seed\nRUN mkdir /s && echo seeded > /s/f\nFROM busybox\nARG N\n\
        RUN --mount=type=cache,id=c,target=/cache/deep,from=seed,source=/s,mode=700 echo $N >> /cache/deep/f; cat /cache/deep/f\n";
    let folder = context(&daemon, "cached", &[("Dockerfile", file)]);
    let told = build(&daemon, &["--build-arg", "N=1", &folder]).ok();
    assert!(told.contains("seeded\n1\n"), "{told}");
    let told = build(&daemon, &["--build-arg", "N=2", "-t", "cached", &folder]).ok();
    assert!(told.contains("seeded\n1\n2\n"), "{told}");
    assert_eq!(daemon.docker(&["run", "--rm", "cached", "ls", "-d", "/cache"]).code, Some(1));
}

#[test]
fn the_cache_is_listed_and_pruned() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN --mount=type=cache,target=/a head -c 300000 /dev/zero > /a/f\n\
        RUN --mount=type=cache,target=/b,sharing=private echo > /b/f\nRUN --mount=type=cache,target=/b echo > /b/g\n";
    build(&daemon, &[&context(&daemon, "pruned", &[("Dockerfile", file)])]).ok();
    let listed = || daemon.get("/system/df?type=build-cache").json()["BuildCache"].clone();
    let caches = listed();
    let described = |words: &str| {
        let found = caches.as_array().into_iter().flatten().find(|cache| cache["Description"] == words);
        found.unwrap_or_else(|| panic!("{words} is not in {caches}")).clone()
    };
    let a = described("cached mount /a");
    assert!(a["Size"].as_i64() >= Some(300_000) && a["UsageCount"] == 1 && a["InUse"] == false, "{a}");
    assert_eq!(described("cached mount /b")["UsageCount"], 2);
    let prune = |query: &str| {
        let answer = daemon.call("POST", &format!("/build/prune{query}"), None).json();
        answer["CachesDeleted"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(prune("?filters=%7B%22until%22:%5B%221h%22%5D%7D"), 0);
    assert_eq!(prune("?filters=%7B%22nosuch%22:%5B%221%22%5D%7D"), 0);
    // The oldest goes first, as long as more is there than may be.
    assert_eq!(prune("?keep-storage=200000"), 1);
    assert_eq!(listed()[0]["Description"], "cached mount /b");
    assert!(daemon.docker(&["builder", "prune", "-f"]).ok().contains("Total"));
    assert_eq!(listed(), serde_json::json!([]));
}

#[test]
fn binds_see_files_and_keep_nothing() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox AS made\nRUN mkdir /out && echo made > /out/f\nFROM busybox\nWORKDIR /w\n\
        RUN --mount=target=/ctx --mount=from=made,source=/out,target=/m,rw --mount=type=bind,source=sub/f,target=one \\\n\
          cat /ctx/sub/f /m/f /w/one > /all; echo x > /m/new; ! echo x > /ctx/new\n\
        RUN --mount=type=tmpfs,target=/t,size=1m df -m /t | grep -q tmpfs && echo lost > /t/f && cat /all && ls -A /t /m 2>&1; true\n";
    let folder = context(&daemon, "bound", &[("Dockerfile", file), ("sub/f", "here\n")]);
    let told = build(&daemon, &["-t", "bound", &folder]).ok();
    assert!(told.contains("here\nmade\nhere\n"), "{told}");
    assert_eq!(daemon.docker(&["run", "--rm", "bound", "sh", "-c", "ls / /w"]).stdout.matches("ctx").count(), 0);
    assert_eq!(build(&daemon, &[&folder]).ok().matches("Using cache").count(), 4);
    context(&daemon, "bound", &[("sub/f", "there\n")]);
    assert!(build(&daemon, &[&folder]).ok().contains("there\nmade\nthere\n"));
}

#[test]
fn what_a_session_lends_is_missing_without_one() {
    let daemon = Daemon::with_busybox();
    for (name, mount, words) in [
        ("secret", "type=secret,id=token", "the secret token needs a session with its client"),
        ("ssh", "type=ssh", "the SSH agent default needs a session with its client"),
    ] {
        let file = format!("FROM busybox\nRUN --mount={mount} true\n");
        let told = build(&daemon, &[&context(&daemon, name, &[("Dockerfile", &file)])]).fails(1);
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn networks_and_privileges_of_a_step() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN ls /sys/class/net | tr '\\n' ' '; grep CapEff /proc/self/status\n\
        RUN --network=none ls /sys/class/net | tr '\\n' ' '\nRUN --security=insecure grep CapEff /proc/self/status\n";
    let told = build(&daemon, &[&context(&daemon, "limits", &[("Dockerfile", file)])]).ok();
    let effective: Vec<u64> = told
        .lines()
        .filter_map(|line| line.split_once("CapEff:\t"))
        .map(|(_, digits)| u64::from_str_radix(digits.trim(), 16).expect("a mask"))
        .collect();
    assert!(effective.len() == 2 && effective[0].count_ones() < effective[1].count_ones(), "{told}");
    assert_eq!(told.matches("eth0").count(), 1, "{told}");
}

#[test]
fn owners_and_modes_of_copies() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nARG OWNER=5:6\nARG MODE\nCOPY --chown=$OWNER --chmod=${MODE:-u=rwX,go=rX} tree /t/\n\
        ADD --chown=daemon --chmod=4711 tree/f /added\nRUN stat -c '%n %u:%g %a' /t/f /t/d /t/d/run /added\n";
    let files = [("Dockerfile", file), ("tree/f", ""), ("tree/d/run", "")];
    let folder = context(&daemon, "modes", &files);
    for (name, mode) in [("f", 0o600), ("d", 0o700), ("d/run", 0o700)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(format!("{folder}/tree/{name}"), permissions).expect("a mode can be set");
    }
    let told = build(&daemon, &[&folder]).ok();
    assert!(told.contains("/t/f 5:6 644\n/t/d 5:6 755\n/t/d/run 5:6 755\n/added 1:1 4711\n"), "{told}");
    // What a variable stands for counts, not its name.
    let told = build(&daemon, &["--build-arg", "OWNER=7", "--build-arg", "MODE=0400", &folder]).ok();
    assert!(told.contains("/t/f 7:7 400\n/t/d 7:7 400\n/t/d/run 7:7 400\n/added 1:1 4711\n"), "{told}");
}

#[test]
fn folders_kept_and_files_left_out() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nCOPY --parents a/b/*.txt a/./c/d /p/\nCOPY --parents **/deep.md /q/\n\
        COPY --exclude=*.md --exclude=b/* --exclude=!b/keep.txt --link a /x/\nRUN cd / && find p q x -type f | sort\n";
    let files = [
        ("Dockerfile", file),
        ("a/b/1.txt", ""),
        ("a/b/keep.txt", ""),
        ("a/c/d/e.md", ""),
        ("a/c/deep.md", ""),
        ("a/top.md", ""),
    ];
    let told = build(&daemon, &[&context(&daemon, "flags", &files)]).ok();
    let expected = "p/a/b/1.txt\np/a/b/keep.txt\np/c/d/e.md\nq/a/c/deep.md\nx/b/keep.txt\nx/c/d/e.md\nx/c/deep.md\n";
    assert!(told.contains(expected), "{told}");
}
