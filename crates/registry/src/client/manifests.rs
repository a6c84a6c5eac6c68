//! Manifests (protocol.md section 2.3).

use crate::client::Client;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::reference::{Repository, Target};

/// What a HEAD tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The digest.
    pub digest: Digest,
    /// The media type, without parameters, where the registry says one.
    pub media_type: Option<String>,
    /// The size in bytes, where the registry says one.
    pub size: Option<u64>,
}

impl Client {
    /// What `target` is now: `None` where the registry says that it does not exist. One HEAD; a GET where the
    /// registry leaves the digest out or refuses HEAD.
    pub async fn head_manifest(
        &self,
        _repository: &Repository,
        _target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        todo!()
    }
    /// Like [`Client::head_manifest`] for a repository that will be written to: asks for push rights at once, so
    /// that the token serves the push as well, and takes what registries say of repositories that do not exist yet
    /// (404, Harbor's and Docker Hub's 401, Artifactory's 403) as "not there, or unknown: try to push".
    pub async fn head_manifest_for_push(
        &self,
        _repository: &Repository,
        _target: &Target,
    ) -> Result<Option<ManifestHead>, Error> {
        todo!()
    }
    /// Fetches a manifest; verified against the digest when `target` is one, else hashed. Its absence is an error
    /// ([`ErrorKind::NotFound`](crate::ErrorKind::NotFound)).
    pub async fn get_manifest(
        &self,
        _repository: &Repository,
        _target: &Target,
    ) -> Result<Manifest, Error> {
        todo!()
    }
    /// Pushes a manifest, byte for byte. A registry that rewrote it (another digest comes back) is an error; blobs
    /// or children that it misses are [`ErrorKind::MissingContent`](crate::ErrorKind::MissingContent).
    pub async fn put_manifest(
        &self,
        _repository: &Repository,
        _target: &Target,
        _manifest: &Manifest,
    ) -> Result<(), Error> {
        todo!()
    }
}
