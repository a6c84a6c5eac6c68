//! Entry points for fuzzing: the parsers of users' files. They are built for tests and under the feature `fuzzing`
//! only, and are not part of the interface. `fuzz/` runs them without a time limit, the tests below over seeds and
//! mutations.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

pub use crate::config::fuzzing::{classic_files, native_file};
use crate::rule::PlatformFilter;
pub use crate::store::archive::fuzzing::{archive, docker_manifest};
pub use crate::store::layout::fuzzing::layout_index;

/// Parses lists of platforms, `--os` and `--arch` on a line each.
pub fn platforms(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (os, arch) = text.split_once('\n').unwrap_or((&text, ""));
    if let Err(error) = PlatformFilter::parse(&[os.to_owned()], &[arch.to_owned()]) {
        assert!(error.to_string().len() <= 4096);
    }
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::exercise;

    #[test]
    fn of_archive() {
        exercise("archive", super::archive);
    }
    #[test]
    fn of_classic_files() {
        exercise("classic_files", super::classic_files);
    }
    #[test]
    fn of_docker_manifest() {
        exercise("docker_manifest", super::docker_manifest);
    }
    #[test]
    fn of_layout_index() {
        exercise("layout_index", super::layout_index);
    }
    #[test]
    fn of_native_file() {
        exercise("native_file", super::native_file);
    }
    #[test]
    fn of_platforms() {
        exercise("platforms", super::platforms);
    }
}
