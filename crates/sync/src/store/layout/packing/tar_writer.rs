//! Writing of tar files whose bytes depend on their content alone: no times, no owners, one form.

use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

/// Length of a block of a tar file.
const BLOCK: usize = 512;

/// Smallest length that the header of USTAR cannot state: 8 GiB.
const TOO_LONG: u64 = 0o100_000_000_000;

/// Writer of a tar file.
pub(super) struct TarWriter<W: Write> {
    builder: Builder<W>,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(target: W) -> Self {
        Self {
            builder: Builder::new(target),
        }
    }
    /// Writes the entry of a directory.
    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }
    /// Writes a whole file.
    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        self.begin(name, length)?;
        self.append(bytes)?;
        self.end(length)
    }
    /// Begins a file of `length` bytes.
    pub(super) fn begin(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.header(name, EntryType::Regular, 0o644, length)
    }
    /// Writes bytes of the file that was begun.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.builder.get_mut().write_all(bytes)
    }
    /// Ends a file of `length` bytes.
    pub(super) fn end(&mut self, length: u64) -> io::Result<()> {
        let missing = length.next_multiple_of(BLOCK as u64).saturating_sub(length);
        let zeros = [0; BLOCK];
        let padding = usize::try_from(missing)
            .ok()
            .and_then(|end| zeros.get(..end));
        self.append(padding.unwrap_or_default())
    }
    /// Writes the mark of the end, and returns the target.
    pub(super) fn finish(self) -> io::Result<W> {
        self.builder.into_inner()
    }
    /// Writes a header in the form of USTAR. A length from 8 GiB on and a long name have no room in it, and stand in an
    /// extension (PAX) before it.
    fn header(&mut self, name: &str, kind: EntryType, mode: u32, length: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let text = length.to_string();
        let mut extensions: Vec<(&str, &[u8])> = Vec::new();
        if header.set_path(name).is_err() {
            let end = name.len().saturating_sub(100);
            header.set_path(name.get(end..).unwrap_or(name))?;
            extensions.push(("path", name.as_bytes()));
        }
        if length < TOO_LONG {
            header.set_size(length);
        } else {
            header.set_size(0);
            extensions.push(("size", text.as_bytes()));
        }
        header.set_cksum();
        self.builder.append_pax_extensions(extensions)?;
        self.append(header.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::{Algorithm, Digest};

    use super::*;

    #[test]
    fn long_names_and_lengths_stand_in_extensions() {
        let digest = Digest::compute(Algorithm::Sha512, b"x");
        let name = format!("blobs/sha512/{}", digest.encoded());
        let mut tar = TarWriter::new(Vec::new());
        tar.file(&name, b"x").unwrap();
        // The bytes themselves are left out.
        tar.begin("large", 9 << 30).unwrap();
        let bytes = tar.finish().unwrap();
        let mut archive = tar::Archive::new(std::io::Cursor::new(bytes));
        let mut entries = archive.entries_with_seek().unwrap();
        let first = entries.next().unwrap().unwrap();
        assert_eq!(first.path().unwrap().display().to_string(), name);
        let second = entries.next().unwrap().unwrap();
        assert_eq!(second.size(), 9 << 30);
    }
}
