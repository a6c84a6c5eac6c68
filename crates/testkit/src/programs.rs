//! Programs that tests execute and a machine may lack.

use std::ffi::OsStr;
use std::io::Write as _;

/// Environment variable that makes a missing program fail its tests, if it is set. `scripts/test` sets it.
pub const REQUIRED: &str = "REQUIRE_TEST_PROGRAMS";

/// Skips the current test, with a notice on stderr, if the machine lacks one of the named programs. Fails the test
/// instead if [`REQUIRED`] is set.
///
/// Expands to a `return`, so it belongs at the top of a function without a result.
#[macro_export]
macro_rules! needs {
    ($($program:expr),+ $(,)?) => {
        if !$crate::programs::are_installed(&[$($program),+]) {
            return;
        }
    };
}

/// Returns true if all programs are in a directory of `PATH`. Otherwise prints a notice that the test is skipped.
///
/// # Panics
/// If a program is missing and [`REQUIRED`] is set.
pub fn are_installed(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = missing(programs, &path);
    if missing.is_empty() {
        return true;
    }
    let required = std::env::var_os(REQUIRED).is_some();
    let thread = std::thread::current();
    let notice = notice(thread.name().unwrap_or("a test"), &missing, required);
    assert!(!required, "{notice}");
    // The test harness captures the macros that print, but not the stream itself.
    let _ = writeln!(std::io::stderr(), "{notice}");
    false
}

/// Returns the programs that no directory of `path` has.
fn missing<'a>(programs: &[&'a str], path: &OsStr) -> Vec<&'a str> {
    let directories: Vec<_> = std::env::split_paths(path).collect();
    let is_missing = |program: &&&str| !directories.iter().any(|dir| dir.join(program).is_file());
    programs.iter().filter(is_missing).copied().collect()
}

fn notice(test: &str, missing: &[&str], required: bool) -> String {
    let missing = missing.join(", ");
    if required {
        format!("{test} cannot run: missing programs: {missing}. Run scripts/test to install them.")
    } else {
        format!("skipped {test}: missing programs: {missing}. Run scripts/test to install them.")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn programs_are_searched_in_every_directory_of_the_path() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(second.path().join("present"), "").unwrap();
        std::fs::create_dir(first.path().join("directory")).unwrap();
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        let programs = ["present", "absent", "directory"];
        assert_eq!(missing(&programs, &path), ["absent", "directory"]);
        assert_eq!(missing(&["present"], OsStr::new("")), ["present"]);
    }

    #[test]
    fn the_notice_names_the_test_and_the_programs() {
        assert_eq!(
            notice("shell::fish", &["fish", "jq"], false),
            "skipped shell::fish: missing programs: fish, jq. Run scripts/test to install them."
        );
        assert_eq!(
            notice("shell::fish", &["fish"], true),
            "shell::fish cannot run: missing programs: fish. Run scripts/test to install them."
        );
    }

    #[test]
    fn a_missing_program_skips_a_test_or_fails_it_if_it_is_required() {
        if std::env::var_os("PROGRAMS_CHILD").is_some() {
            crate::needs!("no-such-program");
            panic!("the test was not skipped");
        }
        let child = |required: Option<&str>| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", "--test-threads=1"])
                .arg(
                    "programs::tests::a_missing_program_skips_a_test_or_fails_it_if_it_is_required",
                )
                .env("PROGRAMS_CHILD", "1")
                .env_remove(REQUIRED)
                .envs(required.map(|value| (REQUIRED, value)));
            let output = command.output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(text).unwrap())
        };
        let (passed, text) = child(None);
        assert!(passed, "{text}");
        assert!(text.contains("missing programs: no-such-program"), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        let (passed, text) = child(Some("1"));
        assert!(!passed, "{text}");
        assert!(
            text.contains("cannot run: missing programs: no-such-program"),
            "{text}"
        );
    }
}
