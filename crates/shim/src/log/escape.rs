//! Text to JSON strings, byte for byte as Go's encoder for logs writes them.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes looked at together when searching for one that needs escaping; a whole number of vector registers.
const STRIDE: usize = 32;

/// Appends `text` as the inside of a JSON string (without the quotes).
///
/// `"` and `\` get a backslash, newline and carriage return their short form, other control characters and `<`, `>`, `&`
/// become `\u00xx`, the line separators U+2028 and U+2029 are escaped, and each byte that is no UTF-8 becomes `\ufffd`.
pub fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    // Most output is ASCII, in which nothing has to be told from what is no UTF-8.
    loop {
        let plain = plain_prefix(text);
        out.extend_from_slice(&text[..plain]);
        let Some(&byte) = text.get(plain) else { return };
        text = &text[plain..];
        if byte.is_ascii() {
            escape_ascii(byte, out);
            text = &text[1..];
        } else {
            // What is split off ends before an ASCII byte, which is never a part of another character.
            let (run, rest) = text.split_at(text.iter().position(u8::is_ascii).unwrap_or(text.len()));
            escape_run(run, out);
            text = rest;
        }
    }
}

fn escape_ascii(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
    }
}

/// Escapes bytes none of which is ASCII.
fn escape_run(run: &[u8], out: &mut Vec<u8>) {
    for chunk in run.utf8_chunks() {
        let mut valid = chunk.valid();
        while let Some(separator) = valid.find(['\u{2028}', '\u{2029}']) {
            let (before, rest) = valid.split_at(separator);
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(if rest.starts_with('\u{2028}') { b"\\u2028" } else { b"\\u2029" });
            valid = &rest['\u{2028}'.len_utf8()..];
        }
        out.extend_from_slice(valid.as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Length of the longest start of `text` that needs no escaping.
fn plain_prefix(text: &[u8]) -> usize {
    let mut length = 0;
    for block in text.chunks_exact(STRIDE) {
        // Without an early end the compiler turns this into a few vector comparisons.
        if block.iter().fold(false, |special, &byte| special | needs_escape(byte)) {
            break;
        }
        length += STRIDE;
    }
    length + text[length..].iter().position(|&byte| needs_escape(byte)).unwrap_or(text.len() - length)
}

/// Whether `byte` is anything but ASCII that stands for itself.
#[inline]
fn needs_escape(byte: u8) -> bool {
    // As signed, so that one comparison finds control characters and what is not ASCII.
    (byte.cast_signed() < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_are_escaped_as_go_does() {
        assert_eq!(escaped(b"a\"b\\c\n\r\t\x00\x1f"), r#"a\"b\\c\n\r\u0009\u0000\u001f"#);
        assert_eq!(escaped(b"<a href='x'>&amp;</a>"), r"\u003ca href='x'\u003e\u0026amp;\u003c/a\u003e");
        assert_eq!(escaped("é €\u{2028}\u{2029}\u{2027}\u{10000}".as_bytes()), "é €\\u2028\\u2029\u{2027}\u{10000}");
        assert_eq!(escaped(b"a\xff\xfeb"), r"a\ufffd\ufffdb");
        assert_eq!(escaped(b"\xe2\x82"), r"\ufffd\ufffd");
        assert_eq!(escaped(b"\x7f"), "\x7f");
    }

    proptest! {
        #[test]
        fn valid_text_comes_back(text in any::<String>()) {
            let json = format!("\"{}\"", escaped(text.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_bytes_give_valid_json(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let json = format!("\"{}\"", escaped(&bytes));
            prop_assert!(serde_json::from_str::<String>(&json).is_ok());
        }
    }
}
