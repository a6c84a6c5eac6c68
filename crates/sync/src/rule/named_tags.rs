//! Destination tags that rules name, and conflicts of two images for one of them.
//!
//! A repository and a name identify a destination tag. Images are known without a registry only if a rule names them:
//! a rule that lists its source, or selects tags by an expression, adds none here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use image_syncer_registry::{Digest, Tag, Target};

use crate::Repository;
use crate::rule::{Naming, RuleDestination, RuleSource, Selection};

/// Destination tags that rules name, each with its first image and the position `P` of its rule.
#[derive(Debug)]
pub struct NamedTags<P> {
    by_tag: HashMap<(Repository, Tag), (Image, P)>,
}

/// Two images for one destination tag. Displays as `registry/repository:tag gets two images, …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagConflict<P> {
    /// Full reference of the destination tag.
    pub destination: String,
    /// Full reference of the image that has the tag, from the rule that comes first.
    pub first: String,
    /// Position of that rule.
    pub place: P,
    /// Full reference of the image that gets the tag as well.
    pub second: String,
}

/// An image, identified by a digest alone, or by a tag and its repository.
#[derive(Debug)]
struct Image {
    source: Repository,
    target: Target,
}

impl RuleSource {
    /// Returns the images that the source names, each with its tag at `destination`, in the order of the rule.
    ///
    /// Empty for a source that is listed, and for images that stay untagged.
    pub fn named_tags(&self, destination: &RuleDestination) -> Vec<(Target, Tag)> {
        let images: Vec<(Target, Option<&Tag>)> = match &self.select {
            Selection::Tags(tags) => tags
                .iter()
                .map(|tag| (Target::Tag(tag.clone()), Some(tag)))
                .collect(),
            Selection::Digest { digest, tag } => {
                vec![(Target::Digest(digest.clone()), tag.as_ref())]
            }
            Selection::All | Selection::Matching(_) | Selection::Policy(_) => Vec::new(),
        };
        let tagged = images.into_iter().enumerate();
        let tagged = tagged.filter_map(|(position, (target, own))| {
            let tag = match &destination.naming {
                Naming::Keep => own,
                Naming::Tags(tags) => tags.get(position),
                Naming::Template(_) | Naming::Untagged => None,
            };
            Some((target, tag?.clone()))
        });
        tagged.collect()
    }
}

impl<P> Default for NamedTags<P> {
    fn default() -> Self {
        Self {
            by_tag: HashMap::new(),
        }
    }
}

impl<P: Clone> NamedTags<P> {
    /// Adds the tags that `source` names at `destination`. Returns the first one that another image has already.
    pub fn insert(
        &mut self,
        source: &RuleSource,
        destination: &RuleDestination,
        place: &P,
    ) -> Option<TagConflict<P>> {
        let mut conflict = None;
        for (target, tag) in source.named_tags(destination) {
            let image = Image {
                source: source.repository.clone(),
                target,
            };
            match self.by_tag.entry((destination.repository.clone(), tag)) {
                Entry::Vacant(free) => drop(free.insert((image, place.clone()))),
                Entry::Occupied(taken) => {
                    let (first, earlier) = taken.get();
                    if conflict.is_none() && !first.is_same(&image) {
                        let (repository, tag) = taken.key();
                        conflict = Some(TagConflict {
                            destination: format!("{repository}:{tag}"),
                            first: first.to_string(),
                            place: earlier.clone(),
                            second: image.to_string(),
                        });
                    }
                }
            }
        }
        conflict
    }
}

impl Image {
    fn is_same(&self, other: &Self) -> bool {
        self.target == other.target && (self.source == other.source || self.digest().is_some())
    }

    fn digest(&self) -> Option<&Digest> {
        match &self.target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => None,
        }
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let separator = if self.digest().is_some() { '@' } else { ':' };
        write!(f, "{}{separator}{}", self.source, self.target)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const D: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    const E: &str = "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

    /// Adds `source destination` pairs in turn; returns the conflicts as `destination: first (place), second`.
    fn conflicts(rules: &[(&str, &str)]) -> Vec<String> {
        let mut tags = NamedTags::default();
        let mut told = Vec::new();
        for (place, (source, destination)) in rules.iter().enumerate() {
            let source = RuleSource::parse(source).unwrap();
            let destination = RuleDestination::parse(destination, &source).unwrap();
            if let Some(conflict) = tags.insert(&source, &destination, &place) {
                let TagConflict {
                    destination,
                    first,
                    place,
                    second,
                } = conflict;
                told.push(format!("{destination}: {first} ({place}), {second}"));
            }
        }
        told
    }

    #[test]
    fn two_images_for_one_tag_are_a_conflict() {
        for (rules, expected) in [
            (
                [("q.io/a/app:v1", "d.io/y"), ("q.io/b/app:v1", "d.io/y")],
                "d.io/y:v1: q.io/a/app:v1 (0), q.io/b/app:v1",
            ),
            (
                [("q.io/a:v1,v2", "d.io/y:x,z"), ("q.io/a:v3", "d.io/y:z")],
                "d.io/y:z: q.io/a:v2 (0), q.io/a:v3",
            ),
            (
                [("q.io/a:v1,v2", "d.io/y"), ("q.io/a:v1,v2", "d.io/y:v2,v1")],
                "d.io/y:v2: q.io/a:v2 (0), q.io/a:v1",
            ),
            (
                [
                    (&*format!("q.io/a@{D}"), "d.io/y:t"),
                    (&*format!("q.io/a@{E}"), "d.io/y:t"),
                ],
                &format!("d.io/y:t: q.io/a@{D} (0), q.io/a@{E}"),
            ),
            (
                [
                    ("q.io/a:v1", "d.io/y"),
                    (&format!("q.io/a:v1@{D}"), "d.io/y"),
                ],
                &format!("d.io/y:v1: q.io/a:v1 (0), q.io/a@{D}"),
            ),
        ] {
            assert_eq!(conflicts(&rules), [expected]);
        }
    }

    #[test]
    fn what_cannot_be_known_or_is_the_same_image_is_none() {
        for rules in [
            [("q.io/a:v1", "d.io/y"), ("q.io/a:v1", "d.io/y")],
            [
                ("nginx:v1", "d.io/y"),
                ("docker.io/library/nginx:v1", "d.io/y:v1"),
            ],
            [("q.io/a:v1", "d.io/y"), ("q.io/b:v1", "d.io/z")],
            [("q.io/a:v1", "d.io/y"), ("q.io/b:v2", "d.io/y")],
            [("q.io/a", "d.io/y"), ("q.io/b", "d.io/y")],
            [("q.io/a:/v/", "d.io/y"), ("q.io/b:v1", "d.io/y")],
            [
                (&*format!("q.io/a@{D}"), "d.io/y:t"),
                (&*format!("r.io/b@{D}"), "d.io/y:t"),
            ],
            [
                (&format!("q.io/a@{D}"), "d.io/y"),
                (&format!("q.io/a@{E}"), "d.io/y"),
            ],
        ] {
            assert_eq!(conflicts(&rules), [""; 0], "{rules:?}");
        }
    }
}
