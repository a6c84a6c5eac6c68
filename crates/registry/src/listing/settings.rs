//! Settings of listings, by registry and path.

use std::collections::HashMap;

use url::Url;

use crate::auth::{LoginChoice, covered};
use crate::error::{Error, ErrorKind};
use crate::listing::Lister;
use crate::reference::{Registry, Repository};

/// Settings of the lists of one registry, or of the paths below a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListingSettings {
    /// API to use.
    pub list: Lister,
    /// Base URL of the API; `None` is the vendor's own, or the registry's.
    pub api: Option<Url>,
    /// Login of the API; `None` is the registry's login, where the API accepts it.
    pub api_login: Option<LoginChoice>,
}

impl ListingSettings {
    /// Returns settings for a lister.
    pub fn new(list: Lister) -> Self {
        Self {
            list,
            api: None,
            api_login: None,
        }
    }
    /// Sets the base URL of the API.
    #[must_use]
    pub fn with_api(mut self, api: Url) -> Self {
        self.api = Some(api);
        self
    }
    /// Sets the login of the API.
    #[must_use]
    pub fn with_api_login(mut self, login: LoginChoice) -> Self {
        self.api_login = Some(login);
        self
    }
}

/// Settings of the lists of all registries. The longest prefix of a path decides, as for credentials.
#[derive(Clone, Debug, Default)]
pub struct Listings {
    by_registry: HashMap<Registry, Vec<(String, ListingSettings)>>,
}

impl Listings {
    /// Creates settings by prefix (`registry` or `registry/namespace/…`). Of two settings for one prefix, the later one
    /// is used.
    ///
    /// # Errors
    /// If a prefix is not a registry or a path below one, or an `api` is no URL of http or https:
    /// [`ErrorKind::Credentials`].
    pub fn new(
        settings: impl IntoIterator<Item = (String, ListingSettings)>,
    ) -> Result<Self, Error> {
        let mut by_registry: HashMap<Registry, Vec<(String, ListingSettings)>> = HashMap::new();
        for (prefix, settings) in settings {
            let (registry, path) = split(&prefix).map_err(|why| refused(&prefix, why))?;
            if let Some(api) = &settings.api
                && (!matches!(api.scheme(), "http" | "https") || api.host().is_none())
            {
                let why = "its `api` is no URL of http or https".to_owned();
                return Err(refused(&prefix, why));
            }
            let siblings = by_registry.entry(registry).or_default();
            siblings.retain(|(other, _)| *other != path);
            siblings.push((path, settings));
        }
        Ok(Self { by_registry })
    }
    /// Returns the settings for `path` of `registry`; the empty path is the whole registry.
    pub fn settings(&self, registry: &Registry, path: &str) -> ListingSettings {
        let siblings = self.by_registry.get(registry).into_iter().flatten();
        siblings
            .filter_map(|(prefix, settings)| Some((covered(prefix, registry, path)?, settings)))
            .max_by_key(|(covered, _)| *covered)
            .map(|(_, settings)| settings.clone())
            .unwrap_or_default()
    }
}

fn split(prefix: &str) -> Result<(Registry, String), String> {
    let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
    let (host, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    let registry = Registry::parse(host).map_err(|why| why.to_string())?;
    if !path.is_empty() {
        Repository::new(registry.clone(), path).map_err(|why| why.to_string())?;
    }
    Ok((registry, path.to_owned()))
}

fn refused(prefix: &str, why: String) -> Error {
    let what = format!("the entry \"{prefix}\"");
    Error::new(
        ErrorKind::Credentials,
        "read the settings of lists",
        what,
        why,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn listings(entries: &[(&str, Lister)]) -> Result<Listings, Error> {
        let entries = entries
            .iter()
            .map(|(prefix, list)| ((*prefix).to_owned(), ListingSettings::new(*list)));
        Listings::new(entries)
    }

    #[test]
    fn the_longest_prefix_decides() {
        let listings = listings(&[
            ("r.example", Lister::Catalog),
            ("r.example/team/", Lister::Harbor),
            ("r.example/team/a", Lister::None),
            ("docker.io", Lister::Hub),
        ])
        .unwrap();
        for (registry, path, expected) in [
            ("r.example", "", Lister::Catalog),
            ("r.example", "teams/x", Lister::Catalog),
            ("r.example", "team", Lister::Harbor),
            ("r.example", "team/b", Lister::Harbor),
            ("r.example", "team/a/b", Lister::None),
            ("r.example:5000", "", Lister::Auto),
            ("index.docker.io", "library/nginx", Lister::Hub),
        ] {
            let registry = Registry::parse(registry).unwrap();
            assert_eq!(listings.settings(&registry, path).list, expected, "{path}");
        }
    }

    #[test]
    fn invalid_prefixes_and_addresses_are_refused() {
        let error = listings(&[("r.example/UPPER", Lister::Auto)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        let api = Url::parse("ftp://r.example/").unwrap();
        let settings = ListingSettings::default().with_api(api);
        let error = Listings::new([("r.example".to_owned(), settings)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the settings of lists at the entry \"r.example\": its `api` is no URL of http or https"
        );
    }
}
