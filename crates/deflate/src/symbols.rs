//! The symbols of lengths and distances, and the bits that follow them (RFC 1951, section 3.2.5).

use crate::matches::MOST_BYTES;

/// Symbols of literals and lengths.
pub(crate) const LITERALS: usize = 286;
/// Symbols of distances.
pub(crate) const DISTANCES: usize = 30;
/// The end of a block.
pub(crate) const END: usize = 256;
/// The symbol of the shortest length.
pub(crate) const LENGTHS: usize = 257;

/// The shortest length of each symbol; those up to the next symbol's are told apart by the bits that follow.
const LENGTH_BASES: [u16; LITERALS - LENGTHS] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];

/// How a length is written.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    pub(crate) symbol: u16,
    /// What follows the symbol's word.
    pub(crate) rest: u8,
    pub(crate) rest_bits: u8,
}

/// How each length is written.
pub(crate) const LENGTH: [Length; MOST_BYTES + 1] = {
    let mut all = [Length { symbol: 0, rest: 0, rest_bits: 0 }; MOST_BYTES + 1];
    let mut slot = 0;
    let mut length = LENGTH_BASES[0] as usize;
    while length <= MOST_BYTES {
        if slot + 1 < LENGTH_BASES.len() && length == LENGTH_BASES[slot + 1] as usize {
            slot += 1;
        }
        let rest = (length - LENGTH_BASES[slot] as usize) as u8;
        all[length] = Length { symbol: (LENGTHS + slot) as u16, rest, rest_bits: length_bits(slot) };
        length += 1;
    }
    all
};

/// How many bits follow a symbol of lengths, counted from the first.
pub(crate) const fn length_bits(slot: usize) -> u8 {
    if slot < 8 || slot == 28 { 0 } else { (slot / 4 - 1) as u8 }
}

/// How many bits follow a symbol of distances.
pub(crate) const fn distance_bits(symbol: usize) -> u32 {
    if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 }
}

/// The symbol of a distance: two for each power of two.
#[inline(always)]
pub(crate) fn distance(distance: u16) -> usize {
    let less = u32::from(distance) - 1;
    if less < 4 {
        return less as usize;
    }
    let top = less.ilog2();
    (2 * top + (less >> (top - 1) & 1)) as usize
}

/// The bits that follow the symbol of a distance.
#[inline(always)]
pub(crate) fn distance_rest(distance: u16, symbol: usize) -> (u64, u32) {
    let bits = distance_bits(symbol);
    (u64::from(distance - 1) & ((1 << bits) - 1), bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_specification() {
        let told = |length: usize| (LENGTH[length].symbol, LENGTH[length].rest, LENGTH[length].rest_bits);
        assert_eq!([told(3), told(10), told(11), told(12)], [(257, 0, 0), (264, 0, 0), (265, 0, 1), (265, 1, 1)]);
        assert_eq!([told(130), told(257), told(258)], [(280, 15, 4), (284, 30, 5), (285, 0, 0)]);
    }

    #[test]
    fn distances_are_those_of_the_specification() {
        let told = |far: u16| (distance(far), distance_rest(far, distance(far)));
        assert_eq!([told(1), told(4), told(5), told(6)], [(0, (0, 0)), (3, (0, 0)), (4, (0, 1)), (4, (1, 1))]);
        assert_eq!([told(24_576), told(24_577), told(32_768)], [(28, (8191, 13)), (29, (0, 13)), (29, (8191, 13))]);
    }
}
