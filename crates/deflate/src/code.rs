//! Prefix codes: how long each symbol's word is, by how often it comes, and its bits (RFC 1951, section 3.2.2).

/// The longest word that the format has, in bits.
const MOST_BITS: usize = 15;
/// The most symbols of a code.
const MOST_SYMBOLS: usize = 288;
/// Low bits of an entry that sorts symbols by how often they come: the symbol.
const SYMBOL_BITS: u32 = 9;

/// A code for `N` symbols.
pub(crate) struct Code<const N: usize> {
    /// Bits of each symbol's word, 0 for those that do not come.
    pub(crate) lengths: [u8; N],
    /// The word of each, its first bit lowest.
    pub(crate) words: [u16; N],
}

impl<const N: usize> Code<N> {
    /// The shortest code for symbols that come so often, no word of which is longer than `most` bits. It has two words at
    /// least: of a code with one some readers think that it is broken.
    pub(crate) fn new(counts: &[u32; N], most: usize) -> Self {
        let mut entries = [0; N];
        let mut used = 0;
        for (symbol, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            entries[used] = count << SYMBOL_BITS | symbol as u32;
            used += 1;
        }
        let entries = &mut entries[..used];
        entries.sort_unstable();
        let mut rarest_first = entries.iter().map(|entry| (entry & ((1 << SYMBOL_BITS) - 1)) as usize);
        let mut lengths = [0; N];
        if used < 2 {
            let only = rarest_first.next().unwrap_or(0);
            (lengths[only], lengths[usize::from(only == 0)]) = (1, 1);
        } else {
            let histogram = histogram(entries, most);
            for bits in (1..=most).rev() {
                for symbol in rarest_first.by_ref().take(histogram[bits]) {
                    lengths[symbol] = bits as u8;
                }
            }
        }
        Self { words: words(&lengths), lengths }
    }

    /// A symbol's word, and how many bits it has.
    #[inline(always)]
    pub(crate) fn word(&self, symbol: usize) -> (u64, u32) {
        (u64::from(self.words[symbol]), u32::from(self.lengths[symbol]))
    }

    /// Bits that symbols which come so often take.
    pub(crate) fn cost(&self, counts: &[u32; N]) -> u64 {
        self.lengths.iter().zip(counts).map(|(bits, count)| u64::from(*bits) * u64::from(*count)).sum()
    }
}

/// How many words there are of each length: Huffman's algorithm over sorted entries, two at least. The inner nodes come into
/// being in the order of their sums, so that two queues are enough.
fn histogram(entries: &[u32], most: usize) -> [usize; MOST_BITS + 1] {
    let count = |leaf: usize| entries[leaf] >> SYMBOL_BITS;
    let (mut sums, mut parents) = ([0; MOST_SYMBOLS], [0; MOST_SYMBOLS]);
    let mut leaf_parents = [0; MOST_SYMBOLS];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..entries.len() - 1 {
        for _ in 0..2 {
            if leaf < entries.len() && (inner == node || count(leaf) <= sums[inner]) {
                sums[node] += count(leaf);
                leaf_parents[leaf] = node;
                leaf += 1;
            } else {
                sums[node] += sums[inner];
                parents[inner] = node;
                inner += 1;
            }
        }
    }
    // The last is the root.
    let mut depths = [0; MOST_SYMBOLS];
    for node in (0..entries.len() - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut histogram = [0; MOST_BITS + 1];
    for parent in &leaf_parents[..entries.len()] {
        histogram[most.min(depths[*parent] + 1)] += 1;
    }
    complete(&mut histogram, most);
    histogram
}

/// Makes lengths those of a code again, after the ones that were too long became `most`.
fn complete(histogram: &mut [usize; MOST_BITS + 1], most: usize) {
    // How many words of the longest sort there would be in the place of all.
    let mut taken: usize = (1..=most).map(|bits| histogram[bits] << (most - bits)).sum();
    while taken > 1 << most {
        // One of the longest goes beneath a shorter one, which gets longer by a bit as well.
        let shorter = (1..most).rev().find(|bits| histogram[*bits] > 0).unwrap_or(1);
        histogram[shorter] -= 1;
        histogram[shorter + 1] += 2;
        histogram[most] -= 1;
        taken -= 1;
    }
}

fn words<const N: usize>(lengths: &[u8; N]) -> [u16; N] {
    let mut next = [0_u16; MOST_BITS + 1];
    for bits in lengths.iter().filter(|bits| **bits > 0) {
        next[usize::from(*bits)] += 1;
    }
    let mut first = 0;
    for next in &mut next {
        first = (first + std::mem::replace(next, first)) << 1;
    }
    let mut words = [0; N];
    for (word, bits) in words.iter_mut().zip(lengths).filter(|(_, bits)| **bits > 0) {
        let next = &mut next[usize::from(*bits)];
        *word = next.reverse_bits() >> (16 - bits);
        *next = next.wrapping_add(1);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_specification() {
        // The example of section 3.2.2: A to H have 3, 3, 3, 3, 3, 2, 4 and 4 bits.
        let lengths = [3, 3, 3, 3, 3, 2, 4, 4];
        let words = words(&lengths);
        let read = std::array::from_fn(|symbol| words[symbol].reverse_bits() >> (16 - lengths[symbol]));
        assert_eq!(read, [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111]);
    }

    /// Counts that grow as Fibonacci's numbers make the deepest tree.
    #[test]
    fn no_word_is_longer_than_it_may_be_and_the_code_stays_complete() {
        let mut counts = [0; 30];
        let mut pair = (1, 1);
        for count in &mut counts {
            *count = pair.0;
            pair = (pair.1, pair.0 + pair.1);
        }
        for most in [5, 7, 14, 15] {
            let code = Code::new(&counts, most);
            assert_eq!(usize::from(*code.lengths.iter().max().unwrap()), most);
            let taken: u32 = code.lengths.iter().map(|bits| 1 << (most - usize::from(*bits))).sum();
            assert_eq!(taken, 1 << most);
            assert!(code.lengths.is_sorted_by(|one, other| one >= other), "{:?}", code.lengths);
        }
    }

    #[test]
    fn a_code_has_two_words_at_least() {
        for used in [None, Some(0), Some(7)] {
            let mut counts = [0; 30];
            used.into_iter().for_each(|symbol: usize| counts[symbol] = 9);
            let code = Code::new(&counts, 15);
            assert_eq!(code.lengths.iter().filter(|bits| **bits == 1).count(), 2);
            assert!(used.is_none_or(|symbol| code.lengths[symbol] == 1));
        }
    }
}
