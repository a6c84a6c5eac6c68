//! The platform filter of an image (docs/migrating.md#platforms).
//!
//! The filter applies to every kind of image: lists and indexes, nested indexes, and single images, whose platform is
//! in the config blob. An entry without a platform passes, and so does an artifact without one. Attestations follow the
//! image that they name.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::manifest::{ImageView, IndexView, ManifestView};
use image_syncer_registry::{Descriptor, Digest, Manifest, Platform};

use crate::failure::Failure;
use crate::graph::{MAX_DEPTH, Root, SourceImage};

/// Maximum size of a config that is read for its platform, in bytes.
pub(super) const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Media types of configs that state a platform; those of artifacts do not.
pub(crate) const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// Part of an index that passes the filter.
#[derive(Clone)]
pub(super) enum FilteredIndex {
    All,
    Nothing,
    Some(Arc<Manifest>),
}

/// Decision on an entry of an index.
enum EntryDecision {
    Keep,
    Drop,
    Replace(Arc<Manifest>),
    /// Same decision as for the image with this digest.
    Follow(Digest),
}

impl SourceImage {
    /// Applies the filter to `root`.
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
            // Sequential: only nested indexes cost requests, they are few, and each is decided once.
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
            // Differs from its entry. An image within an index states its platform in the entry or not at all.
            ManifestView::Image(_) | ManifestView::Schema1(_) => FilteredIndex::All,
        };
        self.seen_manifests()
            .narrowed
            .insert(digest.clone(), passed.clone());
        Ok(passed)
    }

    /// Records which entries of an index are copied, while the index itself stays unchanged.
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

    /// Writes the index with the entries that pass.
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
        // It exists only in memory, and must be found there by its digest.
        self.keep_manifest(filtered.digest(), Ok(Arc::clone(&filtered)))?;
        Ok(FilteredIndex::Some(filtered))
    }

    /// Returns the platform in the config of an image, or an empty one for artifacts and unreadable configs.
    pub(super) async fn platform(&self, image: &ImageView) -> Result<Platform, Failure> {
        let Some(config) = &image.config else {
            return Ok(Platform::default());
        };
        if !IMAGE_CONFIGS.contains(&config.media_type.as_str()) {
            return Ok(Platform::default());
        }
        let bytes = self.store.read_blob(config, MAX_CONFIG_BYTES).await;
        let bytes = bytes?;
        Ok(Platform::from_config(&bytes).unwrap_or_default())
    }
}

/// Applies the decision on an image to its attestations. An attestation of a missing image is dropped.
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

/// Formats a platform as `linux/arm/v7`.
fn written(platform: &Platform) -> String {
    let said = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
    let mut parts = vec![said(&platform.os), said(&platform.architecture)];
    parts.extend(platform.variant.clone());
    parts.join("/")
}
