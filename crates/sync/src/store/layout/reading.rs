//! Reading of a layout: names, manifests, blobs and referrers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use image_syncer_registry::manifest::MAX_MANIFEST_BYTES;
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, ErrorKind, ListedTag, Manifest, ManifestHead, Presence, Tag,
    Target,
};

use super::files::LayoutFiles;
use super::{Layout, blob_path, blob_reader, run_blocking};
use crate::lock::lock;
use crate::store::layout_format::{LayoutError, LayoutName, LayoutRoot, Located, RootName};

/// Maximum number of referrers of one subject, as for registries.
const MAX_REFERRERS: usize = 20_000;

/// Names that a lookup considers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameScope {
    /// Full names, and bare tags as tags of the repository that the user gives: a source.
    WithBareTags,
    /// Full names only: a destination, since it writes full names.
    FullNames,
}

impl Layout {
    /// Returns the names of all roots with their digests, in the order of the index.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<(RootName, Digest)> {
        let state = lock(&self.state);
        let roots = state.index.roots();
        roots
            .map(|root| (root.name.clone(), root.digest.clone()))
            .collect()
    }
    /// Returns the repositories of all full names, sorted.
    pub(super) fn repositories(&self) -> BTreeSet<String> {
        let state = lock(&self.state);
        let names = state.index.roots().filter_map(|root| match &root.name {
            RootName::Full(name) => Some(name.repository.clone()),
            RootName::Tag(_) | RootName::Unnamed => None,
        });
        names.collect()
    }
    /// Returns the tags of `repository` with their digests, sorted.
    pub(crate) fn tags(&self, repository: &str, scope: NameScope) -> Vec<ListedTag> {
        let state = lock(&self.state);
        // As in `head_tag`, a full name precedes a bare tag, and of several the first counts.
        let full = state.index.roots().filter(|root| !is_bare(root));
        let bare = state.index.roots().filter(|root| is_bare(root));
        let bare = bare.filter(|_| scope == NameScope::WithBareTags);
        let mut tags: BTreeMap<Tag, Digest> = BTreeMap::new();
        for root in full.chain(bare) {
            if let Some(tag) = root.name.tag_in(repository) {
                let digest = || root.digest.clone();
                tags.entry(tag.clone()).or_insert_with(digest);
            }
        }
        let listed = tags.into_iter().map(|(tag, digest)| ListedTag {
            digest: Some(digest),
            ..ListedTag::from(tag)
        });
        listed.collect()
    }
    /// Returns the head of a tag as the index states it, without reading the manifest.
    pub(crate) fn head_tag(
        &self,
        repository: &str,
        tag: &Tag,
        scope: NameScope,
    ) -> Option<ManifestHead> {
        let state = lock(&self.state);
        let name = LayoutName::new(repository, tag.clone());
        let bare = || {
            let bare = state.index.with_ref_name(tag.as_str());
            bare.filter(|root| scope == NameScope::WithBareTags && is_bare(root))
        };
        let root = state.index.named(&name).or_else(bare)?;
        Some(ManifestHead {
            digest: root.digest.clone(),
            media_type: Some(root.media_type.clone()).filter(|text| !text.is_empty()),
            size: Some(root.size),
        })
    }
    /// Returns the head of `target`, if it is there.
    ///
    /// # Errors
    /// If a manifest has to be read, and is damaged.
    pub(crate) async fn head(
        &self,
        repository: &str,
        target: &Target,
        scope: NameScope,
    ) -> Result<Option<ManifestHead>, LayoutError> {
        let digest = match target {
            Target::Tag(tag) => return Ok(self.head_tag(repository, tag, scope)),
            Target::Digest(digest) => digest,
        };
        match self.manifest_by_digest(digest, None).await {
            Ok(manifest) => Ok(Some(head_of(&manifest))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Returns the head of `target` if its manifest is there and not damaged, for a destination. A damaged one counts as
    /// missing, so that it is written again.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(crate) async fn verified_head(
        &self,
        repository: &str,
        target: &Target,
    ) -> Result<Option<ManifestHead>, LayoutError> {
        match self
            .manifest(repository, target, NameScope::FullNames)
            .await
        {
            Ok(manifest) => Ok(Some(head_of(&manifest))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
    /// Reads the manifest of `target`.
    ///
    /// # Errors
    /// If it is missing, too long, damaged or malformed.
    pub(crate) async fn manifest(
        &self,
        repository: &str,
        target: &Target,
        scope: NameScope,
    ) -> Result<Manifest, LayoutError> {
        let tag = match target {
            Target::Digest(digest) => return self.manifest_by_digest(digest, None).await,
            Target::Tag(tag) => tag,
        };
        let Some(head) = self.head_tag(repository, tag, scope) else {
            let action = format!("read manifest {repository}:{tag}");
            let why = "index.json has no such name";
            return Err(LayoutError::new(
                ErrorKind::NotFound,
                action,
                self.endpoint(),
                why,
            ));
        };
        let media_type = head.media_type.as_deref();
        self.manifest_by_digest(&head.digest, media_type).await
    }
    async fn manifest_by_digest(
        &self,
        digest: &Digest,
        media_type: Option<&str>,
    ) -> Result<Manifest, LayoutError> {
        let listed = || {
            Some(
                lock(&self.state)
                    .index
                    .with_digest(digest)?
                    .media_type
                    .clone(),
            )
        };
        let media_type = media_type.map(str::to_owned).or_else(listed);
        let digest = digest.clone();
        run_blocking(&self.files()?, move |files| {
            read_manifest(files, &digest, media_type.as_deref())
        })
        .await
    }
    /// Opens a stream of the bytes of `blob` from `offset` on.
    ///
    /// # Errors
    /// If the blob is missing or has another size. The stream ends with an error if it is damaged.
    pub(crate) async fn open_blob(
        &self,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, LayoutError> {
        blob_reader::open(&self.files()?, blob, offset).await
    }
    /// Reads a whole blob of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is missing, too long or damaged.
    pub(crate) async fn read_blob(
        &self,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, LayoutError> {
        blob_reader::read(&self.files()?, blob, limit).await
    }
    /// Returns the length of a blob, if it is there.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(crate) async fn blob_length(&self, digest: &Digest) -> Result<Option<u64>, LayoutError> {
        let Ok(files) = self.files() else {
            return Ok(None);
        };
        let digest = digest.clone();
        run_blocking(&files, move |files| {
            let length = files.length(&blob_path::path(&digest));
            length.map_err(|error| files.error(format!("find blob {digest}"), &error))
        })
        .await
    }
    /// Checks whether the blob is there with the right size.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(crate) async fn head_blob(&self, blob: &Descriptor) -> Result<Presence, LayoutError> {
        let length = self.blob_length(&blob.digest).await?;
        Ok(match length {
            None => Presence::Absent,
            Some(length) if blob.known_size().is_some_and(|size| size != length) => {
                Presence::WrongSize(length)
            }
            Some(_) => Presence::Present,
        })
    }
    /// Returns the manifests that refer to `subject`, wherever they are in the layout.
    ///
    /// # Errors
    /// If the layout cannot be read.
    pub(crate) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, LayoutError> {
        let Ok(files) = self.files() else {
            return Ok(Vec::new());
        };
        let walk = self.walk().await?;
        let mut found = walk.referrers.get(subject).cloned().unwrap_or_default();
        found.extend(
            lock(&self.new_referrers)
                .get(subject)
                .into_iter()
                .flatten()
                .cloned(),
        );
        let mut known = HashSet::new();
        found.retain(|digest| known.insert(digest.clone()));
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if found.len() > MAX_REFERRERS {
            let action = format!("list the referrers of {subject}");
            let why = format!("there are more than {MAX_REFERRERS}");
            return Err(LayoutError::new(
                ErrorKind::Protocol,
                action,
                self.endpoint(),
                why,
            ));
        }
        run_blocking(&files, move |files| {
            let described = found.iter().filter_map(|digest| describe(files, digest));
            Ok(described.collect())
        })
        .await
    }
}

/// Returns whether the root is named by a bare tag.
fn is_bare(root: &LayoutRoot) -> bool {
    matches!(root.name, RootName::Tag(_))
}

fn head_of(manifest: &Manifest) -> ManifestHead {
    ManifestHead {
        digest: manifest.digest().clone(),
        media_type: Some(manifest.media_type().to_owned()),
        size: Some(manifest.size()),
    }
}

/// Returns the descriptor of a referrer. One that was removed meanwhile is left out; one that is damaged is listed, and
/// fails when it is copied.
fn describe(files: &Arc<LayoutFiles>, digest: &Digest) -> Option<Descriptor> {
    let manifest = match read_manifest(files, digest, None) {
        Ok(manifest) => manifest.referrer_descriptor().ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => None,
    };
    Some(manifest.unwrap_or_else(|| Descriptor {
        media_type: String::new(),
        digest: digest.clone(),
        size: files.length(&blob_path::path(digest)).ok().flatten(),
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        urls: Vec::new(),
        artifact_type: None,
    }))
}

/// Reads and verifies a manifest. Blocks.
fn read_manifest(
    files: &LayoutFiles,
    digest: &Digest,
    media_type: Option<&str>,
) -> Result<Manifest, LayoutError> {
    let action = || format!("read manifest {digest}");
    let refuse = |kind, why| LayoutError::new(kind, action(), files.endpoint(), why);
    let bytes = files
        .read(&blob_path::path(digest), MAX_MANIFEST_BYTES)
        .map_err(|error| files.error(action(), &error).of_part())?;
    let Some(algorithm) = digest.algorithm() else {
        let why = "only sha256 and sha512 can be verified".to_owned();
        return Err(refuse(ErrorKind::Protocol, why));
    };
    let found = Digest::compute(algorithm, &bytes);
    if found != *digest {
        let length = bytes.len();
        let why = format!("it is damaged: its {length} bytes have the digest {found}");
        return Err(refuse(ErrorKind::Corrupt, why));
    }
    Manifest::new(bytes, media_type, digest.clone())
        .map_err(|error| refuse(ErrorKind::Protocol, error.to_string()))
}
