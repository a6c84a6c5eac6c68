//! Division of large repositories into units.

use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::{Digest, Tag};
use image_syncer_sync::rule::Rule;
use image_syncer_sync::session::TagDivider;
use image_syncer_sync::settings::Intent;

use crate::lock::lock;
use crate::share::unit::RulePosition;
use crate::share::{ClaimedUnit, NewUnit, Share, UnitSpec};

/// Number of tags of a repository that its unit copies itself. Repositories with more are divided.
const KEPT: usize = 500;

/// Maximum number of tags of another unit.
const PART: usize = 250;

/// Adds units for the tags of a large repository.
pub(super) struct UnitDivider {
    share: Arc<dyn Share>,
    unit: ClaimedUnit,
    rule: RulePosition,
    /// Number of tags that the unit kept so far.
    kept: Mutex<usize>,
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
        let rule = match &unit.spec {
            UnitSpec::Rules { rules } => match rules.as_slice() {
                [rule] => RulePosition::Rule(*rule),
                _ => return None,
            },
            UnitSpec::Repository { pattern, .. } => RulePosition::Pattern(*pattern),
            UnitSpec::All | UnitSpec::Start | UnitSpec::List | UnitSpec::Part { .. } => {
                return None;
            }
        };
        let divider = Self {
            share: Arc::clone(share),
            unit: unit.clone(),
            rule,
            kept: Mutex::default(),
        };
        (unit.work.intent != Intent::List).then(|| Arc::new(divider) as Arc<dyn TagDivider>)
    }

    /// Returns the units for these tags. Their keys say which tags they have, so that a second attempt of this unit adds
    /// the same ones.
    fn parts(&self, rule: &Rule, tags: &[Tag]) -> Vec<NewUnit> {
        let repository = rule.source.repository.to_string();
        let parts = tags.chunks(PART).map(|tags| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            let digest = Digest::sha256(tags.join(" ").as_bytes());
            let rule = match self.rule {
                RulePosition::Rule(position) => format!("rule {position}"),
                RulePosition::Pattern(position) => format!("pattern {position}"),
            };
            NewUnit {
                key: format!("part:{rule}:{repository}:{}", digest.encoded()),
                // Ahead of repositories of unknown size.
                weight: i64::try_from(tags.len()).unwrap_or(i64::MAX),
                spec: UnitSpec::Part {
                    rule: self.rule,
                    repository: repository.clone(),
                    tags,
                },
            }
        });
        parts.collect()
    }
}

impl TagDivider for UnitDivider {
    fn divide<'a>(&'a self, rule: &'a Rule, tags: &'a [Tag]) -> BoxFuture<'a, usize> {
        async move {
            let kept = {
                let mut before = lock(&self.kept);
                let kept = tags.len().min(KEPT.saturating_sub(*before));
                *before += kept;
                kept
            };
            let others = tags.get(kept..).unwrap_or_default();
            if others.is_empty() {
                return tags.len();
            }
            // If the lease has ended, another worker carries out this unit, and divides it.
            match self.share.add(&self.unit, self.parts(rule, others)).await {
                Ok(_) => kept,
                Err(error) => {
                    tracing::debug!(%error, "tags are not handed over");
                    tags.len()
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt as _;
    use image_syncer_sync::report::Report;
    use image_syncer_sync::rule::RuleSet;

    use super::*;
    use crate::share::{LocalShare, ShareError, UnitEnd, unit_rules};

    /// Records the units that are added.
    #[derive(Default)]
    struct Added {
        units: Mutex<Vec<NewUnit>>,
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

    fn divide(share: &Arc<Added>, pages: &[&[Tag]]) -> Vec<usize> {
        let unit = unit(UnitSpec::Rules { rules: vec![0] });
        let share: Arc<dyn Share> = share.clone();
        let divider = UnitDivider::for_unit(&share, &unit).unwrap();
        let rule = rule();
        let page = |tags: &&[Tag]| divider.divide(&rule, tags).now_or_never().unwrap();
        pages.iter().map(page).collect()
    }

    #[test]
    fn what_exceeds_a_number_of_tags_becomes_units_of_its_own() {
        let (share, tags) = (Arc::new(Added::default()), tags(1_100));
        let pages: Vec<&[Tag]> = tags.chunks(400).collect();
        assert_eq!(divide(&share, &pages), [400, 100, 0]);
        let units = std::mem::take(&mut *lock(&share.units));
        let weights: Vec<i64> = units.iter().map(|unit| unit.weight).collect();
        assert_eq!(weights, [250, 50, 250, 50]);
        // Together they have the other tags, in their order, and each selects exactly its own.
        let run = RuleSet::from(vec![rule()]);
        let mut selected = Vec::new();
        for unit in &units {
            let part = unit_rules::of_unit(&run, &unit.spec).unwrap();
            let select = &part.rules[0].source.select;
            if let image_syncer_sync::rule::Selection::Tags(tags) = select {
                selected.extend(tags.iter().cloned());
            }
        }
        assert_eq!(selected, tags[500..]);
        // Another attempt adds the same units.
        divide(&share, &pages);
        let keys = |units: &[NewUnit]| units.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&lock(&share.units)), keys(&units));
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
        let group = UnitSpec::Rules { rules: vec![0, 1] };
        for spec in [UnitSpec::All, UnitSpec::List, part, group] {
            assert!(UnitDivider::for_unit(&share, &unit(spec)).is_none());
        }
    }
}
