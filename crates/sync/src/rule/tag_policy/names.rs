//! The stages of a policy that need only the names of tags.

use image_syncer_registry::Tag;

use crate::rule::tag_policy::{TagPolicy, TagVersion, VariantPattern};

/// Stage that drops a tag by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameStage {
    Include,
    Exclude,
    Version,
    Prerelease,
    Variant,
}

impl TagPolicy {
    /// Returns the version of a tag that passes the stages for names, or the stage that drops it.
    pub(super) fn pass_names(&self, tag: &Tag) -> Result<Option<TagVersion>, NameStage> {
        if !self.include.is_empty() && !self.include.iter().any(|it| it.matches(tag)) {
            return Err(NameStage::Include);
        }
        if self.exclude.iter().any(|it| it.matches(tag)) {
            return Err(NameStage::Exclude);
        }
        if !self.uses_versions() {
            return Ok(TagVersion::parse(tag.as_str()));
        }
        let version = TagVersion::parse(tag.as_str()).ok_or(NameStage::Version)?;
        if !self.semver.as_ref().is_none_or(|it| it.contains(&version)) {
            return Err(NameStage::Version);
        }
        if !self.prerelease && version.prerelease().is_some() {
            return Err(NameStage::Prerelease);
        }
        let variant = version.variant();
        let matches = |pattern: &VariantPattern| pattern.matches(variant);
        let is_selected = match self.variants.as_slice() {
            [] => variant.is_empty(),
            patterns => patterns.iter().any(matches),
        };
        is_selected
            .then_some(Some(version))
            .ok_or(NameStage::Variant)
    }
}
