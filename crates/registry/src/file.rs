//! Files of the user's that are read whole.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Checks that a path leads to a regular file, without opening it: opening a FIFO waits for somebody who writes to it,
/// and a device may never end; neither can be interrupted.
///
/// # Errors
/// When the path leads nowhere, or to something else.
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

/// Reads up to `limit` bytes of a regular file, and one more where it is longer, so that the caller can tell.
///
/// # Errors
/// As for [`require_regular`], and when it cannot be read.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    require_regular(path)?;
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
