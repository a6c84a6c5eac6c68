//! Platforms that an image can have.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

use super::elf::Elf;

/// A platform of Linux: `linux/amd64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(&'static str);

/// Architectures by OCI's name, machine of an ELF file (`e_machine`) and Debian's directory of libraries. All have 64
/// bits and store the low byte first.
const ARCHITECTURES: [(&str, u16, &str); 5] = [
    ("amd64", 62, "x86_64-linux-gnu"),
    ("arm64", 183, "aarch64-linux-gnu"),
    ("loong64", 258, "loongarch64-linux-gnu"),
    ("ppc64le", 21, "powerpc64le-linux-gnu"),
    ("riscv64", 243, "riscv64-linux-gnu"),
];

impl Platform {
    /// OCI's name of the architecture.
    pub fn architecture(self) -> &'static str {
        self.0
    }

    /// Directory of libraries under `/lib` and `/usr/lib` on Debian.
    pub(super) fn library_directory(self) -> &'static str {
        let known = ARCHITECTURES.iter().find(|known| known.0 == self.0);
        known.map_or("", |known| known.2)
    }

    /// Fails if a file was built for another architecture.
    pub(super) fn check(self, elf: &Elf, path: &Path) -> Result<()> {
        let known = ARCHITECTURES.iter().find(|known| known.1 == elf.machine);
        match known {
            Some(known) if known.0 == self.0 => Ok(()),
            Some(known) => bail!(
                "{} is built for linux/{}, not for {self}",
                path.display(),
                known.0
            ),
            None => bail!(
                "{} is built for the unknown ELF machine {}, not for {self}",
                path.display(),
                elf.machine
            ),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = text
            .strip_prefix("linux/")
            .and_then(|name| ARCHITECTURES.iter().find(|known| known.0 == name));
        let Some(known) = known else {
            let names = ARCHITECTURES.map(|known| format!("linux/{}", known.0));
            bail!("unknown platform {text:?}: use one of {}", names.join(", "));
        };
        Ok(Self(known.0))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "linux/{}", self.0)
    }
}
