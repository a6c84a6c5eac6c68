//! Webhooks of GitHub, for its container registry: the events `package` and `registry_package`.

use image_syncer_registry::Repository;
use serde::Deserialize;

use super::push::{self, PayloadError, Push, Pushed};

/// Host of GitHub's registry.
const HOST: &str = "ghcr.io";
/// Actions that a push causes.
const ACTIONS: [&str; 2] = ["published", "updated"];

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    package: Option<Package>,
    registry_package: Option<Package>,
    /// Text of the call that GitHub makes when the webhook is created.
    zen: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    namespace: Option<String>,
    #[serde(rename = "package_type")]
    kind: Option<String>,
    ecosystem: Option<String>,
    owner: Option<Owner>,
    #[serde(rename = "package_version")]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

#[derive(Deserialize)]
struct Version {
    /// `ghcr.io/owner/name:tag`
    package_url: Option<String>,
    container_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    tag: Option<NamedTag>,
}

#[derive(Deserialize)]
struct NamedTag {
    name: Option<String>,
    digest: Option<String>,
}

/// Returns the push of a body.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Push>, PayloadError> {
    let payload: Payload = push::json(body)?;
    if payload.zen.is_some() {
        return Err(PayloadError::other_event("ping"));
    }
    let package = payload.package.or(payload.registry_package);
    let package = package.ok_or_else(PayloadError::nothing)?;
    let action = payload.action.unwrap_or_default();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(PayloadError::other_event(&action));
    }
    if !package.is_container() {
        return Err(PayloadError::NoPush(
            "the package is not a container image".to_owned(),
        ));
    }
    push::collect(std::iter::once(package.push()))
}

impl Package {
    fn is_container(&self) -> bool {
        let types = [&self.kind, &self.ecosystem];
        let mut types = types.into_iter().flatten();
        types.any(|it| it.eq_ignore_ascii_case("container"))
    }

    fn push(&self) -> Option<Push> {
        let version = self.version.as_ref();
        let metadata = version.and_then(|it| it.container_metadata.as_ref());
        let tag = metadata.and_then(|it| it.tag.as_ref());
        let pushed = Pushed::tag_or_digest(tag.and_then(|tag| tag.name.as_deref()))?;
        let url = version.and_then(|it| it.package_url.as_deref());
        let repository = url.and_then(repository).or_else(|| self.repository())?;
        let digest = tag.and_then(|tag| tag.digest.as_deref());
        Some(Push::named(&repository.to_string(), pushed)?.with_digest(digest))
    }

    /// Returns the repository by the names of the owner and the package. Those of the registry are lower-case.
    fn repository(&self) -> Option<Repository> {
        let owner = self.owner.as_ref().map(|owner| owner.login.as_str());
        let owner = owner.or(self.namespace.as_deref())?;
        let name = format!("{HOST}/{owner}/{}", self.name);
        Repository::parse(&name.to_lowercase()).ok()
    }
}

/// Returns the repository in the URL of a version. Without a tag, the URL ends with a colon.
fn repository(url: &str) -> Option<Repository> {
    let name = url.split_once('@').map_or(url, |(name, _)| name);
    let after_host = name.find('/')?;
    let end = name.rfind(':').filter(|colon| *colon > after_host);
    let name = name.get(..end.unwrap_or(name.len()))?.to_lowercase();
    name.contains('.').then(|| Repository::parse(&name).ok())?
}
