//! Deflate (RFC 1951) for what is sent once: layers on their way to a registry.
//!
//! It looks for a repetition at one place only, and passes quickly over what has none; the codes are as good as any. Each
//! block ends at a whole byte and points nowhere before itself, so that blocks that several processors make can follow one
//! another in one stream.

mod bits;
mod code;
mod header;
mod matches;
mod symbols;

use crate::bits::{Bits, SLACK_BYTES};
use crate::code::Code;
use crate::header::Header;
use crate::matches::{MOST_BYTES, Matches, Sequence};
use crate::symbols::{DISTANCES, END, LENGTH, LITERALS};

/// Plain bytes that share their codes: the most that can be stored as they are if that makes less.
pub const STRETCH_BYTES: usize = 65_535;
/// Ends the stream: an empty last block.
pub const LAST: [u8; 2] = [3, 0];

/// The longest word of a literal, so that four and what is left of a byte go into 64 bits.
const LITERAL_BITS: usize = 14;
const DISTANCE_BITS: usize = 15;
/// A stored block's type, what is left of its byte, and its length twice.
const STORED_BITS: u64 = 3 + 7 + 32;

/// Compresses blocks, one after the other, and keeps the memory for it.
pub struct Encoder {
    matches: Matches,
    sequences: Vec<Sequence>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { matches: Matches::new(), sequences: Vec::new() }
    }
}

impl Encoder {
    /// Puts `plain`, compressed, in the place of what `packed` holds: whole bytes, after which more can follow or [`LAST`].
    /// The same bytes give the same bytes always and everywhere.
    pub fn encode(&mut self, plain: &[u8], packed: &mut Vec<u8>) {
        let stretches = plain.len().div_ceil(STRETCH_BYTES) + 1;
        packed.resize(plain.len() + stretches * STORED_BITS.div_ceil(8) as usize + SLACK_BYTES, 0);
        let mut bits = Bits::new(packed);
        self.matches.clear();
        let mut start = 0;
        while start < plain.len() {
            let end = plain.len().min(start + STRETCH_BYTES);
            self.sequences.clear();
            self.matches.find(&plain[..end], start, &mut self.sequences);
            stretch(&plain[start..end], &self.sequences, &mut bits);
            start = end;
        }
        // Nothing, stored, ends at a whole byte.
        bits.stored(&[]);
        let written = bits.written();
        packed.truncate(written);
    }
}

/// Writes a stretch as one block, of the kind that makes less.
fn stretch(plain: &[u8], sequences: &[Sequence], bits: &mut Bits<'_>) {
    let counts = Counts::new(plain, sequences);
    let literals = Code::new(&counts.literals, LITERAL_BITS);
    let distances = Code::new(&counts.distances, DISTANCE_BITS);
    let header = Header::new(&literals.lengths, &distances.lengths);
    let cost = header.cost() + literals.cost(&counts.literals) + distances.cost(&counts.distances) + counts.rest_bits();
    if cost < STORED_BITS + 8 * plain.len() as u64 {
        header.write(bits);
        write(plain, sequences, &literals, &distances, bits);
    } else {
        bits.stored(plain);
    }
}

/// How often each symbol comes.
struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Counts {
    fn new(plain: &[u8], sequences: &[Sequence]) -> Self {
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        // A counter need not wait for itself when a byte comes twice.
        let mut seconds = [0; 256];
        let mut left = plain;
        for sequence in sequences {
            let (fours, more) = split(left, sequence.literals);
            for [first, second, third, fourth] in fours {
                literals[usize::from(*first)] += 1;
                seconds[usize::from(*second)] += 1;
                literals[usize::from(*third)] += 1;
                seconds[usize::from(*fourth)] += 1;
            }
            more.iter().for_each(|(byte, counts)| literals[usize::from(*byte)] += u32::from(*counts));
            left = &left[sequence.literals..];
            if sequence.length > 0 {
                literals[usize::from(LENGTH[usize::from(sequence.length)].symbol)] += 1;
                distances[symbols::distance(sequence.distance)] += 1;
                left = &left[usize::from(sequence.length)..];
            }
        }
        literals.iter_mut().zip(seconds).for_each(|(count, more)| *count += more);
        literals[END] = 1;
        Self { literals, distances }
    }

    /// Bits that follow the words.
    fn rest_bits(&self) -> u64 {
        let lengths = self.literals[symbols::LENGTHS..].iter().enumerate();
        let lengths = lengths.map(|(slot, count)| u64::from(symbols::length_bits(slot)) * u64::from(*count));
        let distances = self.distances.iter().enumerate();
        let distances = distances.map(|(slot, count)| u64::from(symbols::distance_bits(slot)) * u64::from(*count));
        lengths.chain(distances).sum()
    }
}

/// The next literals: by fours, and up to three more. How many more there are is as good as random, which processors cannot
/// foresee: it is always three, each with whether it counts.
#[inline(always)]
fn split(left: &[u8], literals: usize) -> (&[[u8; 4]], [(u8, bool); 3]) {
    let (fours, more) = left[..literals].as_chunks();
    let after = &left[literals - more.len()..];
    let more = std::array::from_fn(|at| (after.get(at).copied().unwrap_or(0), at < more.len()));
    (fours, more)
}

/// Writes what follows the header of a block.
fn write(
    plain: &[u8],
    sequences: &[Sequence],
    literals: &Code<LITERALS>,
    distances: &Code<DISTANCES>,
    bits: &mut Bits<'_>,
) {
    let words: [(u16, u8); 256] = std::array::from_fn(|byte| (literals.words[byte], literals.lengths[byte]));
    let lengths: [(u32, u8); MOST_BYTES + 1] = std::array::from_fn(|length| {
        let symbols::Length { symbol, rest, rest_bits } = LENGTH[length];
        let (word, count) = literals.word(usize::from(symbol));
        (word as u32 | u32::from(rest) << count, count as u8 + rest_bits)
    });
    let mut left = plain;
    for sequence in sequences {
        let (fours, more) = split(left, sequence.literals);
        for four in fours {
            for byte in four {
                let (word, count) = words[usize::from(*byte)];
                bits.add(u64::from(word), u32::from(count));
            }
            bits.flush();
        }
        for (byte, counts) in more {
            let (word, count) = words[usize::from(byte)];
            let mask = u32::from(counts).wrapping_neg();
            bits.add(u64::from(u32::from(word) & mask), u32::from(count) & mask);
        }
        bits.flush();
        left = &left[sequence.literals + usize::from(sequence.length)..];
        if sequence.length > 0 {
            let (word, count) = lengths[usize::from(sequence.length)];
            bits.add(u64::from(word), u32::from(count));
            let symbol = symbols::distance(sequence.distance);
            let (word, count) = distances.word(symbol);
            bits.add(word, count);
            let (rest, count) = symbols::distance_rest(sequence.distance, symbol);
            bits.add(rest, count);
            bits.flush();
        }
    }
    let (word, count) = literals.word(END);
    bits.put(word, count);
}

#[cfg(test)]
mod tests;
