//! What a layer's tar has beside the files' contents, so that the same bytes can be written again.
//!
//! A zstd stream of records: `0, length: u32, bytes` stands for these bytes; `1` and `2` for the contents of a file of the layer, or
//! of something put aside: `size: u64, path length: u32, path, part count: u32, (offset: u64, length: u64)*`, where no parts mean the
//! whole file. Numbers are little-endian.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::Doing;
use crate::tar::Segment;

const LEVEL: i32 = 3;
/// Verbatim bytes gathered into one record.
const GATHER_BYTES: usize = 64 * 1024;

/// Where a file's contents are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the layer's directory.
    Diff(PathBuf),
    /// In the folder of things put aside.
    Aside(PathBuf),
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Bytes(Vec<u8>),
    File { source: Source, size: u64, segments: Vec<Segment> },
}

/// Writes records. What is written to it as a [`Write`] is kept verbatim.
pub(crate) struct SplitWriter {
    out: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    gathered: Vec<u8>,
}

impl Write for SplitWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER_BYTES {
            self.flush_gathered()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SplitWriter {
    pub(crate) fn new(file: File) -> io::Result<SplitWriter> {
        let out = zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL)?;
        Ok(SplitWriter { out, gathered: Vec::new() })
    }

    pub(crate) fn file(&mut self, source: &Source, size: u64, segments: &[Segment]) -> io::Result<()> {
        self.flush_gathered()?;
        let (tag, path) = match source {
            Source::Diff(path) => (1_u8, path),
            Source::Aside(path) => (2, path),
        };
        let path = path.as_os_str().as_bytes();
        self.out.write_all(&[tag])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(path)?;
        self.out.write_all(&(segments.len() as u32).to_le_bytes())?;
        for segment in segments {
            self.out.write_all(&segment.offset.to_le_bytes())?;
            self.out.write_all(&segment.length.to_le_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush_gathered()?;
        self.out.finish()?.flush()
    }

    fn flush_gathered(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.out.write_all(&[0])?;
            self.out.write_all(&(self.gathered.len() as u32).to_le_bytes())?;
            self.out.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

/// Reads records.
pub(crate) struct SplitReader {
    input: zstd::stream::read::Decoder<'static, BufReader<File>>,
}

impl SplitReader {
    pub(crate) fn new(file: File) -> io::Result<SplitReader> {
        Ok(SplitReader { input: zstd::stream::read::Decoder::new(file)? })
    }

    pub(crate) fn next_record(&mut self) -> Result<Option<Record>> {
        self.read().doing("reading the layer's tar headers")
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        let mut tag = [0];
        if self.input.read(&mut tag)? == 0 {
            return Ok(None);
        }
        if tag[0] == 0 {
            let length = self.u32()?;
            return Ok(Some(Record::Bytes(self.bytes(length)?)));
        }
        let size = self.u64()?;
        let length = self.u32()?;
        let path = PathBuf::from(OsStr::from_bytes(&self.bytes(length)?));
        let segments = (0..self.u32()?).map(|_| Ok(Segment { offset: self.u64()?, length: self.u64()? }));
        let segments = segments.collect::<io::Result<Vec<_>>>()?;
        let source = match tag[0] {
            1 => Source::Diff(path),
            2 => Source::Aside(path),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown record")),
        };
        Ok(Some(Record::File { source, size, segments }))
    }

    fn bytes(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
        if read != length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Where the file of record `number` is now, given what was put aside after it.
pub(crate) fn locate(source: Source, number: u64, shadows: &[crate::apply::Shadow]) -> Source {
    let Source::Diff(path) = &source else { return source };
    for shadow in shadows.iter().filter(|shadow| shadow.before > number) {
        if let Ok(rest) = path.strip_prefix(Path::new(OsStr::from_bytes(&shadow.path))) {
            let aside = Path::new(&shadow.name);
            return Source::Aside(if rest.as_os_str().is_empty() { aside.into() } else { aside.join(rest) });
        }
    }
    source
}
