//! Recognises the detach keys in what a client types.

/// Watches a client's input for the detach keys.
#[derive(Debug, Default)]
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// No keys: nothing is ever recognised.
    pub(super) fn new(keys: Vec<u8>) -> DetachKeys {
        DetachKeys { keys, matched: 0 }
    }

    /// Appends to `out` what of `input` is meant for the process; true once the keys were typed in full.
    ///
    /// The start of the keys is held back until it is clear what it is; what follows the keys is dropped.
    pub(super) fn filter(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(input);
            return false;
        }
        for &byte in input {
            if byte != self.keys[self.matched] {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte == self.keys[self.matched] {
                self.matched += 1;
            } else {
                out.push(byte);
            }
            if self.matched == self.keys.len() {
                self.matched = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut keys = DetachKeys::new(vec![16, 17]);
        let mut out = Vec::new();
        let detached = pieces.iter().any(|piece| keys.filter(piece, &mut out));
        (out, detached)
    }

    #[test]
    fn the_keys_are_found_in_one_piece_or_many() {
        assert_eq!(typed(&[b"ab\x10\x11cd"]), (b"ab".to_vec(), true));
        assert_eq!(typed(&[b"a\x10", b"\x11"]), (b"a".to_vec(), true));
        assert_eq!(typed(&[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
    }

    #[test]
    fn anything_else_passes_through() {
        assert_eq!(typed(&[b"\x10", b"x\x11"]), (b"\x10x\x11".to_vec(), false));
        let mut out = Vec::new();
        assert!(!DetachKeys::default().filter(b"\x10\x11", &mut out));
        assert_eq!(out, b"\x10\x11");
    }
}
