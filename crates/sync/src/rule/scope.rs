//! Parts of rules, for runs that copy less than all.

use std::sync::Arc;

use image_syncer_registry::Tag;
use serde::{Deserialize, Serialize};

use crate::Repository;
use crate::rule::{CopyOptions, Naming, PatternRule, Rule, RuleError, RuleSet, Selection};

/// Part of a rule set, and how thoroughly it is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleScope {
    /// Source repository; `None` for all.
    pub repository: Option<String>,
    /// Tags; empty for all.
    pub tags: Vec<String>,
    /// True if the rule selected these tags already, so that its policy does not decide again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
    /// Push manifests even if the destination has the same digest.
    pub force: bool,
    /// Look up everything below a root that the destination has already, and copy what is missing.
    pub verify: bool,
}

impl RuleScope {
    /// Returns true for all of a rule set, as its options say.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    fn options(&self, options: &mut Arc<CopyOptions>) {
        if (self.force && !options.force) || (self.verify && !options.verify) {
            let options = Arc::make_mut(options);
            options.force |= self.force;
            options.verify |= self.verify;
        }
    }

    fn repository(&self) -> Result<Option<Repository>, RuleError> {
        let parse = |text: &String| {
            Repository::parse(text).map_err(|why| RuleError(format!("`{text}`: {why}")))
        };
        self.repository.as_ref().map(parse).transpose()
    }

    fn tags(&self) -> Result<Vec<Tag>, RuleError> {
        let parse = |text: &String| {
            Tag::parse(text).map_err(|why| RuleError(format!("the tag `{text}`: {why}")))
        };
        self.tags.iter().map(parse).collect()
    }
}

impl RuleSet {
    /// Returns the rules that copy a part of what these do.
    ///
    /// A policy that depends on other tags decides on the whole repository, whatever tags the scope has.
    ///
    /// # Errors
    /// The scope is invalid, or has nothing that these rules copy.
    pub fn within(&self, scope: &RuleScope) -> Result<Self, RuleError> {
        if scope.is_everything() {
            return Ok(self.clone());
        }
        let (repository, tags) = (scope.repository()?, scope.tags()?);
        let mut set = Self::default().with_part(self.part.clone());
        for rule in &self.rules {
            let is_wanted = repository
                .as_ref()
                .is_none_or(|wanted| *wanted == rule.source.repository);
            let rule = is_wanted.then(|| rule_within(rule, scope, &tags));
            set.rules.extend(rule.flatten().map(Arc::new));
        }
        for pattern in &self.patterns {
            match &repository {
                Some(repository) => {
                    let Some(rule) = pattern.rule_for(repository).transpose()? else {
                        continue;
                    };
                    let rule = rule_within(&rule, scope, &tags);
                    set.rules.extend(rule.map(Arc::new));
                }
                None if tags.is_empty() => {
                    set.patterns.push(Arc::new(pattern_within(pattern, scope)));
                }
                None => {
                    return Err(RuleError(
                        "tags of a rule over several repositories need a repository".to_owned(),
                    ));
                }
            }
        }
        if set.is_empty() {
            return Err(RuleError(format!(
                "the rule copies nothing of {}",
                description(scope)
            )));
        }
        Ok(set)
    }
}

/// Returns the part of `rule` with those of `tags` that it has; `None` if it has none of them.
fn rule_within(rule: &Rule, scope: &RuleScope, tags: &[Tag]) -> Option<Rule> {
    let select = within(&rule.source.select, tags, scope.chosen)?;
    let mut rule = rule.clone();
    if let Selection::Tags(all) = &rule.source.select
        && !tags.is_empty()
    {
        for destination in &mut rule.destinations {
            if let Naming::Tags(names) = &mut destination.naming {
                let pairs = all.iter().zip(names.iter());
                let kept = pairs.filter(|(tag, _)| tags.contains(tag));
                *names = kept.map(|(_, name)| name.clone()).collect();
            }
        }
    }
    rule.source.select = select;
    scope.options(&mut rule.options);
    let own = rule.destinations.iter_mut();
    own.filter_map(|to| to.options.as_mut())
        .for_each(|options| scope.options(options));
    Some(rule)
}

fn pattern_within(pattern: &PatternRule, scope: &RuleScope) -> PatternRule {
    let mut pattern = pattern.clone();
    scope.options(&mut pattern.options);
    let own = pattern.destinations.iter_mut();
    own.filter_map(|to| to.options.as_mut())
        .for_each(|options| scope.options(options));
    pattern
}

/// Returns the selection of those of `tags` that `select` has; `None` if it has none of them. `chosen` tags are those that
/// it has.
fn within(select: &Selection, tags: &[Tag], chosen: bool) -> Option<Selection> {
    if tags.is_empty() {
        return Some(select.clone());
    }
    let named = |is_selected: &dyn Fn(&Tag) -> bool| {
        let named: Vec<Tag> = tags
            .iter()
            .filter(|tag| is_selected(tag))
            .cloned()
            .collect();
        (!named.is_empty()).then_some(Selection::Tags(named))
    };
    match select {
        Selection::All => named(&|_| true),
        // In the order of the rule, where names at destinations may belong to positions.
        Selection::Tags(all) => {
            let own = all.iter().filter(|tag| tags.contains(tag)).cloned();
            let own: Vec<Tag> = own.collect();
            (!own.is_empty()).then_some(Selection::Tags(own))
        }
        Selection::Matching(_) | Selection::Policy(_) if chosen => named(&|_| true),
        Selection::Matching(pattern) => named(&|tag| pattern.matches(tag)),
        Selection::Policy(policy) if policy.is_pattern_only() => {
            named(&|tag| policy.matches_name(tag))
        }
        Selection::Policy(policy) => {
            let mut tags = tags.iter();
            let may_be_selected = tags.any(|tag| policy.matches_name(tag));
            may_be_selected.then(|| select.clone())
        }
        Selection::Digest { tag, .. } => {
            let is_named = tag.as_ref().is_some_and(|tag| tags.contains(tag));
            is_named.then(|| select.clone())
        }
    }
}

fn description(scope: &RuleScope) -> String {
    match (&scope.repository, scope.tags.as_slice()) {
        (Some(repository), []) => repository.clone(),
        (Some(repository), tags) => format!("{repository}:{}", tags.join(",")),
        (None, tags) => format!("the tags {}", tags.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigFiles, Defaults, Input};
    use crate::rule::OptionOverrides;

    const FILE: &str = r#"
version: 1
rules:
  - {name: all, from: a.example/one, to: "b.example/{repository}"}
  - {name: tags, from: "a.example/two:v1,v2", to: "b.example/{repository}"}
  - {name: expression, from: "a.example/three:/^v/", to: "b.example/{repository}"}
  - {name: policy, from: a.example/four, tags: {semver: ">=1", newest: 2}, to: "b.example/{repository}"}
  - {name: renamed, from: "a.example/five:v1,v2,v3", to: "b.example/five:one,two,three"}
  - {name: pattern, from: "a.example/team/**", to: "b.example/{repository}"}
"#;

    fn rules(name: &str) -> RuleSet {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.yaml");
        std::fs::write(&path, FILE).unwrap();
        let files = ConfigFiles {
            config: vec![Input::File(path)],
            ..ConfigFiles::default()
        };
        let none = OptionOverrides::default();
        let config = Config::read(&files, &Defaults::default(), &|_| None, &none).unwrap();
        let mut set = config.rule_set();
        set.rules.retain(|rule| &*rule.name == name);
        set.patterns.retain(|rule| &*rule.name == name);
        set
    }

    fn scope(repository: &str, tags: &[&str]) -> RuleScope {
        RuleScope {
            repository: (!repository.is_empty()).then(|| repository.to_owned()),
            tags: tags.iter().map(ToString::to_string).collect(),
            ..RuleScope::default()
        }
    }

    /// Returns the repository and the tags of the only rule in the scope; `*` for a selection that is kept.
    fn selected(name: &str, repository: &str, tags: &[&str]) -> Result<String, String> {
        let set = rules(name).within(&scope(repository, tags));
        let set = set.map_err(|error| error.to_string())?;
        let rule = set.rules.first().unwrap();
        let tags = match &rule.source.select {
            Selection::Tags(tags) => tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(","),
            _ => "*".to_owned(),
        };
        Ok(format!("{}:{tags}", rule.source.repository))
    }

    #[test]
    fn a_scope_narrows_named_tags_expressions_and_patterns() {
        for (name, repository, tags, expected) in [
            ("all", "a.example/one", &["x"][..], "a.example/one:x"),
            ("all", "a.example/one", &[], "a.example/one:*"),
            ("all", "", &["x", "y"], "a.example/one:x,y"),
            ("tags", "a.example/two", &["v2", "v3"], "a.example/two:v2"),
            ("expression", "", &["v9", "latest"], "a.example/three:v9"),
            (
                "pattern",
                "a.example/team/x/y",
                &["v1"],
                "a.example/team/x/y:v1",
            ),
            ("renamed", "", &["v3", "v2"], "a.example/five:v2,v3"),
            // Whether it is among the newest two depends on the others.
            ("policy", "a.example/four", &["1.2.3"], "a.example/four:*"),
        ] {
            assert_eq!(
                selected(name, repository, tags).as_deref(),
                Ok(expected),
                "{name}"
            );
        }
    }

    #[test]
    fn a_part_of_named_tags_keeps_the_names_that_belong_to_them() {
        let set = rules("renamed").within(&scope("", &["v3", "v2"])).unwrap();
        let names = ["two", "three"].map(|name| Tag::parse(name).unwrap());
        assert_eq!(
            set.rules[0].destinations[0].naming,
            Naming::Tags(names.to_vec())
        );
    }

    #[test]
    fn chosen_tags_are_not_selected_again() {
        let mut chosen = scope("", &["1.2.3", "1.2.4"]);
        chosen.chosen = true;
        let set = rules("policy").within(&chosen).unwrap();
        let tags = ["1.2.3", "1.2.4"].map(|tag| Tag::parse(tag).unwrap());
        let select = &set.rules[0].source.select;
        assert_eq!(*select, Selection::Tags(tags.to_vec()));
    }

    #[test]
    fn what_a_rule_does_not_copy_is_refused() {
        for (name, repository, tags, expected) in [
            (
                "all",
                "a.example/other",
                &[][..],
                "the rule copies nothing of a.example/other",
            ),
            (
                "tags",
                "a.example/two",
                &["v3"],
                "the rule copies nothing of a.example/two:v3",
            ),
            (
                "pattern",
                "a.example/other/x",
                &["v1"],
                "the rule copies nothing of a.example/other/x:v1",
            ),
            (
                "pattern",
                "",
                &["v1"],
                "tags of a rule over several repositories need a repository",
            ),
        ] {
            assert_eq!(
                selected(name, repository, tags),
                Err(expected.to_owned()),
                "{name}"
            );
        }
        assert!(selected("all", "../etc", &[]).is_err());
        assert!(selected("all", "a.example/one", &["no tag"]).is_err());
    }

    #[test]
    fn options_of_the_scope_reach_rules_and_patterns() {
        let scope = RuleScope {
            force: true,
            verify: true,
            ..RuleScope::default()
        };
        for name in ["all", "pattern"] {
            let set = rules(name).within(&scope).unwrap();
            assert!(set.options().all(|options| options.force && options.verify));
            assert!(set.options().count() > 0);
        }
    }
}
