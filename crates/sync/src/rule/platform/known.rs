//! Names of operating systems and architectures in images, which are those of the Go toolchain (OCI image-spec, "Image
//! Index"), and their aliases.

use crate::text::nearest;

/// Names of operating systems: those of Go, and `wasi` of WebAssembly modules.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasi",
    "wasip1",
    "wasip2",
    "windows",
    "zos",
];

/// Names of architectures: those of Go, and `wasm32`, which images of WebAssembly modules have.
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
    "wasm32",
];

/// Aliases of operating systems in other tools.
const SYSTEM_ALIASES: &[(&str, &str)] = &[
    ("macos", "darwin"),
    ("macosx", "darwin"),
    ("osx", "darwin"),
    ("mac", "darwin"),
    ("win", "windows"),
    ("win32", "windows"),
    ("win64", "windows"),
];

/// Aliases of architectures in other tools.
const ARCHITECTURE_ALIASES: &[(&str, &str)] = &[
    ("x86_64", "amd64"),
    ("x86-64", "amd64"),
    ("x64", "amd64"),
    ("intel64", "amd64"),
    ("x86", "386"),
    ("i386", "386"),
    ("i486", "386"),
    ("i586", "386"),
    ("i686", "386"),
    ("ia32", "386"),
    ("aarch64", "arm64"),
    ("armv8", "arm64"),
    ("armv8l", "arm64"),
    ("arm64v8", "arm64"),
    ("armhf", "arm:v7"),
    ("armv7", "arm:v7"),
    ("armv7l", "arm:v7"),
    ("arm32v7", "arm:v7"),
    ("armv6", "arm:v6"),
    ("armv6l", "arm:v6"),
    ("arm32v6", "arm:v6"),
    ("armel", "arm:v6"),
    ("armv5", "arm:v5"),
    ("arm32v5", "arm:v5"),
    ("ppc64el", "ppc64le"),
    ("powerpc64le", "ppc64le"),
    ("loongarch64", "loong64"),
    ("mips64el", "mips64le"),
];

/// Names that a flag accepts.
#[derive(Clone, Copy)]
pub(super) struct Names {
    /// The flag; empty in a file.
    pub(super) flag: &'static str,
    /// Noun for one of the names.
    noun: &'static str,
    known: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
    /// Examples for messages.
    common: &'static str,
}

/// Names that `--os` accepts.
pub(super) const OS: Names = Names {
    flag: "--os",
    noun: "operating system",
    known: SYSTEMS,
    aliases: SYSTEM_ALIASES,
    common: "linux, windows, darwin and freebsd",
};

/// Names that `--arch` accepts.
pub(super) const ARCH: Names = Names {
    flag: "--arch",
    noun: "architecture",
    known: ARCHITECTURES,
    aliases: ARCHITECTURE_ALIASES,
    common: "amd64, arm64, arm, 386, ppc64le, riscv64 and s390x",
};

impl Names {
    /// Checks that `name` is known.
    ///
    /// # Errors
    /// The reason, and what to write instead.
    pub(super) fn check(self, name: &str) -> Result<(), String> {
        if self.known.contains(&name) {
            return Ok(());
        }
        let lower = name.to_lowercase();
        let alias = self.aliases.iter().find(|(alias, _)| *alias == lower);
        let advice = match alias.map(|(_, name)| *name) {
            Some(right) => format!("Images call it {right}: write {}.", self.written(right)),
            None => match nearest(&lower, self.known) {
                Some(right) => format!("Write {} if you mean that.", self.written(right)),
                None => format!("The common names are {}", self.common),
            },
        };
        Err(format!("no image has the {} {name}. {advice}", self.noun))
    }

    /// Returns what to write for a name: with the flag, or a part of a platform in a file.
    fn written(self, name: &str) -> String {
        if self.flag.is_empty() {
            return name.replace(':', "/");
        }
        format!("{} {name}", self.flag)
    }

    /// Returns the same names for parts of platforms in a file.
    pub(super) fn in_files(self) -> Self {
        Self { flag: "", ..self }
    }
}

/// Checks the variant of an architecture. Architectures without a closed list of variants accept any.
///
/// # Errors
/// Lists the known variants.
pub(super) fn check_variant(names: Names, arch: &str, variant: &str) -> Result<(), String> {
    let major = variant.split('.').next().unwrap_or_default();
    let known: &[&str] = match arch {
        "arm" => &["v5", "v6", "v7", "v8"],
        "arm64" => &["v8", "v9"],
        "amd64" => &["v1", "v2", "v3", "v4"],
        _ => return Ok(()),
    };
    if known.contains(&major) {
        return Ok(());
    }
    let with_letter = format!("v{}", variant.trim_start_matches(['v', 'V']));
    let advice = if known.contains(&with_letter.as_str()) {
        format!("Write {}.", names.written(&format!("{arch}:{with_letter}")))
    } else {
        format!("Its variants are {}.", known.join(", "))
    };
    Err(format!(
        "no image has the variant {variant} of {arch}. {advice}"
    ))
}
