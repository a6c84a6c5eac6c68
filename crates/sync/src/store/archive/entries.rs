//! Entries of a tar file: one scan over its headers, which are not trusted.
//!
//! Names that lead out of the archive, and devices, are refused. Links are followed within the archive only.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use image_syncer_registry::clean_text;
use tar::{EntryType, Header};

use super::progress::WorkProgress;

/// Maximum number of entries.
pub(super) const MAX_ENTRIES: usize = 1_000_000;

/// Maximum length of the headers of one entry, with long names and extensions.
const MAX_HEADER_BYTES: u64 = 2 * 1024 * 1024;

/// Maximum number of links that are followed to a file.
const MAX_LINKS: usize = 16;

/// Bytes that are read at a time.
const BUFFER: usize = 8 * 1024;

/// Length of a block of a tar file.
pub(super) const BLOCK: usize = 512;

/// A file, or a link to one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    File { start: u64, length: u64 },
    Link(Box<str>),
}

/// Files in an archive, by name.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_name: HashMap<Box<str>, Entry>,
    /// End of the part that can be read, if the archive is truncated or damaged behind it.
    pub(super) cut: Option<Cut>,
}

/// Place at which an archive stops to be readable. Displays as a clause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Cut {
    why: String,
    /// All entries are complete; only the mark at the end is missing, which some programs do not write.
    pub(super) lacks_mark_only: bool,
}

impl Cut {
    fn new(why: String) -> Self {
        Self {
            why,
            lacks_mark_only: false,
        }
    }
}

/// A refused archive. Displays as a clause.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    /// The archive is refused as a whole.
    #[error("{0}")]
    Refused(String),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Entries {
    /// Scans `file`, which has `length` bytes. Blocks.
    ///
    /// # Errors
    /// If the file cannot be read, is no tar file, or has an entry that is refused. A truncated archive is no error.
    pub(super) fn scan(
        file: &File,
        length: u64,
        progress: &mut WorkProgress<'_>,
    ) -> Result<Self, ScanError> {
        Self::scan_at_most(MAX_ENTRIES, file, length, progress)
    }
    fn scan_at_most(
        most: usize,
        file: &File,
        length: u64,
        progress: &mut WorkProgress<'_>,
    ) -> Result<Self, ScanError> {
        let budget = Rc::new(Cell::new(MAX_HEADER_BYTES));
        let mut reader = HeaderReader::new(file, Rc::clone(&budget));
        reader.seek(SeekFrom::Start(0))?;
        let mut archive = tar::Archive::new(reader);
        let mut found = Self::default();
        let mut end = 0;
        let mut count = 0;
        for entry in archive.entries_with_seek()? {
            budget.set(MAX_HEADER_BYTES);
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if count == 0 => {
                    let why = format!("it is no tar file: {}", shown(&error.to_string()));
                    return Err(ScanError::Refused(why));
                }
                Err(error) => {
                    let why = shown(&error.to_string());
                    let why = format!("it is truncated or damaged at byte {end}: {why}");
                    found.cut = Some(Cut::new(why));
                    return Ok(found);
                }
            };
            count += 1;
            if count > most {
                let why = format!("it has more than {most} entries");
                return Err(ScanError::Refused(why));
            }
            let start = entry.raw_file_position();
            end = start.saturating_add(entry.size());
            progress.reached(end);
            if let Some(cut) = found.add(&entry, (start, end), length)? {
                found.cut = Some(cut);
                return Ok(found);
            }
        }
        if count == 0 {
            return Err(ScanError::Refused("it is an empty tar file".to_owned()));
        }
        if length
            < end
                .next_multiple_of(BLOCK as u64)
                .saturating_add(BLOCK as u64)
        {
            found.cut = Some(Cut {
                why: format!("it is truncated at byte {length}: the mark of its end is missing"),
                lacks_mark_only: true,
            });
        }
        Ok(found)
    }
    /// Adds an entry. Returns the end of the archive if the entry is not complete.
    fn add(
        &mut self,
        entry: &tar::Entry<'_, HeaderReader<'_>>,
        (start, end): (u64, u64),
        length: u64,
    ) -> Result<Option<Cut>, ScanError> {
        let header = entry.header();
        let kind = header.entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::Directory) {
            return Ok(None);
        }
        let written = entry.path_bytes();
        let name = normal_name(&written).map_err(ScanError::Refused)?;
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                if end > length {
                    let why = format!(
                        "it is truncated at byte {length}: {name} begins at byte {start} and has {} bytes",
                        end.saturating_sub(start)
                    );
                    return Ok(Some(Cut::new(why)));
                }
                let length = end.saturating_sub(start);
                self.by_name
                    .insert(name.into(), Entry::File { start, length });
            }
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let folder = match kind {
                    EntryType::Symlink => name.rsplit_once('/').map_or("", |(folder, _)| folder),
                    _ => "",
                };
                let target = resolve(folder, &target).ok_or_else(|| {
                    let target = shown(&String::from_utf8_lossy(&target));
                    ScanError::Refused(format!("its entry {name} is a link out of it, to {target}"))
                })?;
                self.by_name.insert(name.into(), Entry::Link(target.into()));
            }
            _ => {
                let kind = describe(kind);
                return Err(ScanError::Refused(format!("its entry {name} is {kind}")));
            }
        }
        Ok(None)
    }
    /// Returns offset and length of the file `name`, behind links.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    pub(super) fn find(&self, name: &str) -> io::Result<(u64, u64)> {
        let mut name = name;
        for _ in 0..=MAX_LINKS {
            match self.by_name.get(name) {
                Some(Entry::File { start, length }) => return Ok((*start, *length)),
                Some(Entry::Link(target)) => name = target,
                None => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        let why = format!("it is behind more than {MAX_LINKS} links");
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
    /// Returns true if the archive has the file `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }
    /// Returns the names of all entries.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }
}

/// Checks the first block of a tar file: the header of an entry, with its sum.
///
/// # Errors
/// The reason, as a clause.
pub(super) fn check_start(block: &[u8]) -> Result<(), &'static str> {
    const NO_TAR: &str = "it is no tar file";
    let block: &[u8; BLOCK] = block.try_into().map_err(|_| NO_TAR)?;
    if block.iter().all(|byte| *byte == 0) {
        return Err("it is an empty tar file");
    }
    let mut header = Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    let stated = header.cksum().map_err(|_| NO_TAR)?;
    header.set_cksum();
    match header.cksum() {
        Ok(sum) if sum == stated => Ok(()),
        _ => Err(NO_TAR),
    }
}

/// Returns the name of an entry without `./`.
///
/// # Errors
/// If it leads out of the archive: a clause.
fn normal_name(written: &[u8]) -> Result<String, String> {
    if written.starts_with(b"/") {
        let name = shown(&String::from_utf8_lossy(written));
        return Err(format!("its entry {name} has an absolute path"));
    }
    let is_inside = !written
        .split(|byte| *byte == b'/')
        .any(|part| part == b"..");
    match resolve("", written) {
        Some(name) if is_inside => Ok(name),
        _ => {
            let name = shown(&String::from_utf8_lossy(written));
            Err(format!("its entry {name} leads out of it"))
        }
    }
}

/// Returns the path `target` as seen from `folder`; `None` if it leads out of the archive.
fn resolve(folder: &str, target: &[u8]) -> Option<String> {
    let target = String::from_utf8_lossy(target);
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns the noun for an entry that is refused.
fn describe(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file, which is not supported",
        _ => "of an unknown kind",
    }
}

/// Shows a text of the archive.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    clean_text(text, LONGEST)
}

/// Reader of headers with a budget for each entry, since the library reads long names into memory as a whole.
struct HeaderReader<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    /// Offset of the buffer in the file.
    offset: u64,
    position: u64,
    budget: Rc<Cell<u64>>,
}

impl<'a> HeaderReader<'a> {
    fn new(file: &'a File, budget: Rc<Cell<u64>>) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            offset: 0,
            position: 0,
            budget,
        }
    }
    /// Returns the bytes that are at hand at the position.
    fn at_hand(&self) -> &[u8] {
        let start = self.position.checked_sub(self.offset);
        let start = start.and_then(|start| usize::try_from(start).ok());
        start
            .and_then(|start| self.buffer.get(start..))
            .unwrap_or_default()
    }
}

impl Read for HeaderReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.at_hand().is_empty() {
            self.buffer.resize(BUFFER, 0);
            let read = rustix::io::pread(self.file, &mut self.buffer[..], self.position)?;
            self.buffer.truncate(read);
            self.offset = self.position;
        }
        let copied = self.at_hand().read(target)?;
        let left = self.budget.get().checked_sub(copied as u64);
        self.budget.set(left.ok_or_else(|| {
            io::Error::other(format!(
                "the headers of an entry have more than {MAX_HEADER_BYTES} bytes"
            ))
        })?);
        self.position = self.position.saturating_add(copied as u64);
        Ok(copied)
    }
}

impl Seek for HeaderReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(_) => None,
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::FileExt;

    use tar::Builder;

    use super::super::progress::Watcher;
    use super::*;
    use crate::event::ArchiveWork;
    use crate::store::{ArchiveFormat, Endpoint, FileKind};

    /// Scans a file for at most `most` entries.
    fn scanned(most: usize, file: &File) -> Result<Entries, ScanError> {
        let watcher = Watcher::default();
        let kind = FileKind::Archive(ArchiveFormat::Oci);
        let endpoint = Endpoint::in_file(kind, "images.tar".as_ref());
        let mut progress = WorkProgress::start(&watcher, &endpoint, ArchiveWork::Scan, None);
        let length = file.metadata().unwrap().len();
        Entries::scan_at_most(most, file, length, &mut progress)
    }

    /// Returns the header of a file.
    fn header(name: &str, length: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(length);
        header.set_cksum();
        header
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let mut tar = Builder::new(tempfile::tempfile().unwrap());
        for name in ["a", "b", "a"] {
            tar.append(&header(name, 0), &b""[..]).unwrap();
        }
        let file = tar.into_inner().unwrap();
        assert_eq!(scanned(3, &file).unwrap().names().count(), 2);
        let error = scanned(2, &file).unwrap_err().to_string();
        assert_eq!(error, "it has more than 2 entries");
    }

    /// Returns the number of bytes that this thread has read by system calls.
    #[cfg(target_os = "linux")]
    fn bytes_read() -> u64 {
        let counters = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = counters
            .lines()
            .find_map(|line| line.strip_prefix("rchar: "));
        line.unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_scan_reads_the_headers_of_a_large_archive_alone() {
        const LAYER: u64 = 4 << 30;
        let file = tempfile::tempfile().unwrap();
        let mut end = 0;
        for name in ["1", "2", "3", "4", "5"] {
            file.write_all_at(header(name, LAYER).as_bytes(), end)
                .unwrap();
            end += 512 + LAYER;
        }
        file.write_all_at(header("index.json", 2).as_bytes(), end)
            .unwrap();
        file.set_len(end + 512 + 512 + 1024).unwrap();
        let before = bytes_read();
        let entries = scanned(MAX_ENTRIES, &file).unwrap();
        let read = bytes_read() - before;
        assert!(entries.cut.is_none());
        assert_eq!(entries.find("5").unwrap(), (4 * (512 + LAYER) + 512, LAYER));
        // A buffer for each of seven headers, and the counters themselves.
        assert!(read <= 8 * BUFFER as u64, "{read} of {end} bytes");
    }
}
