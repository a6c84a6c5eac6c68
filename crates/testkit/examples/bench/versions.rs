//! Versions of the peers.

use std::cmp::Ordering;
use std::process::Command;

use crate::peers::Peer;

/// Number of a release.
type Version = [u64; 3];

impl Peer {
    /// The newest release known in November 2026.
    const fn newest(self) -> Version {
        match self {
            Self::Skopeo => [1, 24, 0],
            Self::ImageSyncer => [1, 5, 5],
            Self::Regsync => [0, 11, 5],
            Self::Crane => [0, 22, 0],
            Self::Ocync => [0, 8, 0],
        }
    }

    /// Returns the version that the program prints.
    fn version(self) -> Option<Version> {
        let argument = match self {
            Self::Skopeo | Self::ImageSyncer => "--version",
            Self::Regsync | Self::Crane | Self::Ocync => "version",
        };
        let output = Command::new(self.program()).arg(argument).output().ok()?;
        version_in(&String::from_utf8_lossy(&output.stdout))
    }

    /// Returns a sentence on the version that is found beside the newest one.
    pub(crate) fn describe(self) -> String {
        describe(self.program(), self.version(), self.newest())
    }
}

fn describe(program: &str, found: Option<Version>, newest: Version) -> String {
    let newest_text = text(newest);
    let Some(found) = found else {
        return format!("{program} of an unknown version; the newest known one is {newest_text}");
    };
    let comparison = match found.cmp(&newest) {
        Ordering::Less => format!("OLDER than {newest_text}, the newest known version"),
        Ordering::Equal => "the newest known version".to_owned(),
        Ordering::Greater => format!("newer than {newest_text}, the newest known version"),
    };
    format!("{program} {}: {comparison}", text(found))
}

fn text(version: Version) -> String {
    version.map(|part| part.to_string()).join(".")
}

/// Returns the first word that is a version, such as `1.9.3`, `v0.11.5` or `0.20.2-dev`.
fn version_in(text: &str) -> Option<Version> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches('v');
        let number = word.split(['-', '+', ',']).next()?;
        let parts: Vec<u64> = number
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_programs_print() {
        assert_eq!(version_in("skopeo version 1.9.3\n"), Some([1, 9, 3]));
        let regsync = "VCSTag:     v0.11.5\nVCSRef:     abc\nGoVersion:  go1.26.3\n";
        assert_eq!(version_in(regsync), Some([0, 11, 5]));
        assert_eq!(version_in("0.22.0\n"), Some([0, 22, 0]));
        assert_eq!(version_in("ocync 0.8.0-dev (abc)\n"), Some([0, 8, 0]));
        assert_eq!(version_in("(devel)\n"), None);
    }

    #[test]
    fn an_older_version_is_named() {
        let described = |found| describe("crane", found, [0, 22, 0]);
        assert_eq!(
            described(Some([0, 9, 1])),
            "crane 0.9.1: OLDER than 0.22.0, the newest known version"
        );
        assert_eq!(
            described(Some([0, 22, 0])),
            "crane 0.22.0: the newest known version"
        );
        assert_eq!(
            described(None),
            "crane of an unknown version; the newest known one is 0.22.0"
        );
    }
}
