//! Ids of the rules of a run, of which no two are the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::id::RuleId;
use crate::rule::Rule;

/// Returns `rules` with an id for each that no other of them has.
///
/// A rule keeps its id unless an earlier one has it, as rules without a place and with the same source do. The id is
/// then a hash of the name, the place, and the number of earlier rules with both.
pub fn with_distinct_ids(mut rules: Vec<Arc<Rule>>) -> Vec<Arc<Rule>> {
    let mut taken = HashSet::with_capacity(rules.len());
    let mut ordinals: HashMap<RuleId, u64> = HashMap::new();
    for rule in &mut rules {
        if taken.insert(rule.id) {
            continue;
        }
        let ordinal = ordinals.entry(rule.id).or_default();
        let id = loop {
            *ordinal += 1;
            let id = RuleId::numbered(&rule.name, rule.place(), *ordinal);
            if taken.insert(id) {
                break id;
            }
        };
        Arc::make_mut(rule).id = id;
    }
    rules
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::scenario::rule;

    #[test]
    fn rules_of_one_list_share_no_id() {
        let same = || rule("q.io/x", &["d.io/y"]);
        let other = rule("q.io/z", &["d.io/y"]);
        let rules = with_distinct_ids(vec![same(), Arc::clone(&other), same(), same()]);
        let ids: Vec<RuleId> = rules.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4);
        // The first keeps its id, and so does a rule with a name of its own.
        assert_eq!(ids[..2], [same().id, other.id]);
        assert_eq!(ids[3], RuleId::numbered("q.io/x", None, 2));
        // Ids that were given are kept, also those of a part of the list.
        let again = with_distinct_ids(rules.clone());
        assert!(again.iter().zip(&rules).all(|(a, b)| Arc::ptr_eq(a, b)));
        let part = with_distinct_ids(rules[2..].to_vec());
        assert_eq!(part[0].id, ids[2]);
    }
}
