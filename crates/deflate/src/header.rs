//! The head of a block with codes of its own: how long their words are, itself in a code (RFC 1951, section 3.2.7).

use crate::bits::Bits;
use crate::code::Code;
use crate::symbols::{DISTANCES, LENGTHS, LITERALS};

/// Symbols of the code: lengths of words, and three that repeat some.
const SYMBOLS: usize = 19;
/// Its longest word.
const MOST_BITS: usize = 7;
/// The order in which the lengths of its own words come.
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The least of them that come.
const LEAST_ORDER: usize = 4;

/// A symbol, and the bits that follow it.
struct Item {
    symbol: u8,
    rest: u8,
    rest_bits: u8,
}

pub(crate) struct Header {
    literals: usize,
    distances: usize,
    items: Vec<Item>,
    counts: [u32; SYMBOLS],
    code: Code<SYMBOLS>,
    /// How many of [`ORDER`] come.
    order: usize,
}

impl Header {
    /// Of codes whose words have these lengths.
    pub(crate) fn new(literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> Self {
        let literals = up_to_last(literals, LENGTHS);
        let distances = up_to_last(distances, 1);
        let mut lengths = [0; LITERALS + DISTANCES];
        lengths[..literals.len()].copy_from_slice(literals);
        lengths[literals.len()..][..distances.len()].copy_from_slice(distances);
        let items = items(&lengths[..literals.len() + distances.len()]);
        let mut counts = [0; SYMBOLS];
        items.iter().for_each(|item| counts[usize::from(item.symbol)] += 1);
        let code = Code::new(&counts, MOST_BITS);
        let order = up_to_last(&ORDER.map(|symbol| code.lengths[symbol]), LEAST_ORDER).len();
        Self { literals: literals.len(), distances: distances.len(), items, counts, code, order }
    }

    /// Bits that it takes.
    pub(crate) fn cost(&self) -> u64 {
        let rest: u64 = self.items.iter().map(|item| u64::from(item.rest_bits)).sum();
        3 + 5 + 5 + 4 + 3 * self.order as u64 + self.code.cost(&self.counts) + rest
    }

    pub(crate) fn write(&self, bits: &mut Bits<'_>) {
        // Not the last block, and one with codes of its own.
        bits.put(0b10 << 1, 3);
        bits.put((self.literals - LENGTHS) as u64, 5);
        bits.put(self.distances as u64 - 1, 5);
        bits.put((self.order - LEAST_ORDER) as u64, 4);
        for symbol in &ORDER[..self.order] {
            bits.put(u64::from(self.code.lengths[*symbol]), 3);
        }
        for Item { symbol, rest, rest_bits } in &self.items {
            let (word, count) = self.code.word(usize::from(*symbol));
            bits.add(word, count);
            bits.put(u64::from(*rest), u32::from(*rest_bits));
        }
    }
}

/// Lengths up to the last word that there is, `least` of them at least.
fn up_to_last(lengths: &[u8], least: usize) -> &[u8] {
    let last = lengths.iter().rposition(|bits| *bits > 0).map_or(0, |last| last + 1);
    &lengths[..last.max(least)]
}

/// Lengths as symbols: runs of one length are told by how long they are.
fn items(lengths: &[u8]) -> Vec<Item> {
    let mut items = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|one, other| one == other) {
        let mut left = run.len();
        let mut repeat = |symbol, least: usize, most: usize, rest_bits, left: &mut usize| {
            while *left >= least {
                let count = most.min(*left);
                items.push(Item { symbol, rest: (count - least) as u8, rest_bits });
                *left -= count;
            }
        };
        if run[0] == 0 {
            repeat(18, 11, 138, 7, &mut left);
            repeat(17, 3, 10, 3, &mut left);
        } else {
            repeat(run[0], 1, 1, 0, &mut 1);
            left -= 1;
            repeat(16, 3, 6, 2, &mut left);
        }
        repeat(run[0], 1, 1, 0, &mut left);
    }
    items
}
