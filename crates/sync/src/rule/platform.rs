//! Platform filters (docs/migrating.md#platforms).

use registry::Platform;

/// Which platforms to copy: `--os` and `--arch`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformFilter {
    os: Vec<Item>,
    arch: Vec<Item>,
}

/// `name[:detail]`: an os with its version, or an architecture with its variant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    name: String,
    detail: Option<String>,
}

/// Why a text is not a platform item.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PlatformError(pub String);

impl PlatformFilter {
    /// Reads the items of `--os` (`os[:os.version]`) and `--arch` (`arch[:variant]`), each possibly a comma list.
    pub fn parse(os: &[String], arch: &[String]) -> Result<Self, PlatformError> {
        Ok(Self {
            os: items("--os", os)?,
            arch: items("--arch", arch)?,
        })
    }
    /// Whether every platform passes.
    pub fn is_empty(&self) -> bool {
        self.os.is_empty() && self.arch.is_empty()
    }
    /// Whether an image of `platform` is copied: lists are AND-ed, items OR-ed, exact and case-sensitive; what a
    /// platform does not say passes.
    pub fn accepts(&self, platform: &Platform) -> bool {
        passes(&self.os, &platform.os, platform.os_version.as_deref())
            && passes(
                &self.arch,
                &platform.architecture,
                platform.variant.as_deref(),
            )
    }
}

impl std::fmt::Display for PlatformFilter {
    /// As it would be written on the command line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        for (flag, items) in [("--os", &self.os), ("--arch", &self.arch)] {
            if !items.is_empty() {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                parts.push(format!("{flag} {}", items.join(",")));
            }
        }
        f.write_str(&parts.join(" "))
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}:{detail}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn items(flag: &str, lists: &[String]) -> Result<Vec<Item>, PlatformError> {
    let mut items = Vec::new();
    for list in lists {
        for item in list.split(',').map(str::trim) {
            let (name, detail) = match item.split_once(':') {
                Some((name, detail)) => (name, Some(detail)),
                None => (item, None),
            };
            if name.is_empty() || detail == Some("") {
                return Err(PlatformError(format!(
                    "{flag} {list}: an item is empty: write names with commas between them, as in {}",
                    if flag == "--os" {
                        "linux,windows:10.0.20348.1"
                    } else {
                        "amd64,arm:v7"
                    }
                )));
            }
            if name.contains('/') {
                return Err(PlatformError(format!(
                    "{flag} {list}: {name} is a whole platform: write --os linux --arch amd64 for linux/amd64"
                )));
            }
            items.push(Item {
                name: name.to_owned(),
                detail: detail.map(str::to_owned),
            });
        }
    }
    Ok(items)
}

fn passes(items: &[Item], name: &str, detail: Option<&str>) -> bool {
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
        assert!(!filter(&[], &["AMD64"]).accepts(&platform("linux", "amd64", None, None)));
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
    fn empty_items_and_whole_platforms_are_refused() {
        for bad in ["", "amd64,", ",amd64", "arm:", ":v7", "linux/amd64"] {
            assert!(
                PlatformFilter::parse(&[], &[bad.to_owned()]).is_err(),
                "{bad}"
            );
        }
    }
}
