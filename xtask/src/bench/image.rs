//! The image whose traffic is measured: three layers and 750 MB, made here and the same each time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::bench::engine::Engines;
use crate::run::output;

/// Layers: how many files of how many bytes each. Like a base system, a language's libraries, and data.
const LAYERS: [(u64, u64); 3] = [(20_000, 10_000), (5_000, 60_000), (50, 5_000_000)];
/// Files of a folder.
const FOLDER: u64 = 200;
/// Of each block of this many bytes the first part is noise, so that gzip makes 36 % of the whole, as of usual images.
const BLOCK_BYTES: usize = 4096;
const NOISE_BYTES: usize = 1400;
const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. ";

/// Makes the image, unless it was made before: as an archive, and as one tar of all its files.
pub(super) fn make(disk: &Path) -> Result<(PathBuf, PathBuf)> {
    let folder = disk.join("image");
    let (archive, rootfs) = (folder.join("image.tar"), folder.join("rootfs.tar"));
    if archive.exists() {
        return Ok((archive, rootfs));
    }
    std::fs::create_dir_all(&folder)?;
    layers(&folder)?;
    for maker in Engines::on(disk, None).start("maker")? {
        let build = ["build", "-q", "-t", "bench", "."];
        output(maker.docker().env("DOCKER_BUILDKIT", "0").current_dir(&folder).args(build))?;
        output(maker.docker().args(["save", "bench", "-o"]).arg(&archive))?;
        output(maker.docker().args(["rmi", "bench"]))?;
    }
    Ok((archive, rootfs))
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
