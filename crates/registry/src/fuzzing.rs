//! Entry points for fuzzing: all parsers of this crate that read untrusted input, including the private ones.
//!
//! Each takes arbitrary bytes and panics if a guarantee is broken. They are only built for tests and with the feature
//! `fuzzing`, and are not part of the interface. `fuzz/` runs them without a time limit; the tests below run the same
//! functions over its seeds, some hundreds of mutations of them, and noise.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what they are for"
)]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

pub use crate::auth::fuzzing::{challenges, docker_config, token_replies};
pub use crate::client::fuzzing::{addresses, links, ranges};
pub use crate::error_body::fuzz as error_bodies;
pub use crate::listing::fuzzing::listings;

use crate::manifest::ManifestView;
use crate::{Digest, Manifest, Reference, Registry, Tag};

/// Longest message about an input, in bytes. The input may have a megabyte.
const LONGEST_MESSAGE: usize = 4096;

/// References and their parts: a written reference parses to the same value, and errors are short.
pub fn references(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Reference::parse(&text) {
        Ok(reference) => {
            let written = reference.to_string();
            let again = Reference::parse(&written).map(|again| again.to_string());
            assert_eq!(again.ok().as_ref(), Some(&written));
        }
        Err(error) => assert_is_short(&error),
    }
    match Registry::parse(&text) {
        Ok(registry) => assert_eq!(Registry::parse(registry.as_str()).ok(), Some(registry)),
        Err(error) => assert_is_short(&error),
    }
    match Tag::parse(&text) {
        Ok(tag) => assert_eq!(tag.to_string(), text),
        Err(error) => assert_is_short(&error),
    }
    match Digest::parse(&text) {
        Ok(digest) => assert_eq!(digest.as_str(), text),
        Err(error) => assert_is_short(&error),
    }
}

/// Manifests and indexes: parsed, narrowed and rewritten. The first line, if there are several, is the content type.
pub fn manifests(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (first, rest) = data.split_at(at);
    for (content_type, body) in [
        (None, data),
        (
            std::str::from_utf8(first).ok(),
            rest.get(1..).unwrap_or_default(),
        ),
    ] {
        manifest(content_type, &Bytes::copy_from_slice(body));
    }
}

fn manifest(content_type: Option<&str>, body: &Bytes) {
    let digest = Digest::sha256(body);
    if let Err(error) = crate::manifest::digested_bytes(body, content_type) {
        assert_is_short(&error);
    }
    let manifest = match Manifest::new(body.clone(), content_type, digest) {
        Ok(manifest) => manifest,
        Err(error) => return assert_is_short(&error),
    };
    assert_eq!(manifest.bytes(), body);
    let entries = match manifest.view() {
        Ok(ManifestView::Index(index)) => index.manifests,
        Ok(_) => {
            assert!(manifest.retain(|_, _| true).is_err());
            return;
        }
        Err(error) => return assert_is_short(&error),
    };
    if let Ok(own) = manifest.referrer_descriptor()
        && let Ok(longer) = manifest.append(std::slice::from_ref(&own))
    {
        let listed = read(&longer);
        assert!(listed.starts_with(&entries) && listed.len() - entries.len() <= 1);
        assert!(listed.iter().any(|entry| entry.digest == own.digest));
    }
    if let Ok(all) = manifest.retain(|_, _| true) {
        assert_eq!(all.bytes(), manifest.bytes());
    }
    if let Ok(half) = manifest.retain(|at, _| at % 2 == 0) {
        assert_eq!(read(&half).len(), entries.len().div_ceil(2));
        assert_eq!(half.media_type(), manifest.media_type());
    }
    if !entries.is_empty()
        && let Ok(other) = manifest.replace(&[(0, manifest.clone())])
    {
        let first = read(&other).into_iter().next();
        assert_eq!(
            first.map(|first| first.digest),
            Some(manifest.digest().clone())
        );
    }
    assert!(
        manifest
            .replace(&[(entries.len(), manifest.clone())])
            .is_err()
    );
}

/// The entries of an index written by this program, which parses and has its declared digest.
fn read(index: &Manifest) -> Vec<crate::Descriptor> {
    assert_eq!(*index.digest(), Digest::sha256(index.bytes()));
    match index.view() {
        Ok(ManifestView::Index(index)) => index.manifests,
        _ => Vec::new(),
    }
}

/// Headers of one name, one per line; invalid lines are skipped.
pub(crate) fn headers(name: &HeaderName, data: &[u8]) -> HeaderMap {
    data.split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .map(|value| (name.clone(), value))
        .collect()
}

/// Checks that an error message is one short line.
pub(crate) fn assert_is_short(message: &impl std::fmt::Display) {
    let message = message.to_string();
    assert!(message.len() <= LONGEST_MESSAGE, "{} bytes", message.len());
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::exercise;

    #[test]
    fn of_references() {
        exercise("references", super::references);
    }
    #[test]
    fn of_manifests() {
        exercise("manifests", super::manifests);
    }
    #[test]
    fn of_challenges() {
        exercise("challenges", super::challenges);
    }
    #[test]
    fn of_token_replies() {
        exercise("token_replies", super::token_replies);
    }
    #[test]
    fn of_docker_config() {
        exercise("docker_config", super::docker_config);
    }
    #[test]
    fn of_listings() {
        exercise("listings", super::listings);
    }
    #[test]
    fn of_links() {
        exercise("links", super::links);
    }
    #[test]
    fn of_ranges() {
        exercise("ranges", super::ranges);
    }
    #[test]
    fn of_addresses() {
        exercise("addresses", super::addresses);
    }
    #[test]
    fn of_error_bodies() {
        exercise("error_bodies", super::error_bodies);
    }
}
