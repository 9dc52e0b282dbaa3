//! What tells a stream from another: its digest, by which everybody knows it, and its sum, which takes a sixth of the time and
//! is enough against disks and hands that change files.

use std::io::{self, Write};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

/// XXH3 of 128 bits, written `xxh3:` and 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(u128);

const NAME: &str = "xxh3:";

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{NAME}{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix(NAME).ok_or_else(|| D::Error::custom("a sum of an unknown kind"))?;
        u128::from_str_radix(digits, 16).map(Sum).map_err(D::Error::custom)
    }
}

/// Is shown a stream piece by piece.
pub(crate) trait Witness: Default {
    /// What it says at the end.
    type Verdict;
    fn see(&mut self, bytes: &[u8]);
    fn verdict(self) -> Self::Verdict;
}

impl Witness for Sha256 {
    type Verdict = [u8; 32];

    fn see(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }

    fn verdict(self) -> [u8; 32] {
        self.finalize().into()
    }
}

/// Makes a [`Sum`].
#[derive(Default)]
pub(crate) struct Summing(XxHash3_128);

impl Witness for Summing {
    type Verdict = Sum;

    fn see(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn verdict(self) -> Sum {
        Sum(self.0.finish_128())
    }
}

impl<A: Witness, B: Witness> Witness for (A, B) {
    type Verdict = (A::Verdict, B::Verdict);

    fn see(&mut self, bytes: &[u8]) {
        self.0.see(bytes);
        self.1.see(bytes);
    }

    fn verdict(self) -> Self::Verdict {
        (self.0.verdict(), self.1.verdict())
    }
}

/// A writer that shows what passes.
pub(crate) struct Witnessed<W, H> {
    out: W,
    witness: H,
}

impl<W: Write, H: Witness> Witnessed<W, H> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, witness: H::default() }
    }

    pub(crate) fn verdict(self) -> H::Verdict {
        self.witness.verdict()
    }
}

impl<W: Write, H: Witness> Write for Witnessed<W, H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.witness.see(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
