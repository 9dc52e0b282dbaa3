use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<String> {
    match Dockerfile::parse(text, Reading::default()) {
        Ok(file) => {
            file.instructions.into_iter().map(|one| format!("{} {}|{}", one.line, one.name, one.rest)).collect()
        }
        Err(error) => vec![error.to_string().lines().next().unwrap_or_default().to_owned()],
    }
}

fn command(text: &str) -> Result<Command, String> {
    let file = Dockerfile::parse(text, Reading::default()).map_err(|error| error.to_string())?;
    Command::parse(&file.instructions[0], file.escape).map_err(|error| error.to_string())
}

#[test]
fn lines() {
    for (text, expected) in [
        ("FROM a\nRUN b", &["1 FROM|a", "2 RUN|b"][..]),
        ("from a\n\n  # comment\n\trun b\r\n", &["1 FROM|a", "4 RUN|b"]),
        ("RUN a \\\n  b", &["1 RUN|a   b"]),
        ("RUN a \\  \n\n# comment\n  b \\\n c\nUSER d", &["1 RUN|a   b  c", "6 USER|d"]),
        ("RUN a \\\\\nUSER b", &["1 RUN|a \\\\", "2 USER|b"]),
        ("# escape=`\nRUN a `\nb\\\nUSER c", &["2 RUN|a b\\", "4 USER|c"]),
        ("#syntax=docker/dockerfile:1\n#escape=`\nRUN a`\nb", &["3 RUN|ab"]),
        ("# comment\n# escape=`\nRUN a \\\nb", &["3 RUN|a b"]),
        ("RUN a \\", &["1 RUN|a"]),
        ("\u{feff}FROM a", &["1 FROM|a"]),
        ("", &["file with no instructions"]),
        ("# only\n", &["file with no instructions"]),
        ("# escape=x\nFROM a", &["dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"]),
        (
            "# escape=`\n# escape=`\nFROM a",
            &["dockerfile parse error on line 2: only one escape parser directive can be used"],
        ),
        ("FROM a\nRUN <<EOF\nb", &["dockerfile parse error on line 2: unterminated heredoc"]),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn documents() -> Result<(), Error> {
    let text = "RUN <<EOF\necho $A\n# no comment\nEOF\nCOPY <<-\"a.txt\" <<b /d/\n\tone\n\ta.txt\ntwo\nb\nRUN cat <<< x\nUSER u";
    let file = Dockerfile::parse(text, Reading::default())?;
    let names: Vec<&str> = file.instructions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["RUN", "COPY", "RUN", "USER"]);
    assert_eq!(file.instructions[0].heredocs[0].content, "echo $A\n# no comment\n");
    let copied = &file.instructions[1].heredocs;
    assert_eq!((copied[0].name.as_str(), copied[0].content.as_str(), copied[0].expand), ("a.txt", "one\n", false));
    assert_eq!((copied[1].content.as_str(), copied[1].expand), ("two\n", true));
    let Command::Copy(transfer) = Command::parse(&file.instructions[1], '\\')? else { panic!("no COPY") };
    assert_eq!((transfer.sources.len(), transfer.documents.len(), transfer.destination.as_str()), (0, 2, "/d/"));
    Ok(())
}

#[test]
fn documents_are_scripts() {
    let shell = |text: &str| match command(text) {
        Ok(Command::Run(Run { command: CommandLine::Shell(text), .. })) => text,
        other => format!("{other:?}"),
    };
    assert_eq!(shell("RUN <<EOF\na\nb\nEOF\n"), "a\nb\n");
    assert_eq!(shell("RUN cat <<EOF > f\na\nEOF\n"), "cat <<EOF > f\na\nEOF\n");
    assert_eq!(shell("RUN <<EOF\n#!/bin/x -e\na\nEOF\n"), "exec /bin/x -e /dev/stdin <<'EOF'\n#!/bin/x -e\na\nEOF\n");
}

#[test]
fn commands() {
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for (text, expected) in [
        ("CMD [\"a\", \"b\"]", Command::Cmd(CommandLine::Exec(words(&["a", "b"])))),
        ("CMD a b", Command::Cmd(CommandLine::Shell("a b".into()))),
        ("CMD ['a']", Command::Cmd(CommandLine::Shell("['a']".into()))),
        ("CMD", Command::Cmd(CommandLine::Shell(String::new()))),
        ("ENV a b c", Command::Env(vec![pair("a", "b c")])),
        ("ENV a=b c=\"d e\" f=g\\ h", Command::Env(vec![pair("a", "b"), pair("c", "\"d e\""), pair("f", "g\\ h")])),
        ("LABEL --x=y", Command::Label(vec![pair("--x", "y")])),
        ("VOLUME [\"/a\", \"/b\"]", Command::Volume(words(&["/a", "/b"]))),
        ("VOLUME /a /b", Command::Volume(words(&["/a", "/b"]))),
        ("EXPOSE 80 53/udp", Command::Expose(words(&["80", "53/udp"]))),
        ("SHELL [\"/bin/sh\"]", Command::Shell(words(&["/bin/sh"]))),
        ("ONBUILD RUN x", Command::Onbuild("RUN x".into())),
        (
            "FROM --platform=linux/amd64 a:1 AS Stage",
            Command::From { image: "a:1".into(), stage: Some("stage".into()), platform: "linux/amd64".into() },
        ),
        (
            "RUN --network=none --device=v/c=n --mount=type=cache,target=/c,uid=5,sharing=locked --mount=target=/d,\"source=a,b\" x",
            Command::Run(Run {
                command: CommandLine::Shell("x".into()),
                network: "none".into(),
                insecure: false,
                devices: vec!["v/c=n".into()],
                mounts: vec![
                    RunMount {
                        kind: MountKind::Cache,
                        target: "/c".into(),
                        uid: 5,
                        sharing: Sharing::Locked,
                        ..RunMount::default()
                    },
                    RunMount { source: "a,b".into(), target: "/d".into(), ..RunMount::default() },
                ],
            }),
        ),
        (
            "COPY --from=b --chown=1:2 --chmod=644 --link x y /z/",
            Command::Copy(Transfer {
                sources: words(&["x", "y"]),
                destination: "/z/".into(),
                from: "b".into(),
                owner: "1:2".into(),
                mode: "644".into(),
                link: true,
                ..Transfer::default()
            }),
        ),
    ] {
        assert_eq!(command(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, words) in [
        ("BANANA x", "unknown instruction: BANANA"),
        ("RUN", "RUN requires at least one argument"),
        ("ENV X", "ENV must have two arguments"),
        ("ENV a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
        (
            "ADD f",
            "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1", "invalid name for build stage: \"1\", name can't start with a number or contain symbols"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("COPY --nosuch a b", "unknown flag: nosuch"),
        ("COPY --from a b", "missing a value on flag: from"),
        ("CMD [\"a\", 1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("SHELL x", "SHELL requires the arguments to be in JSON form: SHELL x"),
        ("HEALTHCHECK X", "Unknown type \"X\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
        ("RUN --mount=type=x y", "unsupported mount type \"x\"; expected bind, cache, tmpfs, secret or ssh"),
        ("RUN --mount=type=cache y", "a mount needs a target: --mount=type=cache"),
        ("RUN --mount=type=tmpfs,target=/t,from=x y", "unexpected key \"from\" for mount type \"tmpfs\""),
    ] {
        let error = command(text).expect_err(text);
        assert_eq!(error.lines().next(), Some(format!("dockerfile parse error on line 1: {words}").as_str()), "{text}");
    }
}

#[test]
fn what_is_wrong_is_shown() {
    let told = |text: &str| {
        let parsed = Dockerfile::parse(text, Reading::default());
        let all = parsed.and_then(|file| {
            file.instructions
                .iter()
                .map(|instruction| Command::parse(instruction, file.escape))
                .collect::<Result<Vec<_>, _>>()
        });
        all.expect_err("it is wrong").to_string()
    };
    assert_eq!(
        told("FROM a\n\nCOPY \\\n  --nosuch a b\n"),
        "dockerfile parse error on line 3: unknown flag: nosuch\n 4:3 |   --nosuch a b\n     |   ^^^^^^^^ expected: \
         COPY [--from= --chown= --chmod= --parents --exclude= --link] source... destination"
    );
    assert_eq!(
        told("# escape=x\nFROM a\n"),
        "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\\n 1:10 | # escape=x\n      \
         |          ^ expected: # escape=\\ or # escape=`"
    );
    for (text, place) in [
        ("FROM a\n  banana b\n", " 2:3 |   banana b\n     |   ^^^^^^ expected: an instruction"),
        ("FROM a\nWORKDIR\n", " 2:8 | WORKDIR\n     |        ^ expected: WORKDIR path"),
        ("FROM a\nENV ä=1 ö\n", " 2:9 | ENV ä=1 ö\n     |         ^ expected: ENV name=value..."),
        ("FROM a\nRUN <<E\nx\n", " 2:7 | RUN <<E\n     |       ^ expected: RUN"),
        ("#check=skip\nFROM a\n", " 1:8 | #check=skip\n     |        ^^^^ expected: # check="),
    ] {
        assert!(told(text).contains(place), "{}", told(text));
    }
    // A word that others contain is found where it stands alone.
    let file = Dockerfile::parse("FROM a\nCOPY PY [O] \\\n  xO O /\n", Reading::default()).unwrap();
    let place = |word: &str| file.instructions[1].excerpt(Some(word)).unwrap().position;
    assert_eq!(place("O"), Position { line: 2, column: 10 });
    assert_eq!(place("xO"), Position { line: 3, column: 3 });
    assert_eq!(place("COPY"), Position { line: 2, column: 1 });
    // A line without end is cut, and stays one line.
    let long = told(&format!("FROM a\nCOPY --x={}\t--y a b\n", "z".repeat(10_000)));
    assert!(long.len() < 600 && long.lines().count() == 3, "{long}");
}

#[test]
fn directives() -> Result<(), String> {
    let text = "# syntax=docker/dockerfile:1\n# check=skip=A,B;error=true\n#escape=`\nFROM a\n";
    let file = Dockerfile::parse(text, Reading::default()).map_err(|error| error.to_string())?;
    assert_eq!((file.syntax.as_str(), file.escape), ("docker/dockerfile:1", '`'));
    assert_eq!(file.checks, Checks { skip: vec!["A".into(), "B".into()], error: true });
    Ok(())
}

#[test]
fn health() -> Result<(), String> {
    let Command::Healthcheck(check) = command("HEALTHCHECK --interval=5s --retries=2 CMD [\"a\"]")? else {
        panic!("none")
    };
    assert_eq!((check.interval, check.retries, check.test), (5_000_000_000, 2, vec!["CMD".into(), "a".into()]));
    Ok(())
}

proptest! {
    #[test]
    fn never_panics(text in "([A-Z]{0,3}(RUN|COPY|ENV|FROM|ONBUILD|ADD|HEALTHCHECK)? ?[-=\\[\\]\"'a-c<\\\\`# ]{0,12}(<<E)?\n){0,6}(E\n)?") {
        for old in [false, true] {
            if let Ok(file) = Dockerfile::parse(&text, Reading { old }) {
                for instruction in &file.instructions {
                    let _ = Command::parse(instruction, file.escape);
                    let _ = of_2014::understand(instruction);
                }
            }
        }
    }

    #[test]
    fn anything_can_be_a_dockerfile(text in "\\PC{0,64}(\n\\PC{0,32}){0,3}") {
        let _ = Dockerfile::parse(&text, Reading::default());
    }
}
