//! Checks of user files that are read completely.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Checks that a path leads to a regular file, without opening it: opening a FIFO waits for a writer, and a device may
/// never end; neither can be interrupted.
///
/// # Errors
/// If the path does not exist, or leads to something else.
pub fn require_regular(path: &Path) -> io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(ErrorKind::IsADirectory.into())
    } else {
        Err(Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }
}

/// Reads up to `limit` bytes of a regular file, and one more if it is longer, so that the caller can tell.
///
/// # Errors
/// The errors of [`require_regular`], and an error if the file cannot be read.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    require_regular(path)?;
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
