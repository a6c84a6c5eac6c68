//! Division of large repositories into units.
//!
//! Nobody knows how many bytes the tags of a list have, or how many pages follow. So a unit keeps a few tags, and hands
//! over the others in parts that get smaller towards the end of each page (guided self-scheduling): workers claim the
//! largest parts first, and the small ones fill the gaps at the end of the run. The parts of a repository that has
//! shown many tags stay large, as gaps matter less there: a million tags are some thousands of units.

use std::collections::HashSet;
use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::{Digest, Tag};
use image_syncer_sync::rule::Rule;
use image_syncer_sync::session::TagDivider;
use image_syncer_sync::settings::Intent;
use tokio::sync::Mutex;

use crate::share::unit::RulePosition;
use crate::share::unit_rules;
use crate::share::{ClaimedUnit, NewUnit, Share, UnitSpec};

/// Maximum number of tags of a repository that its unit copies itself. Repositories with more are divided.
const KEPT: usize = 32;

/// Minimum and maximum number of tags of a part.
const PART: (usize, usize) = (8, 250);

/// Fraction of the remaining tags of a page that a part has.
const OF_REST: usize = 16;

/// Fraction of the tags of earlier pages that a part has at least.
const OF_SEEN: usize = 128;

/// Maximum number of bytes of a part, and of the tags that a unit keeps, if a former run tells the size of an image.
const PART_BYTES: u64 = 8 << 30;

/// Adds units for the tags of a large repository.
pub(super) struct UnitDivider {
    share: Arc<dyn Share>,
    unit: ClaimedUnit,
    rule: RulePosition,
    /// Maximum number of tags of a part.
    most: usize,
    progress: Mutex<DivisionProgress>,
}

/// Progress of the division of one repository.
#[derive(Default)]
struct DivisionProgress {
    /// Number of tags that the unit kept so far.
    kept: usize,
    /// Number of tags of the pages so far.
    seen: usize,
    /// Tags that earlier attempts at the unit handed over; `None` before they are read.
    earlier: Option<HashSet<String>>,
}

impl Debug for UnitDivider {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.debug_struct("UnitDivider").finish_non_exhaustive()
    }
}

impl UnitDivider {
    /// Returns the divider of `unit`; `None` for a unit that is not divided. Parts are not divided again.
    pub(super) fn for_unit(
        share: &Arc<dyn Share>,
        unit: &ClaimedUnit,
    ) -> Option<Arc<dyn TagDivider>> {
        let (rule, image_bytes) = match &unit.spec {
            UnitSpec::Rules { rules, image_bytes } => match rules.as_slice() {
                [rule] => (RulePosition::Rule(*rule), image_bytes),
                _ => return None,
            },
            UnitSpec::Repository {
                pattern,
                image_bytes,
                ..
            } => (RulePosition::Pattern(*pattern), image_bytes),
            UnitSpec::All | UnitSpec::Start | UnitSpec::List | UnitSpec::Part { .. } => {
                return None;
            }
        };
        let most = image_bytes.map_or(u64::MAX, |bytes| PART_BYTES / bytes.max(1));
        let divider = Self {
            share: Arc::clone(share),
            unit: unit.clone(),
            rule,
            most: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            progress: Mutex::default(),
        };
        (unit.work.intent != Intent::List).then(|| Arc::new(divider) as Arc<dyn TagDivider>)
    }

    /// Returns the units for these tags, after `seen` tags of earlier pages.
    fn parts(&self, rule: &Rule, tags: &[Tag], seen: usize) -> Vec<NewUnit> {
        let repository = rule.source.repository.to_string();
        let key = unit_rules::key(&self.unit.spec);
        let mut parts = Vec::new();
        let mut rest = tags;
        while !rest.is_empty() {
            let (part, others) = rest.split_at(part_size(rest.len(), seen, self.most));
            rest = others;
            let tags: Vec<String> = part.iter().map(ToString::to_string).collect();
            let digest = Digest::sha256(tags.join(" ").as_bytes());
            parts.push(NewUnit {
                key: unit_rules::part_key(&key, digest.encoded()),
                weight: i64::try_from(tags.len()).unwrap_or(i64::MAX),
                spec: UnitSpec::Part {
                    rule: self.rule,
                    repository: repository.clone(),
                    tags,
                },
            });
        }
        parts
    }

    /// Hands over all of `tags` except those that the unit keeps. Returns those that other units have, `None` if the
    /// server is away.
    async fn hand_over(&self, rule: &Rule, tags: &[Tag]) -> Option<HashSet<Tag>> {
        let mut progress = self.progress.lock().await;
        if progress.earlier.is_none() {
            // The list may have changed since, and a tag must not be in two units.
            progress.earlier = Some(match self.unit.attempt {
                ..=1 => HashSet::new(),
                _ => self.share.parts(&self.unit).await.ok()?,
            });
        }
        let is_other = |tag: &&Tag| {
            let mut earlier = progress.earlier.iter();
            earlier.any(|earlier| earlier.contains(tag.as_str()))
        };
        let (mut others, mut own): (Vec<_>, Vec<_>) = tags.iter().partition::<Vec<_>, _>(is_other);
        let kept = kept_count(own.len(), progress.kept, self.most);
        let offered: Vec<Tag> = own.split_off(kept).into_iter().cloned().collect();
        let seen = progress.seen;
        progress.seen += tags.len();
        if !offered.is_empty() {
            // If the lease has ended, another worker carries out this unit, and divides it.
            let parts = self.parts(rule, &offered, seen);
            let added = self.share.add(&self.unit, parts).await;
            if let Err(error) = added {
                tracing::debug!(%error, "tags are not handed over");
                return Some(others.into_iter().cloned().collect());
            }
        }
        progress.kept += kept;
        others.extend(&offered);
        Some(others.into_iter().cloned().collect())
    }
}

impl TagDivider for UnitDivider {
    fn divide<'a>(&'a self, rule: &'a Rule, tags: &'a [Tag]) -> BoxFuture<'a, HashSet<Tag>> {
        let handed_over = self.hand_over(rule, tags);
        handed_over.map(Option::unwrap_or_default).boxed()
    }
}

/// Returns how many of `count` tags a unit keeps that kept `before`. It keeps a few more instead of a small part.
fn kept_count(count: usize, before: usize, most: usize) -> usize {
    let left = KEPT.min(most).saturating_sub(before);
    if before == 0 && count < left + PART.0.min(most) {
        return count;
    }
    count.min(left)
}

/// Returns the number of tags of the next part of a page of which `rest` are left, after `seen` tags of earlier pages.
fn part_size(rest: usize, seen: usize, most: usize) -> usize {
    let least = PART.0.min(most);
    let guided = (rest / OF_REST).max(seen / OF_SEEN);
    let size = guided.clamp(PART.0, PART.1).min(most);
    if rest < size + least {
        rest.min(most)
    } else {
        size
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use futures_util::FutureExt as _;
    use image_syncer_sync::report::Report;
    use image_syncer_sync::rule::RuleSet;

    use super::*;
    use crate::lock::lock;
    use crate::share::{LocalShare, ShareError, UnitCost, UnitEnd};

    /// Records the units that are added.
    #[derive(Default)]
    struct Added {
        units: std::sync::Mutex<Vec<NewUnit>>,
        fails: bool,
    }

    impl Share for Added {
        fn claim(&self, _: usize) -> BoxFuture<'_, Result<Option<Vec<ClaimedUnit>>, ShareError>> {
            std::future::ready(Ok(None)).boxed()
        }
        fn add<'a>(
            &'a self,
            _: &'a ClaimedUnit,
            units: Vec<NewUnit>,
        ) -> BoxFuture<'a, Result<bool, ShareError>> {
            let answer = if self.fails {
                Err(ShareError::new("the server is away"))
            } else {
                lock(&self.units).extend(units);
                Ok(true)
            };
            std::future::ready(answer).boxed()
        }
        fn parts<'a>(
            &'a self,
            _: &'a ClaimedUnit,
        ) -> BoxFuture<'a, Result<HashSet<String>, ShareError>> {
            let units = lock(&self.units);
            let parts = units.iter().flat_map(|unit| match &unit.spec {
                UnitSpec::Part { tags, .. } => tags.clone(),
                _ => Vec::new(),
            });
            std::future::ready(Ok(parts.collect())).boxed()
        }
        fn costs<'a>(
            &'a self,
            _: &'a ClaimedUnit,
            _: Vec<String>,
        ) -> BoxFuture<'a, HashMap<String, UnitCost>> {
            std::future::ready(HashMap::new()).boxed()
        }
        fn end<'a>(
            &'a self,
            _: &'a ClaimedUnit,
            _: UnitEnd,
        ) -> BoxFuture<'a, Result<bool, ShareError>> {
            std::future::ready(Ok(true)).boxed()
        }
    }

    fn unit(spec: UnitSpec) -> ClaimedUnit {
        let share = LocalShare::new(Intent::Copy, Arc::new(Report::new()));
        let units = share.claim(1).now_or_never().unwrap().unwrap().unwrap();
        ClaimedUnit {
            spec,
            ..units[0].clone()
        }
    }

    fn rule() -> Arc<Rule> {
        let none = |_: &_| unreachable!();
        Arc::new(Rule::parse("s.example/app", &["d.example/app"], &none).unwrap())
    }

    fn tags(count: usize) -> Vec<Tag> {
        let tag = |number| Tag::parse(&format!("v{number}")).unwrap();
        (0..count).map(tag).collect()
    }

    /// Divides pages of tags by an attempt at a unit. Returns the numbers of tags that it keeps.
    fn divide_by(share: &Arc<Added>, unit: &ClaimedUnit, pages: &[&[Tag]]) -> Vec<usize> {
        let share: Arc<dyn Share> = share.clone();
        let divider = UnitDivider::for_unit(&share, unit).unwrap();
        let rule = rule();
        let page = |tags: &&[Tag]| {
            let others = divider.divide(&rule, tags).now_or_never().unwrap();
            tags.len() - others.len()
        };
        pages.iter().map(page).collect()
    }

    fn divide(share: &Arc<Added>, pages: &[&[Tag]]) -> Vec<usize> {
        divide_by(share, &whole(None), pages)
    }

    fn whole(image_bytes: Option<u64>) -> ClaimedUnit {
        let rules = vec![0];
        unit(UnitSpec::Rules { rules, image_bytes })
    }

    fn sizes(share: &Added) -> Vec<i64> {
        lock(&share.units).iter().map(|unit| unit.weight).collect()
    }

    /// Returns the tags that the added units select.
    fn selected(share: &Added) -> Vec<Tag> {
        let run = RuleSet::from(vec![rule()]);
        let mut selected = Vec::new();
        for unit in lock(&share.units).iter() {
            let part = unit_rules::of_unit(&run, &unit.spec).unwrap();
            let select = &part.rules[0].source.select;
            if let image_syncer_sync::rule::Selection::Tags(tags) = select {
                selected.extend(tags.iter().cloned());
            }
        }
        selected
    }

    #[test]
    fn what_exceeds_a_number_of_tags_becomes_units_that_get_smaller() {
        let (share, tags) = (Arc::new(Added::default()), tags(300));
        let pages: Vec<&[Tag]> = tags.chunks(200).collect();
        assert_eq!(divide(&share, &pages), [32, 0]);
        let first = [&[10, 9, 9][..], &[8; 16], &[12]].concat();
        let second = [&[8; 11][..], &[12]].concat();
        assert_eq!(sizes(&share), [first, second].concat());
        // Together they have the other tags, in their order, and each selects exactly its own.
        assert_eq!(selected(&share), tags[32..]);
    }

    #[test]
    fn a_few_more_tags_are_kept_instead_of_a_small_part() {
        let (share, tags) = (Arc::new(Added::default()), tags(40));
        assert_eq!(divide(&share, &[&tags[..39]]), [39]);
        assert_eq!(sizes(&share), [0; 0]);
        assert_eq!(divide(&share, &[&tags]), [32]);
        assert_eq!(sizes(&share), [8]);
    }

    #[test]
    fn a_million_tags_are_some_thousands_of_units() {
        for (page, units) in [(1_000, 4_680), (100, 10_500)] {
            let tags = tags(page);
            let share = Arc::new(Added::default());
            divide(&share, &vec![&tags[..]; 1_000_000 / page]);
            let sizes = sizes(&share);
            assert_eq!(sizes.iter().sum::<i64>(), 1_000_000 - 32);
            assert!(sizes.len() < units, "{}", sizes.len());
        }
    }

    #[test]
    fn parts_of_large_images_have_fewer_tags() {
        for (image_bytes, kept, parts) in [
            (1 << 30, 8, vec![8; 4]),
            (20 << 30, 1, vec![1; 39]),
            (1 << 20, 32, vec![8]),
        ] {
            let (share, tags) = (Arc::new(Added::default()), tags(40));
            let unit = whole(Some(image_bytes));
            assert_eq!(divide_by(&share, &unit, &[&tags]), [kept]);
            assert_eq!(sizes(&share), parts);
        }
    }

    #[test]
    fn a_further_attempt_keeps_and_adds_what_no_unit_has() {
        let (share, tags) = (Arc::new(Added::default()), tags(60));
        assert_eq!(divide(&share, &[&tags[10..]]), [32]);
        // Ten tags appeared meanwhile.
        let again = ClaimedUnit {
            attempt: 2,
            ..whole(None)
        };
        assert_eq!(divide_by(&share, &again, &[&tags]), [32]);
        let mut others = selected(&share);
        assert_eq!(others.len(), 28);
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 28);
    }

    #[test]
    fn tags_that_cannot_be_handed_over_are_kept() {
        let share = Arc::new(Added {
            fails: true,
            ..Added::default()
        });
        assert_eq!(divide(&share, &[&tags(700)]), [700]);
    }

    #[test]
    fn parts_and_groups_of_rules_are_not_divided() {
        let share: Arc<dyn Share> = Arc::new(Added::default());
        let part = UnitSpec::Part {
            rule: RulePosition::Rule(0),
            repository: "s.example/app".to_owned(),
            tags: vec!["v1".to_owned()],
        };
        let group = UnitSpec::Rules {
            rules: vec![0, 1],
            image_bytes: None,
        };
        for spec in [UnitSpec::All, UnitSpec::List, part, group] {
            assert!(UnitDivider::for_unit(&share, &unit(spec)).is_none());
        }
    }
}
