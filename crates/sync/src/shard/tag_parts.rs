//! Parts of the tags of a repository.

use std::sync::Arc;

use image_syncer_registry::{Tag, Target};

use crate::rule::is_referrer_tag;
use crate::shard::hash;

/// Some of the equal parts that the tags of a repository are divided into by the hash of their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagParts {
    /// Numbers of the parts, sorted; never empty.
    parts: Arc<[u32]>,
    /// Number of all parts.
    count: u32,
}

impl TagParts {
    /// Returns these `parts`, numbered from 0, of `count`; `None` if they are empty or a number is too large.
    pub fn new(parts: impl IntoIterator<Item = u32>, count: u32) -> Option<Self> {
        let mut parts: Vec<u32> = parts.into_iter().collect();
        parts.sort_unstable();
        parts.dedup();
        let last = parts.last()?;
        (*last < count).then(|| Self {
            parts: parts.into(),
            count,
        })
    }

    /// Returns true for all parts.
    pub fn is_everything(&self) -> bool {
        u32::try_from(self.parts.len()) == Ok(self.count)
    }

    /// Returns true if the tag is in one of these parts. A tag that names referrers is in the part of its subject.
    pub fn contains(&self, tag: &Tag) -> bool {
        let text = tag.as_str();
        let name = match text.split_once('.') {
            Some((subject, _)) if is_referrer_tag(tag) => subject,
            _ => text,
        };
        self.contains_name(name)
    }

    /// Returns true if the image is in one of these parts: by its `tag`, or by what is fetched if it has none.
    pub(crate) fn contains_image(&self, target: &Target, tag: Option<&Tag>) -> bool {
        match (tag, target) {
            (Some(tag), _) | (None, Target::Tag(tag)) => self.contains(tag),
            (None, Target::Digest(digest)) => self.contains_name(digest.as_str()),
        }
    }

    fn contains_name(&self, name: &str) -> bool {
        let part = hash::part(hash::key(name), self.count);
        self.parts.binary_search(&part).is_ok()
    }

    /// Returns the share of all parts, from 0 to 1.
    #[cfg(test)]
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn fraction(&self) -> f64 {
        self.parts.len() as f64 / f64::from(self.count)
    }

    /// Returns true if the first part is among these.
    pub(crate) fn has_first(&self) -> bool {
        self.parts.first() == Some(&0)
    }
}
