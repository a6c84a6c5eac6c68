//! Referrers of a manifest at its source: by `subject`, and by cosign's tags, which contain the digest of the subject.
//!
//! Each manifest is queried once, for all tags and destinations: the answers are kept for a while.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::manifest::media_type::OCI_INDEX;
use image_syncer_registry::{Descriptor, Digest, ErrorKind, Manifest, ManifestHead, Tag, Target};

use crate::Repository;
use crate::discover::SourceTags;
use crate::failure::Failure;
use crate::graph::{MAX_DEPTH, MAX_MANIFESTS, SourceImage, names_manifest};
use crate::keyed::KeyedOnce;
use crate::store::{FallbackTag, Source};

/// Suffixes of cosign's tags, after the digest.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// Maximum number of kept answers and referrers: some megabytes.
const MAX_KEPT: u64 = 8_192;

/// Referrers of one manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubjectReferrers {
    /// Referrers that the source lists.
    pub(crate) referrers: Vec<Descriptor>,
    /// Tags that cosign made from its digest.
    pub(crate) companions: Vec<Tag>,
    /// True if its fallback tag names an image, as where images are tagged by their own digests.
    pub(crate) is_tagged_image: bool,
}

impl SubjectReferrers {
    /// Returns true without referrers and tags.
    pub(crate) fn is_empty(&self) -> bool {
        self.referrers.is_empty() && self.companions.is_empty()
    }
    /// Returns the number of referrers and tags.
    pub(crate) fn len(&self) -> usize {
        self.referrers.len() + self.companions.len()
    }
}

/// Referrer queries of a run, with their answers. Shared by all images.
pub(crate) struct ReferrerQueries {
    tags: Arc<SourceTags>,
    answers: KeyedOnce<(Repository, Digest), Arc<SubjectReferrers>, Failure>,
}

impl ReferrerQueries {
    /// Returns an empty cache. `tags` tells which tags name referrers.
    pub(crate) fn new(tags: Arc<SourceTags>) -> Self {
        Self {
            tags,
            answers: KeyedOnce::with_limit(MAX_KEPT),
        }
    }
    /// Returns the referrers of `subject` in `source`. Concurrent callers share a failure; it is not kept.
    ///
    /// # Errors
    /// Fails if the source does not answer. Otherwise existing referrers would be lost silently.
    pub(crate) async fn referrers_of(
        &self,
        source: &Arc<dyn Source>,
        subject: &Digest,
    ) -> Result<Arc<SubjectReferrers>, Failure> {
        let key = (source.repository().clone(), subject.clone());
        let weight = |answer: &Arc<SubjectReferrers>| 1 + answer.len() as u64;
        let query = || async { self.query_source(source, subject).await.map(Arc::new) };
        self.answers.get(key, weight, query).await
    }

    /// Returns the referrers of a `subject` that has none at the referrers API of `source`, as far as tags name them. Not
    /// kept, since it is less than a query tells.
    ///
    /// # Errors
    /// As [`ReferrerQueries::referrers_of`], which queries the source if no list of its tags is available, or if it has
    /// the fallback tag.
    pub(crate) async fn tagged_referrers_of(
        &self,
        source: &Arc<dyn Source>,
        subject: &Digest,
    ) -> Result<Arc<SubjectReferrers>, Failure> {
        match self.tags.referrer_tags(source).await {
            Some(tags) if !tags.fallback(subject) => Ok(Arc::new(SubjectReferrers {
                companions: tags.companions(subject),
                ..SubjectReferrers::default()
            })),
            _ => self.referrers_of(source, subject).await,
        }
    }

    /// Queries the source. If a list of its tags tells which tags name referrers, no other tag is queried.
    async fn query_source(
        &self,
        source: &Arc<dyn Source>,
        subject: &Digest,
    ) -> Result<SubjectReferrers, Failure> {
        let (fallback, companions) = match self.tags.referrer_tags(source).await {
            Some(tags) if tags.fallback(subject) => {
                (FallbackTag::Present, tags.companions(subject))
            }
            Some(tags) => (FallbackTag::Absent, tags.companions(subject)),
            None => {
                let companions = companions_one_by_one(source, subject).await?;
                (FallbackTag::Unknown, companions)
            }
        };
        let mut is_tagged_image = false;
        let mut referrers = source.referrers(subject, fallback).await;
        if let Err(error) = &referrers
            && error.kind() == ErrorKind::Protocol
            && fallback != FallbackTag::Absent
            && tags_an_image(source, subject).await
        {
            is_tagged_image = true;
            referrers = source.referrers(subject, FallbackTag::Absent).await;
        }
        Ok(SubjectReferrers {
            referrers: referrers?,
            companions,
            is_tagged_image,
        })
    }
}

/// Returns true if the fallback tag of `subject` names an image: some tools tag images by their own digests.
async fn tags_an_image(source: &Arc<dyn Source>, subject: &Digest) -> bool {
    let tag = Target::Tag(Tag::of_referrers_to(subject));
    match source.probe(&tag).await {
        Ok(Some(head)) => !may_list_referrers(&head, subject),
        // The first error counts.
        Ok(None) | Err(_) => false,
    }
}

/// Returns true if the manifest under the fallback tag of `subject` may be a list of its referrers.
pub(crate) fn may_list_referrers(head: &ManifestHead, subject: &Digest) -> bool {
    let media_type = head.media_type.as_deref();
    head.digest != *subject && media_type.is_none_or(|media_type| media_type == OCI_INDEX)
}

/// Queries cosign's tags one by one, without a list of tags.
async fn companions_one_by_one(
    source: &Arc<dyn Source>,
    subject: &Digest,
) -> Result<Vec<Tag>, Failure> {
    let fallback = Tag::of_referrers_to(subject);
    let tags = SUFFIXES.map(|suffix| Tag::parse(&format!("{fallback}{suffix}")));
    let questions = tags.into_iter().flatten().map(|tag| async move {
        match source.probe(&Target::Tag(tag.clone())).await {
            Ok(found) => Ok(found.map(|_| tag)),
            // Artifactory's answer for a tag that does not exist, in a readable repository.
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            Err(error) => Err(Failure::from(error)),
        }
    });
    let found = try_join_all(questions).await?;
    Ok(found.into_iter().flatten().collect())
}

impl SourceImage {
    /// Returns the digests of the manifests below `root`, each once: all of them may be subjects. Costs a GET for each
    /// nested index that was not read before.
    ///
    /// # Errors
    /// Fails for nested indexes that cannot be fetched or parsed, are nested too deeply or are too many.
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

    /// Like [`SourceImage::manifests_below`]. `admit` is called for each manifest, with the number found so far, before
    /// anything below it is fetched. Its error ends the search.
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

    /// Returns the failure of an image with too many referrers.
    pub(crate) fn too_many_referrers(&self) -> Failure {
        self.too_much(&format!(
            "more than {MAX_MANIFESTS} manifests refer to it or to its referrers"
        ))
    }

    /// Returns the failure of an image whose referrers are nested too deeply.
    pub(crate) fn too_deep_referrers(&self) -> Failure {
        self.too_much(&format!(
            "referrers of referrers lie more than {MAX_DEPTH} deep"
        ))
    }
}
