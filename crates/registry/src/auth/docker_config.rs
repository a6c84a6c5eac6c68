//! One document of docker or podman: what it says about a repository (docs/protocol.md#credential-files).

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::auth::credential::Credential;
use crate::auth::helper::TOKEN_USER;
use crate::auth::secret::Secret;
use crate::reference::{Registry, Resource};

/// The name under which helpers keep Docker Hub's login.
const HUB_SERVER: &str = "https://index.docker.io/v1/";
/// base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `config.json` or `auth.json`.
#[derive(Debug, Default)]
pub(super) struct DockerConfig {
    auths: HashMap<String, AuthEntry>,
    /// Suffixes of helpers by what they are for, with the name as it is written.
    helpers: HashMap<String, (String, String)>,
    store: Option<String>,
}

/// One step of the search for a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LookupStep<'a> {
    /// `docker-credential-<suffix>` may keep one under one of these names.
    Helper {
        /// The helper.
        suffix: &'a str,
        /// Server names that the helper is queried for, in this order.
        servers: Vec<String>,
        /// True if the document names the helper for this registry (`credHelpers`) and not for all (`credsStore`).
        own: bool,
    },
    /// The document itself holds one under this key.
    Auth(&'a str, &'a AuthEntry),
}

/// As written.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ConfigDocument {
    auths: Option<HashMap<String, AuthEntry>>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<HashMap<String, String>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
}

/// One entry of `auths`.
#[derive(Deserialize, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub(super) struct AuthEntry {
    #[serde(rename = "auth")]
    user_and_password: Option<HiddenText>,
    username: Option<String>,
    password: Option<HiddenText>,
    identitytoken: Option<HiddenText>,
    registrytoken: Option<HiddenText>,
}

/// A secret as written; empty ones count as absent.
#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(from = "String")]
struct HiddenText(Secret);

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl DockerConfig {
    /// Reads a document. An error is a clause that gives the place and nothing of the content, which a parser's own
    /// message may quote.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let document: ConfigDocument = serde_json::from_slice(bytes).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "is not what docker or podman write there",
                _ => "is not JSON",
            };
            format!("line {} column {} {what}", error.line(), error.column())
        })?;
        let mut config = Self {
            store: document.creds_store.filter(|store| !store.is_empty()),
            ..Self::default()
        };
        let mut auths: Vec<(String, AuthEntry)> = document.auths.into_iter().flatten().collect();
        // Of several keys that mean the same, the plainest with something in it wins.
        auths.sort_by(|(a, one), (b, other)| {
            let rank =
                |key: &String, auth: &AuthEntry| (auth.is_empty(), key.contains("://"), key.len());
            rank(a, one).cmp(&rank(b, other)).then_with(|| a.cmp(b))
        });
        for (key, auth) in auths {
            config.auths.entry(normal(&key)).or_insert(auth);
        }
        for (key, suffix) in document.cred_helpers.into_iter().flatten() {
            config.helpers.insert(normal(&key), (suffix, key));
        }
        Ok(config)
    }
    /// Returns the steps of the search for a login to `resource`, the most specific key first. For a whole registry,
    /// its own helper comes first, then the store for all, then the entry in the document, as in docker.
    pub(super) fn steps(&self, resource: &Resource) -> Vec<LookupStep<'_>> {
        let registry = resource.registry();
        let mut steps = Vec::new();
        let whole = match resource {
            Resource::Registry(registry) => registry.to_string(),
            Resource::Repository(repository) => repository.to_string(),
        };
        let mut key = whole.as_str();
        while let Some((shorter, _)) = key.rsplit_once('/') {
            self.steps_of(key, registry, &mut steps);
            key = shorter;
        }
        self.steps_of(key, registry, &mut steps);
        steps
    }
    fn steps_of<'a>(&'a self, key: &str, registry: &Registry, steps: &mut Vec<LookupStep<'a>>) {
        if let Some((suffix, written)) = self.helpers.get(key) {
            steps.push(LookupStep::Helper {
                suffix,
                servers: servers(registry, written),
                own: true,
            });
        }
        if key == registry.as_str()
            && let Some(store) = &self.store
        {
            steps.push(LookupStep::Helper {
                suffix: store,
                servers: servers(registry, key),
                own: false,
            });
        }
        if let Some((key, auth)) = self
            .auths
            .get_key_value(key)
            .filter(|(_, auth)| !auth.is_empty())
        {
            steps.push(LookupStep::Auth(key, auth));
        }
    }
}

impl AuthEntry {
    /// `{}` says that the login is in the store.
    fn is_empty(&self) -> bool {
        let filled = |hidden: &Option<HiddenText>| {
            hidden
                .as_ref()
                .is_some_and(|hidden| !hidden.0.reveal().is_empty())
        };
        let any = [
            &self.user_and_password,
            &self.password,
            &self.identitytoken,
            &self.registrytoken,
        ];
        !any.into_iter().any(filled)
    }
    /// The login. An error is a clause without any of the content.
    pub(super) fn credential(&self) -> Result<Credential, &'static str> {
        let filled = |hidden: &Option<HiddenText>| {
            hidden
                .as_ref()
                .map(|hidden| hidden.0.clone())
                .filter(|secret| !secret.reveal().is_empty())
        };
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Credential::Bearer(token));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Credential::Identity(token));
        }
        let (username, password) = match filled(&self.user_and_password) {
            Some(auth) => decode(&auth)?,
            None => (
                self.username.clone().unwrap_or_default(),
                filled(&self.password).unwrap_or_else(|| Secret::new("")),
            ),
        };
        Ok(if username == TOKEN_USER {
            Credential::Identity(password)
        } else {
            Credential::Basic { username, password }
        })
    }
}

/// User and password out of `auth`: parted at the first colon, without the NULs that some tools pad it with.
fn decode(auth: &Secret) -> Result<(String, Secret), &'static str> {
    let bytes = BASE64
        .decode(auth.reveal().trim())
        .map_err(|_| "its \"auth\" is not base64")?;
    let text = String::from_utf8(bytes)
        .map_err(|_| "its \"auth\" is base64 of something that is no text")?;
    let (username, password) = text
        .split_once(':')
        .ok_or("its \"auth\" has no colon between user and password")?;
    Ok((
        username.to_owned(),
        Secret::new(password.trim_end_matches('\0')),
    ))
}

/// A key without what is only form: scheme, `/v1/`, a trailing `/`, the other names of Docker Hub.
fn normal(key: &str) -> String {
    let (host, path) = match key.split_once("://") {
        // With a scheme it is docker's own form, which names a host.
        Some((_, rest)) => (rest.split('/').next().unwrap_or_default(), ""),
        None => key.split_once('/').unwrap_or((key, "")),
    };
    let path = path.trim_end_matches('/');
    let registry =
        Registry::parse(host).map_or_else(|_| host.to_owned(), |registry| registry.to_string());
    match path {
        "" | "v1" | "v2" => registry,
        path => format!("{registry}/{path}"),
    }
}

/// The names under which a helper may keep the login: Docker Hub's own, and the one that is written.
pub(super) fn servers(registry: &Registry, written: &str) -> Vec<String> {
    let mut servers = Vec::new();
    if registry.is_docker_hub() {
        servers.push(HUB_SERVER.to_owned());
    }
    if !servers.iter().any(|server| server == written) {
        servers.push(written.to_owned());
    }
    servers
}
