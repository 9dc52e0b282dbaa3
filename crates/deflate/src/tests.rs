use std::io::Read;

use proptest::prelude::*;

use super::*;

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    Encoder::default().encode(plain, &mut packed);
    packed
}

/// What another program reads, and whether it sees the end where it is.
fn back(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut reader = flate2::bufread::DeflateDecoder::new(packed);
    reader.read_to_end(&mut plain).unwrap();
    assert_eq!(reader.total_in(), packed.len() as u64);
    plain
}

/// Numbers without a pattern.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed | 1), |state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    })
}

fn bytes(seed: u64, length: usize) -> Vec<u8> {
    noise(seed).flat_map(u64::to_le_bytes).take(length).collect()
}

#[test]
fn what_went_in_comes_out() {
    for length in [0, 1, 2, 3, 4, 5, 8, 9, 100, STRETCH_BYTES, STRETCH_BYTES + 1, 4 * STRETCH_BYTES, 300_000] {
        let words: Vec<u8> =
            (0..length).flat_map(|number| format!("{} ", number % 977).into_bytes()).take(length).collect();
        for plain in [vec![0; length], bytes(7, length), words] {
            assert_eq!(back(&[&packed(&plain)[..], &LAST].concat()), plain, "{length}");
        }
    }
}

/// Each length of the format, and distances of each symbol.
#[test]
fn repetitions_of_all_lengths_and_distances_come_out() {
    let mut plain = bytes(3, 32_768);
    let mut sequences = Vec::new();
    let mut literals = plain.len();
    for (length, random) in (4..=MOST_BYTES).zip(noise(9)) {
        let distance = 1 + random as usize % (32_768 >> (length % 16));
        (0..length).for_each(|_| plain.push(plain[plain.len() - distance]));
        sequences.push(Sequence { literals, length: length as u16, distance: distance as u16 });
        literals = 0;
    }
    sequences.push(Sequence { literals: 0, length: 0, distance: 0 });
    let mut room = vec![0; plain.len()];
    let mut bits = Bits::new(&mut room);
    stretch(&plain, &sequences, &mut bits);
    bits.stored(&[]);
    let written = bits.written();
    assert!(written < 34_500, "{written}");
    assert_eq!(back(&[&room[..written], &LAST].concat()), plain);
}

#[test]
fn blocks_follow_one_another() {
    let (one, other) = (bytes(1, 70_000), vec![b'x'; 70_000]);
    let mut encoder = Encoder::default();
    let (mut first, mut second) = (vec![1; 9], Vec::new());
    encoder.encode(&one, &mut first);
    encoder.encode(&other, &mut second);
    assert_eq!(second, packed(&other), "it remembers what it saw before");
    assert_eq!(back(&[&first[..], &second, &LAST].concat()), [one, other].concat());
}

#[test]
fn what_cannot_be_compressed_hardly_grows() {
    let plain = bytes(5, 1 << 20);
    assert!(packed(&plain).len() <= plain.len() + 17 * 6 + 8);
}

#[test]
fn text_becomes_about_as_small_as_zlib_makes_it() {
    let plain: Vec<u8> = noise(11)
        .flat_map(|number| format!("{:x} layer {} ", number >> 52, number >> 60).into_bytes())
        .take(1 << 20)
        .collect();
    let mut zlib = Vec::new();
    flate2::read::DeflateEncoder::new(&plain[..], flate2::Compression::new(2)).read_to_end(&mut zlib).unwrap();
    let ours = packed(&plain).len();
    assert!(ours < zlib.len() * 108 / 100, "{ours} of zlib's {}", zlib.len());
}

proptest! {
    /// Pieces that come again, in any order, with noise between them.
    #[test]
    fn anything_comes_out(pieces in prop::collection::vec((0_u64..9, 0_usize..3000, any::<bool>()), 0..60)) {
        let mut plain = Vec::new();
        for (seed, length, is_plain) in pieces {
            plain.extend(if is_plain { vec![seed as u8; length] } else { bytes(seed, length) });
        }
        prop_assert_eq!(back(&[&packed(&plain)[..], &LAST].concat()), plain);
    }
}
