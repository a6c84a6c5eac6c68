//! Names of the listers, as written in files.

use std::fmt;
use std::str::FromStr;

use strum::VariantArray as _;

use crate::quote::quoted;

/// API that lists the repositories of a registry, and its tags with digests.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Lister {
    /// The API of the vendor that the host belongs to. An unknown host is probed for Harbor once, and has a catalog
    /// otherwise.
    #[default]
    Auto,
    /// The catalog of the distribution protocol: `GET /v2/_catalog`.
    Catalog,
    /// Docker Hub's API, at `hub.docker.com`.
    Hub,
    /// Harbor's API, at the registry's host.
    Harbor,
    /// GitHub's API for packages, at `api.github.com`.
    Ghcr,
    /// Quay's API, at the registry's host.
    Quay,
    /// GitLab's API, at the host of GitLab.
    Gitlab,
    /// The tag lists of Google's registries, which name the repositories below.
    Google,
    /// No list of repositories, and no digests of tags.
    None,
}

/// A name that is no lister.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a lister: use one of {known}")]
pub struct UnknownLister {
    name: String,
    known: String,
}

impl Lister {
    /// All listers, in the order of the documentation.
    pub fn all() -> &'static [Self] {
        Self::VARIANTS
    }
    /// Returns the name in files.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Lister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Lister {
    type Err = UnknownLister;
    fn from_str(text: &str) -> Result<Self, UnknownLister> {
        let found = Self::VARIANTS.iter().find(|it| it.as_str() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = Self::VARIANTS.iter().map(|it| it.as_str()).collect();
            UnknownLister {
                name: quoted(text),
                known: names.join(", "),
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_file() {
        for lister in Lister::all() {
            assert_eq!(lister.to_string().parse(), Ok(*lister));
        }
        let error = "Hub".parse::<Lister>().unwrap_err();
        let expected = "`Hub` is not a lister: use one of auto, catalog, hub, harbor, ghcr, quay, gitlab, google, none";
        assert_eq!(error.to_string(), expected);
    }
}
