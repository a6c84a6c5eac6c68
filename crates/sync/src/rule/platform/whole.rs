//! Whole platforms, as files name them: `linux/arm/v7`.

use image_syncer_registry::Platform;

use super::known::{self, ARCH, OS};
use super::{PlatformItem, is_selected};

/// An operating system with an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WholePlatform {
    os: PlatformItem,
    arch: PlatformItem,
}

impl WholePlatform {
    /// Parses `os[:os.version]/arch[/variant]`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let (Some(os), Some(arch), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(format!(
                "{text} is not a platform. Write one such as linux/amd64 or linux/arm/v7."
            ));
        };
        let (os, version) = match os.split_once(':') {
            Some((os, version)) => (os, Some(version)),
            None => (os, None),
        };
        if version == Some("") || variant == Some("") {
            return Err(format!(
                "{text} is not a platform: a part is empty. Write one such as linux/amd64 or linux/arm/v7."
            ));
        }
        OS.in_files().check(os)?;
        let names = ARCH.in_files();
        names.check(arch)?;
        if let Some(variant) = variant {
            known::check_variant(names, arch, variant)?;
        }
        let item = |name: &str, detail: Option<&str>| PlatformItem {
            name: name.to_owned(),
            detail: detail.map(str::to_owned),
        };
        Ok(Self {
            os: item(os, version),
            arch: item(arch, variant),
        })
    }

    /// Returns true for images of this platform. Missing fields of a platform pass.
    pub(super) fn accepts(&self, platform: &Platform) -> bool {
        let one = std::slice::from_ref;
        is_selected(one(&self.os), &platform.os, platform.os_version.as_deref())
            && is_selected(
                one(&self.arch),
                &platform.architecture,
                platform.variant.as_deref(),
            )
    }
}

impl std::fmt::Display for WholePlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.arch.name)?;
        match &self.arch.detail {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::PlatformFilter;
    use super::*;

    fn platform(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
        Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version: None,
        }
    }

    #[test]
    fn a_list_accepts_its_pairs_and_no_other_combination() {
        let mut filter = PlatformFilter::default();
        for text in [
            "linux/amd64",
            "windows/arm64",
            "linux/arm/v7",
            "linux/amd64",
        ] {
            filter.add_platform(text).unwrap();
        }
        assert!(!filter.is_empty());
        assert_eq!(
            filter.to_string(),
            "linux/amd64, windows/arm64, linux/arm/v7"
        );
        for (os, arch, variant, expected) in [
            ("linux", "amd64", None, true),
            ("linux", "amd64", Some("v3"), true),
            ("windows", "arm64", None, true),
            ("linux", "arm64", None, false),
            ("windows", "amd64", None, false),
            ("linux", "arm", Some("v7"), true),
            ("linux", "arm", Some("v6"), false),
            ("", "arm64", None, true),
        ] {
            let platform = platform(os, arch, variant);
            assert_eq!(filter.accepts(&platform), expected, "{platform:?}");
        }
    }

    #[test]
    fn names_that_no_image_has_are_refused_with_the_right_one() {
        for (text, why) in [
            (
                "linux/x86_64",
                "no image has the architecture x86_64. Images call it amd64: write amd64.",
            ),
            (
                "linux/armv7",
                "no image has the architecture armv7. Images call it arm:v7: write arm/v7.",
            ),
            (
                "linus/amd64",
                "no image has the operating system linus. Write linux if you mean that.",
            ),
            (
                "linux/arm/7",
                "no image has the variant 7 of arm. Write arm/v7.",
            ),
            (
                "amd64",
                "amd64 is not a platform. Write one such as linux/amd64 or linux/arm/v7.",
            ),
            (
                "linux/riscv64/",
                "linux/riscv64/ is not a platform: a part is empty. Write one such as linux/amd64 or linux/arm/v7.",
            ),
            (
                "a/b/c/d",
                "a/b/c/d is not a platform. Write one such as linux/amd64 or linux/arm/v7.",
            ),
        ] {
            assert_eq!(WholePlatform::parse(text).unwrap_err(), why);
        }
    }
}
