//! The platform filter over an image (docs/migrating.md#platforms).
//!
//! It holds for every image alike: lists and indexes, indexes within indexes, and single images, whose platform stands
//! in the config blob. An entry that states no platform passes, and so does an artifact that has none. Attestations
//! go with the image that they name.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::manifest::{ImageView, IndexView, ManifestView};
use image_syncer_registry::{Descriptor, Digest, Manifest, Platform};

use crate::failure::{Failure, Side};
use crate::graph::{MAX_DEPTH, Root, SourceImage};

/// The most bytes of a config that are read to learn a platform.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Configs that state a platform; those of artifacts do not.
pub(crate) const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// What passes of an index.
#[derive(Clone)]
pub(super) enum FilteredIndex {
    All,
    Nothing,
    Some(Arc<Manifest>),
}

/// What is to become of an entry.
enum EntryDecision {
    Keep,
    Drop,
    Replace(Arc<Manifest>),
    /// As is decided for the image of that digest.
    Follow(Digest),
}

impl SourceImage {
    /// `root` as the filter leaves it.
    pub(super) async fn narrow(&self, root: Arc<Manifest>) -> Result<Root, Failure> {
        let platform = match self.view(&root)? {
            ManifestView::Index(index) => {
                return Ok(match self.narrow_index(&root, index, 0).await? {
                    FilteredIndex::All => Root::Whole(root),
                    FilteredIndex::Some(filtered) => Root::Filtered(filtered),
                    FilteredIndex::Nothing => Root::Nothing {
                        why: self.nothing_passes(),
                    },
                });
            }
            _ if self.filter.is_empty() => return Ok(Root::Whole(root)),
            ManifestView::Image(image) => self.platform(&image).await?,
            ManifestView::Schema1(schema1) => Platform {
                architecture: schema1.architecture.unwrap_or_default(),
                ..Platform::default()
            },
        };
        if self.filter.accepts(&platform) {
            return Ok(Root::Whole(root));
        }
        Ok(Root::Nothing {
            why: format!(
                "its platform {} does not pass {}",
                written(&platform),
                self.filter
            ),
        })
    }

    fn narrow_index<'a>(
        &'a self,
        whole: &'a Manifest,
        index: IndexView,
        depth: usize,
    ) -> BoxFuture<'a, Result<FilteredIndex, Failure>> {
        async move {
            if depth == MAX_DEPTH {
                return Err(self.too_deep());
            }
            // One after the other: only indexes within indexes ask anything, they are few, and each is judged once.
            let mut verdicts = Vec::with_capacity(index.manifests.len());
            for entry in &index.manifests {
                verdicts.push(self.decide_entry(entry, depth).await?);
            }
            follow(&index.manifests, &mut verdicts);
            if self.parts.sparse {
                return Ok(self.filtered_index(&index.manifests, &verdicts));
            }
            self.write(whole, &verdicts)
        }
        .boxed()
    }

    async fn decide_entry(
        &self,
        entry: &Descriptor,
        depth: usize,
    ) -> Result<EntryDecision, Failure> {
        if self.parts.strip_attestations && entry.is_attestation() {
            return Ok(EntryDecision::Drop);
        }
        if let Some(image) = entry.attested_digest() {
            return Ok(EntryDecision::Follow(image));
        }
        let stated = entry.platform.as_ref();
        if stated.is_some_and(|platform| !self.filter.accepts(platform)) {
            return Ok(EntryDecision::Drop);
        }
        if !entry.is_index() {
            return Ok(EntryDecision::Keep);
        }
        let judged = self.seen_manifests().narrowed.get(&entry.digest).cloned();
        let passed = match judged {
            Some(passed) => passed,
            None => self.narrow_nested(entry, depth + 1).await?,
        };
        Ok(match passed {
            FilteredIndex::All => EntryDecision::Keep,
            FilteredIndex::Nothing => EntryDecision::Drop,
            FilteredIndex::Some(filtered) => EntryDecision::Replace(filtered),
        })
    }

    async fn narrow_nested(
        &self,
        entry: &Descriptor,
        depth: usize,
    ) -> Result<FilteredIndex, Failure> {
        let digest = &entry.digest;
        let manifest = self.manifest(digest).await;
        let manifest = manifest.map_err(|failure| Self::child_failure(entry, failure))?;
        let passed = match self.view(&manifest)? {
            ManifestView::Index(index) => self.narrow_index(&manifest, index, depth).await?,
            // Not what its entry promised; an image within an index states its platform in its entry or nowhere.
            ManifestView::Image(_) | ManifestView::Schema1(_) => FilteredIndex::All,
        };
        self.seen_manifests()
            .narrowed
            .insert(digest.clone(), passed.clone());
        Ok(passed)
    }

    /// Notes what the verdicts leave of an index that stays what it is.
    fn filtered_index(&self, entries: &[Descriptor], verdicts: &[EntryDecision]) -> FilteredIndex {
        let mut held = self.seen_manifests();
        let mut nothing = !entries.is_empty();
        for (entry, verdict) in entries.iter().zip(verdicts) {
            if matches!(verdict, EntryDecision::Drop) {
                held.sparse.exclude(entry);
            } else {
                held.sparse.include(entry);
                nothing = false;
            }
        }
        if nothing {
            FilteredIndex::Nothing
        } else {
            FilteredIndex::All
        }
    }

    fn nothing_passes(&self) -> String {
        if self.filter.is_empty() {
            return "it consists of attestations, which --strip-attestations leaves out".to_owned();
        }
        format!("no platform of it passes {}", self.filter)
    }

    /// The index that the verdicts leave.
    fn write(
        &self,
        whole: &Manifest,
        verdicts: &[EntryDecision],
    ) -> Result<FilteredIndex, Failure> {
        let dropped = |verdict: &&EntryDecision| matches!(verdict, EntryDecision::Drop);
        let kept = verdicts.len() - verdicts.iter().filter(dropped).count();
        let replacements: Vec<(usize, Manifest)> = verdicts
            .iter()
            .enumerate()
            .filter_map(|(position, verdict)| match verdict {
                EntryDecision::Replace(filtered) => Some((position, Manifest::clone(filtered))),
                _ => None,
            })
            .collect();
        if kept == verdicts.len() && replacements.is_empty() {
            return Ok(FilteredIndex::All);
        }
        if kept == 0 {
            return Ok(FilteredIndex::Nothing);
        }
        let filtered = whole.replace(&replacements).and_then(|replaced| {
            replaced.retain(|position, _| {
                let verdict = verdicts.get(position);
                verdict.is_some_and(|verdict| !matches!(verdict, EntryDecision::Drop))
            })
        });
        let filtered = Arc::new(filtered.map_err(|error| self.unreadable(whole, &error))?);
        // It exists nowhere but here: whoever asks for it by digest is to find it.
        self.keep_manifest(filtered.digest(), Ok(Arc::clone(&filtered)))?;
        Ok(FilteredIndex::Some(filtered))
    }

    /// The platform that an image's config states; nothing for an artifact or where the config cannot be read as one.
    pub(super) async fn platform(&self, image: &ImageView) -> Result<Platform, Failure> {
        let Some(config) = &image.config else {
            return Ok(Platform::default());
        };
        if !IMAGE_CONFIGS.contains(&config.media_type.as_str()) {
            return Ok(Platform::default());
        }
        let bytes = self.store.read_blob(config, MAX_CONFIG_BYTES).await;
        let bytes = bytes.map_err(|error| Failure::registry(Side::Source, &error))?;
        Ok(Platform::from_config(&bytes).unwrap_or_default())
    }
}

/// Lets attestations go the way of the image that they name; one that names an image which is not there is dropped.
fn follow(entries: &[Descriptor], verdicts: &mut [EntryDecision]) {
    let kept: HashSet<&Digest> = entries
        .iter()
        .zip(verdicts.iter())
        .filter(|(_, verdict)| matches!(verdict, EntryDecision::Keep | EntryDecision::Replace(_)))
        .map(|(entry, _)| &entry.digest)
        .collect();
    for verdict in verdicts {
        if let EntryDecision::Follow(image) = verdict {
            *verdict = if kept.contains(image) {
                EntryDecision::Keep
            } else {
                EntryDecision::Drop
            };
        }
    }
}

/// `linux/arm/v7`, as people write it.
fn written(platform: &Platform) -> String {
    let said = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
    let mut parts = vec![said(&platform.os), said(&platform.architecture)];
    parts.extend(platform.variant.clone());
    parts.join("/")
}
