//! Archives of a single file, for builds that older clients asked for in other words.

const BLOCK: usize = 512;

/// An archive with one file.
pub(super) fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    prepend(name, content, &[])
}

/// A file and, after it, the members of another archive.
pub(super) fn prepend(name: &str, content: &[u8], members: &[u8]) -> Vec<u8> {
    let mut archive = header(name, content.len()).to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive.extend_from_slice(members);
    if members.is_empty() {
        archive.resize(archive.len() + 2 * BLOCK, 0);
    }
    archive
}

/// A header of the ustar form for a regular file that everybody may read.
fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_archive() {
        let archive = archive("Dockerfile", b"FROM a\n");
        assert_eq!(archive.len(), 4 * BLOCK);
        assert_eq!(&archive[124..136], b"00000000007\0");
        assert_eq!(&archive[BLOCK..BLOCK + 7], b"FROM a\n");
    }
}
