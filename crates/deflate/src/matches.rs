//! What comes again within the last 32 KiB.

/// How far back the format can point.
const WINDOW_BYTES: usize = 32 << 10;
/// The shortest repetition that is looked for.
const LEAST_BYTES: usize = 4;
/// The longest that the format has.
pub(crate) const MOST_BYTES: usize = 258;
/// Where nothing is looked for: the last bytes of a stretch.
const END_BYTES: usize = 8;
/// As many places are remembered as stay in the first cache of a processor.
const HASH_BITS: u32 = 14;
/// After each so many bytes without a repetition (as a power of two) one more is passed over at a time. What has been
/// compressed before is done with quickly.
const PATIENCE_BITS: u32 = 6;

/// Bytes as they are, and then some that were there before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// How many bytes come as they are.
    pub(crate) literals: usize,
    /// How many come again: 4 to 258, or 0 at the end of a stretch.
    pub(crate) length: u16,
    /// From how far back they do.
    pub(crate) distance: u16,
}

/// Where each four bytes were seen last, by their hash: the place's lowest 16 bits.
pub(crate) struct Matches {
    seen: Box<[u16; 1 << HASH_BITS]>,
}

impl Matches {
    pub(crate) fn new() -> Self {
        Self { seen: Box::new([0; 1 << HASH_BITS]) }
    }

    /// Forgets what it has seen.
    pub(crate) fn clear(&mut self) {
        self.seen.fill(0);
    }

    /// Adds the sequences of a stretch, given what comes before it since the last [`Matches::clear`].
    pub(crate) fn find(&mut self, plain: &[u8], start: usize, sequences: &mut Vec<Sequence>) {
        let (mut done, mut at) = (start, start);
        while at + END_BYTES < plain.len() {
            let bytes = word(plain, at);
            let Some(distance) = self.distance(plain, at, bytes) else {
                at += 1 + ((at - done) >> PATIENCE_BITS);
                continue;
            };
            let mut length = common(plain, at, distance);
            while at > done && at > distance && length < MOST_BYTES && plain[at - 1] == plain[at - 1 - distance] {
                at -= 1;
                length += 1;
            }
            sequences.push(Sequence { literals: at - done, length: length as u16, distance: distance as u16 });
            done = at + length;
            if done + END_BYTES < plain.len() {
                // Of a repetition only its ends are remembered: what comes next is like what came after them.
                for place in [at + 1, at + 2, done - 2, done - 1] {
                    self.seen[hash(word(plain, place))] = place as u16;
                }
            }
            at = done;
        }
        sequences.push(Sequence { literals: plain.len() - done, length: 0, distance: 0 });
    }

    /// How far back these four bytes were before, if that was not too long ago. Remembers where they are now.
    #[inline(always)]
    fn distance(&mut self, plain: &[u8], at: usize, bytes: u32) -> Option<usize> {
        let before = std::mem::replace(&mut self.seen[hash(bytes)], at as u16);
        let distance = usize::from((at as u16).wrapping_sub(before));
        (distance.wrapping_sub(1) < WINDOW_BYTES.min(at) && word(plain, at - distance) == bytes).then_some(distance)
    }
}

#[inline(always)]
fn hash(bytes: u32) -> usize {
    // Knuth's multiplication by the golden ratio.
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// The four bytes at a place; 0 beyond the end.
#[inline(always)]
fn word(plain: &[u8], at: usize) -> u32 {
    plain.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The eight bytes at a place; 0 beyond the end.
#[inline(always)]
fn long(plain: &[u8], at: usize) -> u64 {
    plain.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// How many bytes are the same as those so far back, of which four are known to be.
#[inline(always)]
fn common(plain: &[u8], at: usize, distance: usize) -> usize {
    let most = MOST_BYTES.min(plain.len() - at);
    let mut length = LEAST_BYTES;
    while length + 8 <= most {
        let differ = long(plain, at + length) ^ long(plain, at + length - distance);
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && plain[at + length] == plain[at + length - distance] {
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(plain: &[u8]) -> Vec<Sequence> {
        let mut found = Vec::new();
        Matches::new().find(plain, 0, &mut found);
        found
    }

    #[test]
    fn a_repetition_is_found_from_its_first_byte_to_its_last() {
        let plain = b"0123456789 abcdefghij 0123456789+abcdefghij!........";
        let found = sequences(plain);
        assert_eq!(found[0], Sequence { literals: 22, length: 10, distance: 22 });
        assert_eq!(found[1], Sequence { literals: 1, length: 10, distance: 22 });
    }

    #[test]
    fn what_is_too_far_back_is_not_found() {
        for (between, is_found) in [(WINDOW_BYTES - 16, true), (WINDOW_BYTES - 15, false)] {
            let mut plain = b"a needle's point".to_vec();
            plain.resize(plain.len() + between, 0);
            plain.extend(b"a needle's point        ");
            let far = sequences(&plain).iter().any(|found| usize::from(found.distance) == between + 16);
            assert_eq!(far, is_found, "{between}");
        }
    }

    #[test]
    fn a_long_repetition_is_cut_where_the_format_ends() {
        let found = sequences(&[7; 1000]);
        assert!(found.iter().all(|found| usize::from(found.length) <= MOST_BYTES));
        assert_eq!(found.iter().map(|found| found.literals + usize::from(found.length)).sum::<usize>(), 1000);
        assert!(found.len() < 7, "{found:?}");
    }
}
