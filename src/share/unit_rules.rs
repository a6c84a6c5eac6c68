//! Rules that carry out runs and units.

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_sync::Repository;
use image_syncer_sync::rule::{IfEmpty, PatternRule, Rule, RuleScope, RuleSet};

use crate::share::unit::RulePosition;
use crate::share::{NewUnit, RunWork, UnitCost, UnitSpec};

/// Weight of a repository without any cost. Parts of large ones weigh less, since they are as many as their tags: so all
/// repositories are listed before, and the last units of a run are small.
const REPOSITORY: i64 = 1 << 40;

/// Cost of a repository that no former run copied, in milliseconds.
const UNKNOWN: i64 = 10_000;

/// Character in the key of a part after that of its repository, and the next one. No other key has it.
pub(super) const PART_KEYS: [char; 2] = ['#', '$'];

/// Returns the part of the rules of the files that a run carries out.
///
/// # Errors
/// The files have no such rule, or the rule has no such part.
pub(crate) fn of_run(files: &RuleSet, work: &RunWork) -> Result<RuleSet, String> {
    let mut rules = files.clone();
    if let Some(name) = &work.rule {
        rules.rules.retain(|rule| *rule.name == **name);
        rules.patterns.retain(|rule| *rule.name == **name);
    }
    let within = rules.within(&work.scope);
    within.map_err(|error| error.to_string())
}

/// Returns the units that a run of these rules begins with: one for each group of rules that share repositories, and one
/// for the lists of all patterns.
pub(super) fn first_units(run: &RuleSet) -> Vec<NewUnit> {
    let mut units: Vec<NewUnit> = Vec::new();
    if !run.patterns.is_empty() {
        // First, since it adds most of the others.
        units.push(new_unit(UnitSpec::List, i64::MAX));
    }
    units.extend(run.groups().into_iter().map(|rules| {
        let spec = UnitSpec::Rules {
            rules,
            image_bytes: None,
        };
        new_unit(spec, REPOSITORY + UNKNOWN)
    }));
    units
}

fn new_unit(spec: UnitSpec, weight: i64) -> NewUnit {
    NewUnit {
        key: key(&spec),
        weight,
        spec,
    }
}

/// Returns the key of a unit that is not a part.
pub(super) fn key(spec: &UnitSpec) -> String {
    match spec {
        UnitSpec::All => "all".to_owned(),
        UnitSpec::Start => "start".to_owned(),
        UnitSpec::List => "list".to_owned(),
        UnitSpec::Rules { rules, .. } => {
            let positions: Vec<String> = rules.iter().map(usize::to_string).collect();
            format!("rules:{}", positions.join(","))
        }
        UnitSpec::Repository {
            pattern,
            repository,
            ..
        } => format!("repository:{pattern}:{repository}"),
        UnitSpec::Part { repository, .. } => repository.clone(),
    }
}

/// Returns the key of a part of the unit `whole`. `name` is its own name.
pub(super) fn part_key(whole: &str, name: &str) -> String {
    let [mark, _] = PART_KEYS;
    format!("{whole}{mark}{name}")
}

/// Sets what a former run tells about units, by their keys: those that took long are heavy.
pub(super) fn weigh(units: &mut [NewUnit], costs: &HashMap<String, UnitCost>) {
    for unit in units {
        let Some(cost) = costs.get(&unit.key) else {
            continue;
        };
        if let UnitSpec::Rules { image_bytes, .. } | UnitSpec::Repository { image_bytes, .. } =
            &mut unit.spec
        {
            *image_bytes = cost
                .bytes
                .checked_div(cost.images)
                .filter(|bytes| *bytes > 0);
            let milliseconds = i64::try_from(cost.milliseconds).unwrap_or(i64::MAX);
            unit.weight = REPOSITORY.saturating_add(milliseconds);
        }
    }
}

/// Returns the unit for a repository that a pattern selects.
pub(super) fn repository_unit(pattern: usize, repository: &Repository) -> NewUnit {
    let spec = UnitSpec::Repository {
        pattern,
        repository: repository.to_string(),
        image_bytes: None,
    };
    new_unit(spec, REPOSITORY + UNKNOWN)
}

/// Returns the rules that carry out a unit of a run with the rules `run`.
///
/// # Errors
/// The run has no such rule.
pub(super) fn of_unit(run: &RuleSet, spec: &UnitSpec) -> Result<RuleSet, String> {
    match spec {
        UnitSpec::All | UnitSpec::Start | UnitSpec::List => Ok(run.clone()),
        UnitSpec::Rules { rules, .. } => {
            let rules = rules.iter().map(|position| rule_at(run, *position));
            Ok(RuleSet::from(rules.collect::<Result<Vec<_>, _>>()?))
        }
        UnitSpec::Repository {
            pattern,
            repository,
            ..
        } => Ok(vec![expanded(run, *pattern, repository)?].into()),
        UnitSpec::Part {
            rule,
            repository,
            tags,
        } => {
            let rule = match rule {
                RulePosition::Rule(position) => rule_at(run, *position)?,
                RulePosition::Pattern(position) => expanded(run, *position, repository)?,
            };
            let part = RuleScope {
                tags: tags.clone(),
                chosen: true,
                ..RuleScope::default()
            };
            let part = RuleSet::from(vec![rule]).within(&part);
            part.map_err(|error| error.to_string())
        }
    }
}

fn rule_at(run: &RuleSet, position: usize) -> Result<Arc<Rule>, String> {
    let rule = run.rules.get(position);
    rule.cloned().ok_or_else(|| missing(position))
}

/// Returns the rule for a repository of the pattern at `position`.
fn expanded(run: &RuleSet, position: usize, repository: &str) -> Result<Arc<Rule>, String> {
    let pattern: &PatternRule = run
        .patterns
        .get(position)
        .ok_or_else(|| missing(position))?;
    let repository = Repository::parse(repository).map_err(|error| error.to_string())?;
    let rule = pattern
        .rule_for(&repository)
        .ok_or_else(|| format!("the rule {} does not select {repository}", pattern.name))?;
    let mut rule = rule.map_err(|error| error.to_string())?;
    // An empty repository is no fault of a pattern that has others.
    rule.if_empty = IfEmpty::Warn;
    Ok(Arc::new(rule))
}

fn missing(position: usize) -> String {
    format!("the files have no rule {}", position + 1)
}
