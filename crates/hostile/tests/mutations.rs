//! Each target for a moment: its seeds, then bytes made from them by chance. The same bytes in each run.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostile::{TARGETS, Target};

/// How many inputs a target gets, and how long it may take for them; a slow machine tries fewer.
const ROUNDS: u32 = 20_000;
const WITHIN: Duration = Duration::from_secs(2);
/// How long one input may take: what takes longer grows faster than its input.
const ONE_WITHIN: Duration = Duration::from_secs(2);
const LONGEST_BYTES: usize = 64 * 1024;

/// What parsers of numbers, paths and texts stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"..",
    b"/",
    b"-1",
    b"0",
    b"65536",
    b"9223372036854775808",
    b"1e400",
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\",
    b"${",
    b"\n",
    b":",
];

/// xorshift64*: enough for choosing, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut bytes, seeds);
        }
        bytes.truncate(LONGEST_BYTES);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let end = at + self.below(bytes.len() - at);
        match self.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(end),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &seeds[self.below(seeds.len())];
                bytes.splice(at..end, other[self.below(other.len())..].iter().copied());
            }
            _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
        }
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("no seeds in {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", folder.display());
    files.iter().map(|file| std::fs::read(file).expect("a seed can be read")).collect()
}

/// Runs the target; if it fails, the bytes are kept for `cargo fuzz run` and for the corpus.
fn run(&(name, target): &Target, bytes: &[u8]) {
    let tried = || {
        let started = Instant::now();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| target(bytes)));
        (outcome, started.elapsed())
    };
    let (mut outcome, mut took) = tried();
    // A machine that stood still for a moment does not do so each time.
    for _ in 0..2 {
        if outcome.is_ok() && took >= ONE_WITHIN {
            (outcome, took) = tried();
        }
    }
    if outcome.is_ok() && took < ONE_WITHIN {
        return;
    }
    let kept = std::env::temp_dir().join(format!("hostile-{name}"));
    std::fs::write(&kept, bytes).expect("the bytes can be kept");
    panic!("{name} {} {} (took {took:?})", if outcome.is_ok() { "is slow on" } else { "fails on" }, kept.display());
}

#[test]
fn every_target_survives_its_seeds_and_what_chance_makes_of_them() {
    for target in TARGETS {
        let seeds = seeds(target.0);
        seeds.iter().for_each(|seed| run(target, seed));
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let started = Instant::now();
        for _ in 0..ROUNDS {
            run(target, &chance.mutated(&seeds));
            if started.elapsed() > WITHIN {
                break;
            }
        }
    }
}

#[test]
fn every_target_has_a_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut names: Vec<String> = std::fs::read_dir(programs)
        .expect("the programs can be listed")
        .map(|entry| entry.expect("a folder can be listed").path())
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}
