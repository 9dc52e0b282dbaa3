//! Compressed streams, told by their first bytes.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use crate::Result;
use crate::error::Doing;

/// Memory a decoder may take for its window: what the strongest usual settings of the compressors need.
const MAX_WINDOW_LOG: u32 = 27;
const BUFFER_BYTES: usize = 128 * 1024;

/// The plain contents of a stream that may be compressed with gzip, bzip2, xz or zstd. Memory is bounded whatever the stream
/// asks for; a stream that asks for more fails when read.
pub fn decompress<'a>(mut input: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut magic = [0; 6];
    let mut length = 0;
    while length < magic.len() {
        match input.read(&mut magic[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).doing("reading the tar stream"),
        }
    }
    let input = Cursor::new(magic).take(length as u64).chain(input);
    match &magic[..length] {
        [0x1f, 0x8b, ..] => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(buffered(input)))),
        [b'B', b'Z', b'h', ..] => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(input)))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let limit_kib = 1 << (MAX_WINDOW_LOG - 10 + 1);
            Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(buffered(input), true, limit_kib)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered(input)).doing("starting zstd")?;
            decoder.window_log_max(MAX_WINDOW_LOG).doing("starting zstd")?;
            Ok(Box::new(decoder))
        }
        _ => Ok(Box::new(input)),
    }
}

fn buffered<'a>(input: impl Read + 'a) -> impl BufRead + 'a {
    BufReader::with_capacity(BUFFER_BYTES, input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn plain(input: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        decompress(input).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn all_formats_and_none() {
        let text = b"layer ".repeat(10_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let zstd = zstd::stream::encode_all(text.as_slice(), 3).unwrap();
        let gzip = gzip.finish().unwrap();
        let twice = [gzip.as_slice(), &gzip].concat();
        assert_eq!(plain(&twice), text.repeat(2));
        for compressed in [gzip, bzip2.finish().unwrap(), zstd, text.clone()] {
            assert_eq!(plain(&compressed), text);
        }
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        xz.write_all(&text).unwrap();
        assert_eq!(plain(&xz.finish().unwrap()), text);
        for short in [&b""[..], b"a", b"BZ"] {
            assert_eq!(plain(short), short);
        }
    }
}
