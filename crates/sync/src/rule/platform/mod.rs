//! Platform filters (docs/migrating.md#platforms).

mod known;
mod whole;

use image_syncer_registry::Platform;

use known::{ARCH, Names, OS};
use whole::WholePlatform;

/// Platforms to copy: `--os` and `--arch`, or a list of whole platforms in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PlatformFilter {
    os: Vec<PlatformItem>,
    arch: Vec<PlatformItem>,
    whole: Vec<WholePlatform>,
}

/// `name[:detail]`: an os with its version, or an architecture with its variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlatformItem {
    name: String,
    detail: Option<String>,
}

/// Error of a text that is not a platform item.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PlatformError(pub String);

impl PlatformFilter {
    /// Parses the items of `--os` (`os[:os.version]`) and `--arch` (`arch[:variant]`), each possibly a comma-separated
    /// list. Empty lists and items are ignored.
    ///
    /// # Errors
    /// For an unknown system or architecture; the message has the right name.
    pub fn parse(os: &[String], arch: &[String]) -> Result<Self, PlatformError> {
        Ok(Self {
            os: items(OS, os)?,
            arch: items(ARCH, arch)?,
            whole: Vec::new(),
        })
    }
    /// Adds a whole platform: `os[:os.version]/arch[/variant]`.
    ///
    /// # Errors
    /// For an unknown system or architecture; the message has the right name.
    pub fn add_platform(&mut self, text: &str) -> Result<(), PlatformError> {
        let platform = WholePlatform::parse(text).map_err(PlatformError)?;
        if !self.whole.contains(&platform) {
            self.whole.push(platform);
        }
        Ok(())
    }
    /// Returns whether every platform passes.
    pub fn is_empty(&self) -> bool {
        self.os.is_empty() && self.arch.is_empty() && self.whole.is_empty()
    }
    /// Returns whether an image of `platform` is copied. Lists are AND-ed, items OR-ed, exact and case-sensitive.
    /// Missing fields of a platform pass.
    pub fn accepts(&self, platform: &Platform) -> bool {
        is_selected(&self.os, &platform.os, platform.os_version.as_deref())
            && is_selected(
                &self.arch,
                &platform.architecture,
                platform.variant.as_deref(),
            )
            && (self.whole.is_empty() || self.whole.iter().any(|whole| whole.accepts(platform)))
    }
}

impl std::fmt::Display for PlatformFilter {
    /// Displays the flags as on the command line, or the platforms as in a file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        for (flag, items) in [("--os", &self.os), ("--arch", &self.arch)] {
            if !items.is_empty() {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                parts.push(format!("{flag} {}", items.join(",")));
            }
        }
        if !self.whole.is_empty() {
            let whole: Vec<String> = self.whole.iter().map(ToString::to_string).collect();
            parts.push(whole.join(", "));
        }
        f.write_str(&parts.join(" "))
    }
}

impl std::fmt::Display for PlatformItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}:{detail}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Parses lists of items. Empty ones are ignored, as scripts pass variables that may be empty.
fn items(names: Names, lists: &[String]) -> Result<Vec<PlatformItem>, PlatformError> {
    let items = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(|text| item(names, text))
        .collect()
}

fn item(names: Names, text: &str) -> Result<PlatformItem, PlatformError> {
    let refuse = |why: String| PlatformError(format!("{} {text}: {why}", names.flag));
    if let Some((name, rest)) = text.split_once('/') {
        return Err(refuse(slash(names, name, rest)));
    }
    let (name, detail) = match text.split_once(':') {
        Some((name, detail)) => (name, Some(detail)),
        None => (text, None),
    };
    if name.is_empty() || detail == Some("") {
        let example = if names.flag == OS.flag {
            "linux or windows:10.0.20348.1"
        } else {
            "amd64 or arm:v7"
        };
        return Err(refuse(format!(
            "one side of the colon is empty. Write {example}."
        )));
    }
    names.check(name).map_err(refuse)?;
    if let Some(variant) = detail.filter(|_| names.flag == ARCH.flag) {
        known::check_variant(names, name, variant).map_err(refuse)?;
    }
    Ok(PlatformItem {
        name: name.to_owned(),
        detail: detail.map(str::to_owned),
    })
}

/// Returns the advice for `name/rest`: a whole platform, or a variant after the wrong character.
fn slash(names: Names, name: &str, rest: &str) -> String {
    if names.flag == ARCH.flag && ARCH.check(name).is_ok() {
        return format!("a variant follows a colon. Write --arch {name}:{rest}.");
    }
    let arch = rest.replace('/', ":");
    if OS.check(name).is_ok() && !arch.is_empty() {
        return format!("this is a whole platform. Write --os {name} --arch {arch}.");
    }
    "a name has no slash. For linux/amd64 write --os linux --arch amd64.".to_owned()
}

fn is_selected(items: &[PlatformItem], name: &str, detail: Option<&str>) -> bool {
    items.is_empty()
        || name.is_empty()
        || items.iter().any(|item| {
            item.name == name
                && item
                    .detail
                    .as_deref()
                    .is_none_or(|wanted| Some(wanted) == detail)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn filter(os: &[&str], arch: &[&str]) -> PlatformFilter {
        let own = |list: &[&str]| {
            list.iter()
                .map(|item| (*item).to_owned())
                .collect::<Vec<_>>()
        };
        PlatformFilter::parse(&own(os), &own(arch)).unwrap()
    }

    fn platform(
        os: &str,
        architecture: &str,
        variant: Option<&str>,
        os_version: Option<&str>,
    ) -> Platform {
        Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version: os_version.map(str::to_owned),
        }
    }

    #[test]
    fn a_comma_list_and_a_repeated_flag_mean_the_same() {
        assert_eq!(
            filter(&[], &["amd64,arm64"]),
            filter(&[], &["amd64", "arm64"])
        );
        assert_eq!(
            filter(&[], &["amd64, arm64"]).to_string(),
            "--arch amd64,arm64"
        );
    }

    #[test]
    fn lists_are_anded_and_items_ored() {
        let filter = filter(&["linux"], &["amd64", "arm64"]);
        assert!(filter.accepts(&platform("linux", "amd64", None, None)));
        assert!(filter.accepts(&platform("linux", "arm64", Some("v8"), None)));
        assert!(!filter.accepts(&platform("windows", "amd64", None, None)));
        assert!(!filter.accepts(&platform("linux", "s390x", None, None)));
    }

    #[test]
    fn arm_is_not_arm64_and_case_counts() {
        assert!(!filter(&[], &["arm"]).accepts(&platform("linux", "arm64", None, None)));
        assert!(!filter(&[], &["amd64"]).accepts(&platform("linux", "AMD64", None, None)));
    }

    #[test]
    fn an_item_without_detail_takes_every_variant_and_one_with_it_only_that() {
        let any = filter(&[], &["arm"]);
        let v7 = filter(&[], &["arm:v7"]);
        for (variant, passes_v7) in [(Some("v7"), true), (Some("v6"), false), (None, false)] {
            let platform = platform("linux", "arm", variant, None);
            assert!(any.accepts(&platform));
            assert_eq!(v7.accepts(&platform), passes_v7, "{variant:?}");
        }
        let windows = filter(&["windows:10.0.17763.1"], &[]);
        assert!(windows.accepts(&platform("windows", "amd64", None, Some("10.0.17763.1"))));
        assert!(!windows.accepts(&platform("windows", "amd64", None, Some("10.0.20348.1"))));
    }

    #[test]
    fn what_a_platform_does_not_say_passes() {
        let filter = filter(&["linux"], &["amd64"]);
        assert!(filter.accepts(&platform("", "amd64", None, None)));
        assert!(filter.accepts(&platform("linux", "", None, None)));
        assert!(filter.accepts(&Platform::default()));
    }

    #[test]
    fn empty_items_are_dropped() {
        for empty in ["", ",", " , "] {
            assert!(filter(&[empty], &[empty]).is_empty(), "{empty:?}");
        }
        assert_eq!(
            filter(&[], &["amd64,", "", ",arm64"]),
            filter(&[], &["amd64,arm64"])
        );
    }

    #[test]
    fn every_name_of_the_go_toolchain_is_known_with_variants() {
        for arch in [
            "386",
            "amd64:v3",
            "arm:v7",
            "arm64:v8",
            "arm64:v9.2",
            "mips64le",
            "riscv64:rva20u64",
            "wasm",
        ] {
            assert!(!filter(&[], &[arch]).is_empty(), "{arch}");
        }
        for os in ["linux", "windows:10.0.17763.1", "freebsd", "wasip1"] {
            assert!(!filter(&[os], &[]).is_empty(), "{os}");
        }
    }

    /// Asserts that each value of `--os` or `--arch` is refused with this reason.
    fn assert_refused(flag: &str, values: &[(&str, &str)]) {
        for (text, why) in values {
            let list = [(*text).to_owned()];
            let refused = if flag == "--os" {
                PlatformFilter::parse(&list, &[])
            } else {
                PlatformFilter::parse(&[], &list)
            };
            let refused = refused.unwrap_err().to_string();
            assert_eq!(refused, format!("{flag} {text}: {why}"));
        }
    }

    #[test]
    fn other_names_of_architectures_are_refused_with_the_right_one() {
        for (name, right) in [
            ("x86_64", "amd64"),
            ("aarch64", "arm64"),
            ("i386", "386"),
            ("armv7l", "arm:v7"),
        ] {
            let why = format!(
                "no image has the architecture {name}. Images call it {right}: write --arch {right}."
            );
            assert_refused("--arch", &[(name, &why)]);
        }
    }

    #[test]
    fn names_that_no_image_has_are_refused_with_the_right_one() {
        let architectures = [
            (
                "AMD64",
                "no image has the architecture AMD64. Write --arch amd64 if you mean that.",
            ),
            (
                "toaster",
                "no image has the architecture toaster. The common names are amd64, arm64, arm, 386, ppc64le, riscv64 \
                 and s390x",
            ),
            (
                "arm64/v8",
                "a variant follows a colon. Write --arch arm64:v8.",
            ),
            (
                "linux/arm/v7",
                "this is a whole platform. Write --os linux --arch arm:v7.",
            ),
            (
                "arm:7",
                "no image has the variant 7 of arm. Write --arch arm:v7.",
            ),
            (
                "arm64:v7",
                "no image has the variant v7 of arm64. Its variants are v8, v9.",
            ),
            (
                "arm:",
                "one side of the colon is empty. Write amd64 or arm:v7.",
            ),
        ];
        let systems = [
            (
                "macOS",
                "no image has the operating system macOS. Images call it darwin: write --os darwin.",
            ),
            (
                "linus",
                "no image has the operating system linus. Write --os linux if you mean that.",
            ),
            (
                "linux/amd64",
                "this is a whole platform. Write --os linux --arch amd64.",
            ),
            (
                ":1",
                "one side of the colon is empty. Write linux or windows:10.0.20348.1.",
            ),
        ];
        assert_refused("--arch", &architectures);
        assert_refused("--os", &systems);
    }
}
