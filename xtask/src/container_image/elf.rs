//! The parts of an ELF file that decide where it runs: machine, interpreter and needed libraries.

use anyhow::{Context as _, Result, bail};

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// Facts of an executable or a shared library.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// Architecture (`e_machine`).
    pub(super) machine: u16,
    /// Path of the dynamic linker. A static executable has none.
    pub(super) interpreter: Option<String>,
    /// Names of the shared libraries that the file is linked with.
    pub(super) needed: Vec<String>,
}

/// A part of the file that the kernel or the dynamic linker reads.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    length: u64,
}

/// Bytes with bounds-checked access.
struct Reader<'a>(&'a [u8]);

impl Elf {
    /// Parses a file with 64 bits and the low byte first.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if !bytes.starts_with(b"\x7fELF") {
            bail!("not an ELF file: build the program for Linux");
        }
        if bytes.get(4..6) != Some(&[2, 1]) {
            bail!(
                "not an ELF file with 64 bits and the low byte first: such platforms are not supported"
            );
        }
        let reader = Reader(bytes);
        let segments = reader.segments()?;
        let interpreter = segments.iter().find(|segment| segment.kind == INTERPRETER);
        Ok(Self {
            machine: reader.u16(18)?,
            interpreter: interpreter
                .map(|segment| reader.text(segment.offset))
                .transpose()?,
            needed: reader.needed(&segments)?,
        })
    }
}

impl Reader<'_> {
    fn segments(&self) -> Result<Vec<Segment>> {
        let (start, size, count) = (self.u64(32)?, self.u16(54)?, self.u16(56)?);
        let segment = |number: u16| {
            let at = start.saturating_add(u64::from(number) * u64::from(size));
            Ok(Segment {
                kind: self.u32(at)?,
                offset: self.u64(at.saturating_add(8))?,
                address: self.u64(at.saturating_add(16))?,
                length: self.u64(at.saturating_add(32))?,
            })
        };
        (0..count).map(segment).collect()
    }

    /// Returns the names of the needed libraries, in their order.
    fn needed(&self, segments: &[Segment]) -> Result<Vec<String>> {
        let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        let mut strings = None;
        for entry in 0..dynamic.length / 16 {
            let at = dynamic.offset.saturating_add(entry * 16);
            let value = self.u64(at.saturating_add(8))?;
            match self.u64(at)? {
                DT_NULL => break,
                DT_NEEDED => names.push(value),
                DT_STRTAB => strings = Some(value),
                _ => {}
            }
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let strings = strings
            .and_then(|address| file_offset(segments, address))
            .context("damaged ELF file: the names of its libraries are missing")?;
        names
            .into_iter()
            .map(|name| self.text(strings.saturating_add(name)))
            .collect()
    }

    fn bytes<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.0.get(start..).and_then(|rest| rest.first_chunk());
        bytes
            .copied()
            .context("damaged ELF file: it is shorter than its headers say")
    }

    fn u16(&self, at: u64) -> Result<u16> {
        Ok(u16::from_le_bytes(self.bytes(at)?))
    }

    fn u32(&self, at: u64) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(at)?))
    }

    fn u64(&self, at: u64) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes(at)?))
    }

    /// Returns the text up to the next zero byte.
    fn text(&self, at: u64) -> Result<String> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let text = self
            .0
            .get(start..)
            .and_then(|rest| rest.split(|byte| *byte == 0).next())
            .and_then(|text| std::str::from_utf8(text).ok())
            .filter(|text| !text.is_empty());
        Ok(text
            .context("damaged ELF file: the name of a library is missing")?
            .to_owned())
    }
}

/// Returns the place in the file that is loaded at an address.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    let loaded = segments.iter().find(|segment| {
        let distance = address.checked_sub(segment.address);
        segment.kind == LOAD && distance.is_some_and(|distance| distance < segment.length)
    })?;
    (address - loaded.address).checked_add(loaded.offset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use testkit::elf::Executable;

    use super::*;

    fn error(bytes: &[u8]) -> String {
        Elf::parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn machine_interpreter_and_libraries_are_read() {
        let file = Executable::new(183)
            .interpreter("/lib/ld-linux-aarch64.so.1")
            .needs("libgcc_s.so.1")
            .needs("libc.so.6")
            .build();
        let expected = Elf {
            machine: 183,
            interpreter: Some("/lib/ld-linux-aarch64.so.1".to_owned()),
            needed: vec!["libgcc_s.so.1".to_owned(), "libc.so.6".to_owned()],
        };
        assert_eq!(Elf::parse(&file).unwrap(), expected);
        let fixed = Elf::parse(&Executable::new(62).build()).unwrap();
        assert_eq!((fixed.interpreter, fixed.needed), (None, Vec::new()));
    }

    #[test]
    fn a_program_of_this_machine_is_read() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&file).unwrap();
        assert!(elf.interpreter.unwrap().contains("ld-"));
        assert!(
            elf.needed.contains(&"libc.so.6".to_owned()),
            "{:?}",
            elf.needed
        );
    }

    #[test]
    fn other_files_and_damaged_ones_are_refused() {
        let file = Executable::new(62)
            .interpreter("/lib/ld.so")
            .needs("libc.so.6")
            .build();
        assert_eq!(
            error(b"#!/bin/sh\n"),
            "not an ELF file: build the program for Linux"
        );
        let mut narrow = file.clone();
        narrow[4] = 1;
        assert!(error(&narrow).starts_with("not an ELF file with 64 bits"));
        for length in 4..file.len() {
            // Each shorter file is an error or has the same facts, without a panic.
            if let Ok(elf) = Elf::parse(&file[..length]) {
                assert_eq!(elf.machine, 62);
            }
        }
        assert_eq!(
            error(&file[..60]),
            "damaged ELF file: it is shorter than its headers say"
        );
    }
}
