//! Images in and out: load, save and import of an image of three layers and 750 MB, made here and the same each time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::{Rows, docker, median};
use crate::daemon::Daemon;
use crate::run::{output, succeed};

/// Layers: how many files of how many bytes each. Like a base system, a language's libraries, and data.
const LAYERS: [(u64, u64); 3] = [(20_000, 10_000), (5_000, 60_000), (50, 5_000_000)];
/// Files of a folder.
const FOLDER: u64 = 200;
/// Of each block of this many bytes the first part is noise, so that gzip makes 36 % of the whole, as of usual images.
const BLOCK_BYTES: usize = 4096;
const NOISE_BYTES: usize = 1400;
/// Runs whose median counts.
const RUNS: usize = 3;
const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. ";

/// Measures a daemon of ours, and podman's program if the machine has it.
pub(super) fn measure(disk: &Path) -> Result<(Rows, Option<Rows>)> {
    let (archive, rootfs) = make(disk)?;
    let daemon = Daemon::start(&disk.join("image-daemon"), &[])?;
    let ours = rows(&archive, &rootfs, "docker", &|| docker(&daemon))?;
    drop(daemon);
    let podman = || {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(disk.join("podman")).arg("--runroot").arg(disk.join("podman-run"));
        podman.args(["--storage-driver", "overlay"]);
        podman
    };
    let has_podman = podman().arg("version").output().is_ok_and(|output| output.status.success());
    let podman = if has_podman { Some(rows(&archive, &rootfs, "podman", &podman)?) } else { None };
    Ok((ours, podman))
}

/// Makes the image, unless it was made before: as an archive, and as one tar of all its files.
pub(super) fn make(disk: &Path) -> Result<(PathBuf, PathBuf)> {
    let folder = disk.join("image");
    let (archive, rootfs) = (folder.join("image.tar"), folder.join("rootfs.tar"));
    if archive.exists() {
        return Ok((archive, rootfs));
    }
    std::fs::create_dir_all(&folder)?;
    layers(&folder)?;
    let daemon = Daemon::start(&disk.join("image-maker"), &[])?;
    let build = ["build", "-q", "-t", "bench", "."];
    output(docker(&daemon).env("DOCKER_BUILDKIT", "0").current_dir(&folder).args(build))?;
    output(docker(&daemon).args(["save", "bench", "-o"]).arg(&archive))?;
    output(docker(&daemon).args(["rmi", "bench"]))?;
    Ok((archive, rootfs))
}

/// Times each way, in millions of bytes of the tar a second.
fn rows(archive: &Path, rootfs: &Path, name: &str, program: &dyn Fn() -> Command) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut row = |metric: &str, tar: &Path, run: &mut dyn FnMut() -> Result<()>, undo: &[&str]| -> Result<()> {
        let megabytes = tar.metadata()?.len() as f64 / 1e6;
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            // What was written before must not be waited for in this run.
            succeed(&mut Command::new("sync"))?;
            let begun = Instant::now();
            run()?;
            rates.push(megabytes / begun.elapsed().as_secs_f64());
            if !undo.is_empty() {
                output(program().args(undo))?;
            }
        }
        eprintln!("{name}: {metric} {rates:.0?} MB/s");
        rows.insert(metric.to_owned(), (median(rates), "MB/s".to_owned()));
        Ok(())
    };
    let load = &mut || output(program().args(["load", "-q", "-i"]).arg(archive)).map(drop);
    row("load image", archive, load, &["rmi", "bench"])?;
    output(program().args(["load", "-q", "-i"]).arg(archive))?;
    let save = &mut || {
        let status = program().args(["save", "bench"]).stdout(Stdio::from(File::create("/dev/null")?)).status()?;
        ensure!(status.success(), "save failed: {status}");
        Ok(())
    };
    row("save image", archive, save, &[])?;
    output(program().args(["rmi", "bench"]))?;
    let import = &mut || output(program().arg("import").arg(rootfs).arg("imported")).map(drop);
    row("import image", rootfs, import, &["rmi", "imported"])?;
    Ok(rows)
}

/// Writes a tar a layer, a Dockerfile that adds them, and one tar with everything.
fn layers(folder: &Path) -> Result<()> {
    let whole = folder.join("rootfs.tar");
    let mut dockerfile = String::from("FROM scratch\n");
    let mut all = BufWriter::new(File::create(&whole)?);
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    for (number, (files, bytes)) in LAYERS.into_iter().enumerate() {
        let name = format!("layer{number}.tar");
        let mut layer = BufWriter::new(File::create(folder.join(&name))?);
        let mut contents = vec![0; usize::try_from(bytes)?];
        for file in 0..files {
            noise.fill(&mut contents);
            let header = header(&format!("opt/layer{number}/{:03}/file{file:05}", file / FOLDER), bytes);
            let padding = vec![0; contents.len().next_multiple_of(512) - contents.len()];
            for out in [&mut layer, &mut all] {
                out.write_all(&header)?;
                out.write_all(&contents)?;
                out.write_all(&padding)?;
            }
        }
        layer.write_all(&[0; 1024])?;
        layer.flush()?;
        dockerfile += &format!("ADD {name} /\n");
    }
    all.write_all(&[0; 1024])?;
    all.flush()?;
    std::fs::write(folder.join("Dockerfile"), dockerfile + "CMD [\"true\"]\n")?;
    std::fs::write(folder.join(".dockerignore"), "rootfs.tar\nimage.tar\n")?;
    Ok(())
}

/// A ustar header of a plain file.
fn header(path: &str, bytes: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{bytes:011o}"));
    put(136, "14000000000");
    put(148, "        0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Numbers without a pattern, the same in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Fills a file: noise, then words, block by block.
    fn fill(&mut self, contents: &mut [u8]) {
        for block in contents.chunks_mut(BLOCK_BYTES) {
            let (noise, words) = block.split_at_mut(NOISE_BYTES.min(block.len()));
            for piece in noise.chunks_mut(8) {
                let length = piece.len();
                piece.copy_from_slice(&self.next().to_le_bytes()[..length]);
            }
            let start = self.next() as usize % WORDS.len();
            for (at, byte) in words.iter_mut().enumerate() {
                *byte = WORDS[(start + at) % WORDS.len()];
            }
        }
    }
}
