//! Different images for one name at a destination: the image of the rule that comes first keeps the name.
//!
//! Both are read at their sources, so that the decision depends on what they are and never on which of them is copied
//! sooner. The same content from two sources is no conflict.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use image_syncer_registry::manifest::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use image_syncer_registry::{Digest, ErrorKind, Tag, Target};

use crate::copy::Copier;
use crate::copy::destination::DestinationCopy;
use crate::copy::pair::PairName;
use crate::discover::{ImageDestination, ReferrerTag, Rival, located};
use crate::failure::Failure;
use crate::graph::{Root, SourceImage};
use crate::id::full_reference;
use crate::rule::{Rule, Selection};
use crate::store::{Source, TagDetail};

/// Images of an earlier rule that are resolved at a time.
const CONCURRENT_IMAGES: usize = 8;

impl DestinationCopy<'_> {
    /// Fails if the image has no name at the destination, or an earlier rule writes other content to it.
    ///
    /// Costs a HEAD for each rival; nothing for a destination of one rule.
    pub(super) async fn check_earlier_rules(&self) -> Result<(), Failure> {
        let (copier, place) = (self.copier, self.place);
        if let Some(refusal) = &place.refusal {
            return Err(refusal.clone());
        }
        if let Some(tag) = &place.tag
            && self.lists.is_none()
            && signature(tag).is_some()
        {
            let check = copier.check_earlier_signatures(self.image, self.name, tag, place);
            Box::pin(check).await?;
        }
        if place.rivals.is_empty() {
            return Ok(());
        }
        Box::pin(self.check_rivals()).await
    }

    async fn check_rivals(&self) -> Result<(), Failure> {
        let (copier, place) = (self.copier, self.place);
        let Some(own) = copied_digest(self.image).await? else {
            return Ok(());
        };
        for rival in &place.rivals {
            copier.check_rival(&own, self.name, place, rival).await?;
        }
        Ok(())
    }
}

impl Copier {
    async fn check_rival(
        &self,
        own: &Digest,
        name: PairName<'_>,
        place: &ImageDestination,
        rival: &Rival,
    ) -> Result<(), Failure> {
        let source = SourceImage::new(
            self.stores.source(&rival.source).await?,
            rival.target.clone(),
            Arc::clone(&rival.options.platforms),
            Arc::clone(&self.manifests),
        )
        .with_parts(rival.options.parts);
        let same = place.options.same_content_of_digests(&rival.options);
        match copied_digest(&source).await {
            Ok(Some(other)) if other != *own => Err(conflict(name, rival, "another image")),
            Ok(Some(_)) if !same => Err(conflict(name, rival, "other parts of the image")),
            Ok(_) => Ok(()),
            Err(failure) if !rival.certain && is_absent(&failure) => Ok(()),
            Err(failure) => Err(unknown(name, rival, failure)),
        }
    }

    /// Fails if `tag` is a signature tag of cosign, under which an earlier rule copies another image from its own source.
    /// The images cannot be merged, so that the earlier rule keeps the tag, as with every other tag.
    ///
    /// Costs nothing for a repository that only one source is copied to, and a HEAD for each earlier source that has the
    /// tag otherwise. Only if the images differ, images of the earlier rule are resolved, to find out if the tag belongs
    /// to one of them.
    pub(super) async fn check_earlier_signatures(
        &self,
        image: &SourceImage,
        name: PairName<'_>,
        tag: &Tag,
        place: &ImageDestination,
    ) -> Result<(), Failure> {
        let Some(signature) = signature(tag) else {
            return Ok(());
        };
        for rule in &place.earlier.to_vec() {
            // Otherwise both copy it as a tag of their own, which `rivals` has.
            let as_referrer = rule.copies_referrers_to(&place.repository);
            if !as_referrer && place.options.referrers.is_none() {
                continue;
            }
            let store = self.stores.source(&rule.source.repository).await?;
            let tags = self.source_tags.referrer_tags(&store).await;
            if tags.is_some_and(|tags| !tags.contains(signature)) {
                continue;
            }
            let target = Target::Tag(tag.clone());
            let rival = Rival {
                rule: located(rule),
                source: rule.source.repository.clone(),
                target: target.clone(),
                options: Arc::clone(&place.options),
                certain: false,
            };
            let copied = async {
                let other = self.source_image(&store, target).head().await?.digest;
                let differs = other != image.head().await?.digest;
                Ok(differs
                    && (rule.selects_tag(tag)
                        || as_referrer && self.copies_subject(rule, &store, signature).await?))
            };
            match copied.await {
                Ok(true) => return Err(conflict(name, &rival, "another image")),
                Ok(false) => {}
                Err(failure) if is_absent(&failure) => {}
                Err(failure) => return Err(unknown(name, &rival, failure)),
            }
        }
        Ok(())
    }

    /// Returns true if `rule` copies an image that has the subject of the signature tag.
    async fn copies_subject(
        &self,
        rule: &Rule,
        store: &Arc<dyn Source>,
        signature: ReferrerTag,
    ) -> Result<bool, Failure> {
        let targets = match &rule.source.select {
            Selection::All => return Ok(true),
            Selection::Digest { digest, .. } => vec![Target::Digest(digest.clone())],
            Selection::Tags(tags) => tags.iter().cloned().map(Target::Tag).collect(),
            Selection::Matching(_) | Selection::Policy(_) => {
                let (mut pages, mut targets) = (store.tags(TagDetail::Names), Vec::new());
                while let Some(page) = pages.next().await? {
                    let page = page.into_iter().map(|listed| listed.tag);
                    let page = page.filter(|tag| rule.selects_tag(tag));
                    targets.extend(page.map(Target::Tag));
                }
                targets
            }
        };
        let mut images = Vec::with_capacity(targets.len());
        for target in targets {
            let image = self.source_image(store, target);
            images.push(async move { has_subject(&image, signature).await }.boxed());
        }
        let mut images = stream::iter(images).buffer_unordered(CONCURRENT_IMAGES);
        while let Some(found) = images.next().await {
            match found {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(failure) if is_absent(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    fn source_image(&self, store: &Arc<dyn Source>, target: Target) -> SourceImage {
        let manifests = Arc::clone(&self.manifests);
        SourceImage::new(Arc::clone(store), target, Arc::default(), manifests)
    }
}

/// Returns true if the image, or a manifest below it, is the subject of the signature tag.
async fn has_subject(image: &SourceImage, signature: ReferrerTag) -> Result<bool, Failure> {
    let head = image.head().await?;
    if signature.is_for(&head.digest) {
        return Ok(true);
    }
    let media_type = head.media_type.as_deref();
    if media_type.is_some_and(|it| [OCI_MANIFEST, DOCKER_MANIFEST].contains(&it)) {
        return Ok(false);
    }
    let root = image.unfiltered_root().await?;
    let below = image.manifests_below(&root).await?;
    Ok(below.iter().any(|digest| signature.is_for(digest)))
}

/// The digest that a copy of the image has; `None` if nothing of it is copied.
async fn copied_digest(image: &SourceImage) -> Result<Option<Digest>, Failure> {
    if !image.is_filtered() {
        return Ok(Some(image.head().await?.digest));
    }
    Ok(match image.root().await? {
        Root::Whole(root) | Root::Filtered(root) => Some(root.digest().clone()),
        Root::Nothing { .. } => None,
    })
}

/// Returns the parsed tag if it is a signature tag of cosign.
fn signature(tag: &Tag) -> Option<ReferrerTag> {
    ReferrerTag::parse(tag.as_str()).filter(|read| read.is_companion())
}

fn is_absent(failure: &Failure) -> bool {
    failure.kind == Some(ErrorKind::NotFound)
}

fn conflict(name: PairName<'_>, rival: &Rival, what: &str) -> Failure {
    Failure::tag_conflict(format!(
        "{}: rule {} writes {what} to this tag, {}",
        cannot_write(name),
        rival.rule,
        full_reference(&rival.source, Some(&rival.target))
    ))
}

fn unknown(name: PairName<'_>, rival: &Rival, failure: Failure) -> Failure {
    let reason = format!(
        "{}: rule {} writes to this tag as well, and its image {} cannot be compared: {}",
        cannot_write(name),
        rival.rule,
        full_reference(&rival.source, Some(&rival.target)),
        failure.reason
    );
    Failure { reason, ..failure }
}

fn cannot_write(name: PairName<'_>) -> String {
    format!(
        "cannot write {} (rule {}) to {}",
        name.id.source,
        located(name.rule),
        name.id.destination
    )
}
