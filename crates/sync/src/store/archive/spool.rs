//! Unpacking of compressed archives and of standard input into a file without a name.
//!
//! The file is gone with the process, however it ends.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Bytes that are copied at a time.
const CHUNK: usize = 256 * 1024;

/// Length of the longest mark of a compression.
pub(super) const MAX_MARK: usize = 6;

/// Compression of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    /// One that is not supported, by its name.
    Other(&'static str),
}

impl Compression {
    /// Recognizes a compression by its mark at the beginning.
    pub(super) fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Other("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Other("xz"),
            [b'P', b'K', 3, 4, ..] => Self::Other("zip"),
            _ => Self::None,
        }
    }
}

/// A file that was unpacked.
#[derive(Debug)]
pub(super) struct Spooled {
    /// The file.
    pub(super) file: File,
    /// The error after which the source could not be read further, or its compression was damaged.
    pub(super) cut: Option<io::Error>,
}

/// A failed unpacking.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// The file in the directory cannot be written.
    Target(io::Error),
    /// The compression is not supported.
    Unsupported(&'static str),
}

/// Unpacks `source`, whose first bytes were read already and are `beginning`, into a file in `folder`. Blocks.
pub(super) fn unpack(
    beginning: &[u8],
    source: impl Read,
    folder: &Path,
) -> Result<Spooled, SpoolError> {
    let whole = BufReader::with_capacity(CHUNK, beginning.chain(source));
    match Compression::of(beginning) {
        Compression::None => copy(whole, folder),
        Compression::Gzip => copy(MultiGzDecoder::new(whole), folder),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(whole);
            copy(decoder.map_err(SpoolError::Target)?, folder)
        }
        Compression::Other(name) => Err(SpoolError::Unsupported(name)),
    }
}

fn copy(mut source: impl Read, folder: &Path) -> Result<Spooled, SpoolError> {
    let mut file = tempfile::tempfile_in(folder).map_err(SpoolError::Target)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match source.read(&mut chunk) {
            Ok(0) => return Ok(Spooled { file, cut: None }),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let cut = Some(error);
                return Ok(Spooled { file, cut });
            }
        };
        let bytes = chunk.get(..read).unwrap_or_default();
        file.write_all(bytes).map_err(SpoolError::Target)?;
    }
}
