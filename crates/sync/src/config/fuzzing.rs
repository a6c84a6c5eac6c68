//! Fuzz targets of this module; see [`crate::fuzzing`].

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

use crate::config::{classic, native};

/// Maximum number of bytes of one problem, with its snippet. Names in it may be long.
const LONGEST: usize = 8192;

/// Reads a text as each of the classic files and checks that problems are short.
pub fn classic_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = |name: &str| (name == "SET").then(|| "value".to_owned());
    for problem in classic::read_text(&text, &environment) {
        let told = problem.to_string();
        assert!(told.len() <= LONGEST, "{} bytes", told.len());
        let is_clean = |c: char| !c.is_control() || c == '\n';
        assert!(told.chars().all(is_clean), "{told:?}");
    }
}

/// Reads a text as a native file and checks that problems are short and have a position.
pub fn native_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = |name: &str| (name == "SET").then(|| "value".to_owned());
    for problem in native::read_text(&text, &environment) {
        let told = problem.to_string();
        assert!(told.len() <= LONGEST, "{} bytes", told.len());
        let is_clean = |c: char| !c.is_control() || c == '\n';
        assert!(told.chars().all(is_clean), "{told:?}");
        assert!(problem.position.is_some(), "{told}");
    }
}
