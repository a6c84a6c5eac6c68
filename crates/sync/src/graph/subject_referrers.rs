//! What refers to a manifest at its source: referrers by `subject`, and cosign's tags, which name it in their own name.
//!
//! Asked once for each manifest, however many tags and destinations want to know: the answers stay for a while.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::manifest::media_type::OCI_INDEX;
use image_syncer_registry::{
    Descriptor, Digest, ErrorKind, Manifest, ManifestHead, Repository, Tag, Target,
};

use crate::discover::SourceTags;
use crate::failure::{Failure, Side};
use crate::graph::{MAX_DEPTH, MAX_MANIFESTS, SourceImage, names_manifest};
use crate::keyed::KeyedOnce;
use crate::store::{FallbackTag, Store};

/// What stands behind the digest in cosign's tags.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// How many answers stay, a referrer counted as one more: some megabytes.
const MAX_KEPT: u64 = 8_192;

/// What refers to a manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubjectReferrers {
    /// Its referrers, as the source lists them.
    pub(crate) referrers: Vec<Descriptor>,
    /// The tags that cosign made of its digest.
    pub(crate) companions: Vec<Tag>,
}

impl SubjectReferrers {
    /// Whether nothing refers to it.
    pub(crate) fn is_empty(&self) -> bool {
        self.referrers.is_empty() && self.companions.is_empty()
    }
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.referrers.len() + self.companions.len()
    }
}

/// The questions of a run; shared by all images.
pub(crate) struct ReferrerQueries {
    tags: Arc<SourceTags>,
    answers: KeyedOnce<(Repository, Digest), Arc<SubjectReferrers>, Failure>,
}

impl ReferrerQueries {
    /// Nothing asked yet; `tags` tell which tags name referrers.
    pub(crate) fn new(tags: Arc<SourceTags>) -> Self {
        Self {
            tags,
            answers: KeyedOnce::with_limit(MAX_KEPT),
        }
    }
    /// What refers to `subject` in `source`. A failure is shared by those who wait for it now and not remembered.
    ///
    /// # Errors
    /// When the source fails to say: what it may hold would be lost without a word.
    pub(crate) async fn referrers_of(
        &self,
        source: &Arc<dyn Store>,
        subject: &Digest,
    ) -> Result<Arc<SubjectReferrers>, Failure> {
        let key = (source.repository().clone(), subject.clone());
        let weight = |answer: &Arc<SubjectReferrers>| 1 + answer.len() as u64;
        let query = async { self.query_source(source, subject).await.map(Arc::new) };
        self.answers.get(key, weight, query).await
    }

    /// Asks the source. Where a list of its tags tells which of them name referrers, no tag is asked for in vain.
    async fn query_source(
        &self,
        source: &Arc<dyn Store>,
        subject: &Digest,
    ) -> Result<SubjectReferrers, Failure> {
        let (fallback, companions) = match self.tags.of(source).await {
            Some(tags) if tags.fallback(subject) => {
                (FallbackTag::Present, tags.companions(subject))
            }
            Some(tags) => (FallbackTag::Absent, tags.companions(subject)),
            None => {
                let companions = companions_one_by_one(source, subject).await?;
                (FallbackTag::Unknown, companions)
            }
        };
        let mut referrers = source.referrers(subject, fallback).await;
        if let Err(error) = &referrers
            && error.kind() == ErrorKind::Protocol
            && fallback != FallbackTag::Absent
            && tags_an_image(source, subject).await
        {
            self.tags.is_an_image(source.repository(), subject);
            referrers = source.referrers(subject, FallbackTag::Absent).await;
        }
        Ok(SubjectReferrers {
            referrers: referrers.map_err(|error| Failure::registry(Side::Source, &error))?,
            companions,
        })
    }
}

/// Whether the fallback tag of `subject` names an image: some tools tag images by their own digests.
async fn tags_an_image(source: &Arc<dyn Store>, subject: &Digest) -> bool {
    let tag = Target::Tag(Tag::of_referrers_to(subject));
    match source.probe(&tag).await {
        Ok(Some(head)) => !may_list_referrers(&head, subject),
        // What was wrong with it stays wrong.
        Ok(None) | Err(_) => false,
    }
}

/// Whether what stands under the fallback tag of `subject` may be a list of its referrers.
pub(crate) fn may_list_referrers(head: &ManifestHead, subject: &Digest) -> bool {
    let media_type = head.media_type.as_deref();
    head.digest != *subject && media_type.is_none_or(|media_type| media_type == OCI_INDEX)
}

/// Cosign's tags, where no list tells of them.
async fn companions_one_by_one(
    source: &Arc<dyn Store>,
    subject: &Digest,
) -> Result<Vec<Tag>, Failure> {
    let fallback = Tag::of_referrers_to(subject);
    let tags = SUFFIXES.map(|suffix| Tag::parse(&format!("{fallback}{suffix}")));
    let questions = tags.into_iter().flatten().map(|tag| async move {
        match source.probe(&Target::Tag(tag.clone())).await {
            Ok(found) => Ok(found.map(|_| tag)),
            // Artifactory's word for a tag that does not exist, in a repository that may be read.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            Err(error) => Err(Failure::registry(Side::Source, &error)),
        }
    });
    let found = try_join_all(questions).await?;
    Ok(found.into_iter().flatten().collect())
}

impl SourceImage {
    /// Returns the digests of the manifests below `root`, each once: all that may be a subject of its own. Costs a GET for
    /// each index within an index that was not read before.
    ///
    /// # Errors
    /// Indexes that cannot be had or read, lie too deep within each other or are too many.
    pub(crate) async fn manifests_below(
        &self,
        root: &Arc<Manifest>,
    ) -> Result<Vec<Digest>, Failure> {
        let admit = |number: usize| match number {
            0..=MAX_MANIFESTS => Ok(()),
            _ => Err(self.too_many_children()),
        };
        self.manifests_below_within(root, admit).await
    }

    /// Like [`SourceImage::manifests_below`]; `admit` is called for each manifest before anything below it is fetched,
    /// with how many were found so far, and ends the search with its error.
    pub(crate) async fn manifests_below_within(
        &self,
        root: &Arc<Manifest>,
        admit: impl Fn(usize) -> Result<(), Failure>,
    ) -> Result<Vec<Digest>, Failure> {
        let mut seen = HashSet::from([root.digest().clone()]);
        let mut below = Vec::new();
        let mut indexes = vec![Arc::clone(root)];
        for depth in 0.. {
            if indexes.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(self.too_deep());
            }
            let mut next = Vec::new();
            for index in std::mem::take(&mut indexes) {
                let ManifestView::Index(view) = self.view(&index)? else {
                    continue;
                };
                for entry in view.manifests.iter().filter(|entry| names_manifest(entry)) {
                    if self.leaves_out(&entry.digest) || !seen.insert(entry.digest.clone()) {
                        continue;
                    }
                    below.push(entry.digest.clone());
                    admit(below.len())?;
                    if entry.is_index() {
                        next.push(self.manifest(&entry.digest).await?);
                    }
                }
            }
            indexes = next;
        }
        Ok(below)
    }

    /// The failure of an image to which too many manifests refer.
    pub(crate) fn too_many_referrers(&self) -> Failure {
        self.too_much(&format!(
            "more than {MAX_MANIFESTS} manifests refer to it or to its referrers"
        ))
    }

    /// The failure of an image whose referrers have referrers without end.
    pub(crate) fn too_deep_referrers(&self) -> Failure {
        self.too_much(&format!(
            "referrers of referrers lie more than {MAX_DEPTH} deep"
        ))
    }
}
