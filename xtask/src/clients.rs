//! Clients of every age from the package registries: installed here, tried by the end-to-end tests.
//!
//! The tests are told of them by a list, a line each: name, version of the API to ask for (empty: the client's own choice) and the
//! words of its command, parted by tabs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::install::{environment, environment_of, programs};
use crate::run::{cargo, output, succeed, target, workspace};

/// docker-py on Python 2.7: release, the `requests` of its time, the versions of the API that it is tried at.
const DOCKER_PY_OLD: &[(&str, &str, &[&str])] = &[
    ("0.1.3", "1.2.0", &["1.0", "1.1", "1.2", "1.3"]),
    ("0.2.3", "1.2.3", &["1.4", "1.5", "1.6"]),
    ("0.3.1", "2.2.1", &["1.7", "1.8", "1.9"]),
    ("0.4.0", "2.2.1", &["1.10", "1.11", "1.12"]),
    ("0.5.0", "2.2.1", &["1.13", "1.14"]),
    ("0.6.0", "2.2.1", &["1.15"]),
    ("0.7.0", "2.2.1", &["1.16"]),
    ("1.0.0", "2.2.1", &["1.17"]),
    ("1.2.3", "2.5.3", &["1.18"]),
    ("1.3.1", "2.5.3", &["1.19"]),
    ("1.5.0", "2.5.3", &["1.20"]),
    ("1.7.2", "2.5.3", &["1.21"]),
    ("1.10.6", "2.11.1", &["1.22"]),
];

/// The package `docker` on Python 3: release, what it needs held back, the versions of the API that it is tried at.
const DOCKER_PY: &[(&str, &[&str], &[&str])] = &[
    ("2.7.0", HELD_BACK, &[""]),
    ("3.7.3", HELD_BACK, &["1.23", ""]),
    ("4.4.4", HELD_BACK, &[""]),
    ("5.0.3", HELD_BACK, &[""]),
    ("6.1.3", HELD_BACK, &[""]),
    (
        NEWEST_DOCKER_PY,
        &[],
        &[
            "1.24", "1.25", "1.26", "1.27", "1.28", "1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36",
            "1.37", "1.38", "1.39", "1.40", "1.41", "1.42", "1.43", "1.44", "1.45", "1.46", "1.47", "1.48", "1.49",
            "1.50", "1.51",
        ],
    ),
];
const NEWEST_DOCKER_PY: &str = "7.1.0";

/// Releases of that time break with newer ones of these.
const HELD_BACK: &[&str] = &["requests==2.31.0", "urllib3==1.26.20", "websocket-client==0.59.0"];

/// dockerode's oldest and newest release on npm that run on today's Node.
const DOCKERODE: &[&str] = &["1.2.5", "5.0.1"];

/// The docker program: versions of the API that it is told to speak. It knows none below 1.24.
const DOCKER_PROGRAM: &[&str] = &["1.24", "1.41", ""];

/// Which clients are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// One of each kind, for every run of the tests.
    Few,
    /// All that there are.
    All,
}

/// A line of the list.
struct Client {
    name: String,
    api: String,
    words: Vec<String>,
}

impl Client {
    fn new(name: impl Into<String>, api: &str, words: &[&str]) -> Self {
        Self { name: name.into(), api: api.to_owned(), words: words.iter().map(|word| (*word).to_owned()).collect() }
    }
}

/// Installs the chosen clients and writes the list of them; returns its path.
pub(crate) fn install(choice: Choice, python2: Option<&Path>) -> Result<PathBuf> {
    let mut clients = Vec::new();
    match python2 {
        Some(python) => clients.extend(old_docker_py(choice, python)?),
        None => eprintln!("no Python 2.7 on this machine: docker-py 0.1 to 1.10 (API 1.0 to 1.22) were NOT tried"),
    }
    clients.extend(docker_py(choice)?);
    clients.extend(dockerode(choice)?);
    let program = output(Command::new("docker").arg("--version"))?;
    let program = program.split([' ', ',']).nth(2).unwrap_or_default().to_owned();
    for api in DOCKER_PROGRAM.iter().filter(|api| choice == Choice::All || api.is_empty()) {
        clients.push(Client::new(format!("docker {program}"), api, &["sh", &steps("docker.sh")]));
    }
    if choice == Choice::All {
        clients.push(ruby()?);
        clients.push(bollard()?);
    }
    let list: String = clients
        .iter()
        .map(|client| format!("{}\t{}\t{}\n", client.name, client.api, client.words.join("\t")))
        .collect();
    let path = target().join("clients.tsv");
    std::fs::write(&path, list)?;
    Ok(path)
}

/// The versions that a client is tried at; of a few clients each at its oldest and its newest.
fn chosen<'a>(choice: Choice, versions: &[&'a str]) -> Vec<&'a str> {
    match (choice, versions) {
        (Choice::Few, [oldest, .., newest]) => vec![oldest, newest],
        _ => versions.to_vec(),
    }
}

/// A script of the tests.
fn steps(name: &str) -> String {
    workspace().join("tests/clients").join(name).display().to_string()
}

fn old_docker_py(choice: Choice, python: &Path) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for (release, requests, versions) in DOCKER_PY_OLD {
        if choice == Choice::Few && !["0.1.3", "0.5.0"].contains(release) {
            continue;
        }
        let requests = format!("requests=={requests}");
        let packages = [
            requests.as_str(),
            "six==1.16.0",
            "websocket-client==0.32.0",
            "backports.ssl-match-hostname==3.5.0.1",
            "docker-pycreds==0.4.0",
            "ipaddress==1.0.23",
        ];
        let package = format!("docker-py=={release}");
        let programs = environment_of(&format!("docker-py-{release}"), python, &[&packages, &["--no-deps", &package]])?;
        for api in chosen(choice, versions) {
            let words = [&*programs.join("python").display().to_string(), &steps("docker_py_old.py")];
            clients.push(Client::new(format!("docker-py {release}"), api, &words));
        }
    }
    clients.sort_by_key(|client| client.api.split('.').filter_map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>());
    Ok(clients)
}

fn docker_py(choice: Choice) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for (release, held_back, versions) in DOCKER_PY {
        if choice == Choice::Few && *release != NEWEST_DOCKER_PY {
            continue;
        }
        let package = format!("docker=={release}");
        // Until 3.11 Python brought what the old ones take from it; setuptools has it since.
        let packages = [&[package.as_str(), "setuptools==68.2.2"], *held_back].concat();
        let programs = environment(&format!("docker-{release}"), &packages)?;
        for api in chosen(choice, versions) {
            let words = [&*programs.join("python").display().to_string(), &steps("docker_py.py")];
            clients.push(Client::new(format!("docker (Python) {release}"), api, &words));
        }
    }
    Ok(clients)
}

fn dockerode(choice: Choice) -> Result<Vec<Client>> {
    programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let mut clients = Vec::new();
    for release in DOCKERODE.iter().filter(|release| choice == Choice::All || Some(*release) == DOCKERODE.last()) {
        let folder = target().join(format!("dockerode-{release}"));
        if !folder.join("complete").exists() {
            std::fs::create_dir_all(&folder)?;
            let package = format!("dockerode@{release}");
            let mut npm = Command::new("npm");
            npm.args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--fetch-retries=5",
                "--prefix",
            ])
            .arg(&folder);
            succeed(npm.args([&package, "tar-stream@3.1.7"]))?;
            std::fs::write(folder.join("complete"), "")?;
        }
        let modules = format!("LONGSHORE_MODULES={}", folder.join("node_modules").display());
        clients.push(Client::new(
            format!("dockerode {release}"),
            "",
            &["env", &modules, "node", &steps("dockerode.js")],
        ));
    }
    Ok(clients)
}

fn ruby() -> Result<Client> {
    programs(&[("ruby", "ruby")])?;
    let asks = |version: &mut Command| output(version).map(|text| text.trim().to_owned());
    let version = "require 'docker'; puts Docker::VERSION";
    if asks(Command::new("ruby").args(["-e", version])).is_err() {
        crate::install::packages(&["ruby-docker-api", "ruby-multi-json"])?;
    }
    let version = asks(Command::new("ruby").args(["-e", version]))?;
    Ok(Client::new(format!("docker-api (Ruby) {version}"), "", &["ruby", &steps("docker_api.rb")]))
}

/// bollard is a library: a program of ours does the steps with it.
fn bollard() -> Result<Client> {
    let folder = workspace().join("tests/clients/bollard");
    let built = target().join("bollard");
    succeed(cargo().current_dir(&folder).args(["build", "--quiet", "--locked", "--target-dir"]).arg(&built))?;
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let program =
        [built.join(&triple).join("debug/steps"), built.join("debug/steps")].into_iter().find(|path| path.exists());
    let program = anyhow::Context::context(program, "cargo built no bollard client")?;
    let version = output(Command::new(&program).arg("--version"))?.trim().to_owned();
    Ok(Client::new(format!("bollard {version}"), "", &[&program.display().to_string()]))
}
