//! Rules over many repositories, which become rules for one when the repositories are listed.

use std::sync::Arc;

use crate::Repository;
use crate::id::RuleId;
use crate::rule::{
    CopyOptions, DestinationTemplate, IfEmpty, Location, RepositoryFilter, RepositoryPattern, Rule,
    RuleDestination, RuleError, RuleSource, Selection,
};

/// A rule whose sources are patterns.
#[derive(Clone, Debug)]
pub struct PatternRule {
    /// Identity of the rule, and of every rule that it becomes, in events.
    pub id: RuleId,
    /// Name of the rule.
    pub name: Arc<str>,
    /// Position in the user's file.
    pub location: Option<Location>,
    /// Patterns of its sources; never empty.
    pub from: Vec<RepositoryPattern>,
    /// Repositories that are left out.
    pub except: Vec<RepositoryFilter>,
    /// Images to copy, for patterns without tags of their own.
    pub select: Selection,
    /// Destinations; never empty.
    pub destinations: Vec<DestinationTemplate>,
    /// Options of the copies, for destinations without their own.
    pub options: Arc<CopyOptions>,
    /// Policy if no repository matches, or a repository has no image.
    pub if_empty: IfEmpty,
}

impl PatternRule {
    /// Returns true if the rule copies `repository`.
    pub fn selects(&self, repository: &Repository) -> bool {
        self.pattern_of(repository).is_some()
    }

    /// Returns the rule for `repository`; `None` if it is not among the sources.
    ///
    /// # Errors
    /// If a destination is illegal, exceeds a limit of its registry, or is a source of the rule.
    pub fn rule_for(&self, repository: &Repository) -> Option<Result<Rule, RuleError>> {
        let pattern = self.pattern_of(repository)?;
        let source = RuleSource {
            repository: repository.clone(),
            select: self.selection(pattern).clone(),
        };
        let destinations = self.destinations_of(&source);
        Some(destinations.map(|destinations| Rule {
            id: self.id,
            name: format!("{}: {repository}", self.name).into(),
            location: self.location.clone(),
            source,
            destinations,
            options: Arc::clone(&self.options),
            if_empty: self.if_empty,
            tag_parts: None,
        }))
    }

    /// Checks what is known before repositories are listed. Returns the first mistake of each destination, with its
    /// position among the destinations: illegal for every repository, a source of the rule, or the same for all
    /// repositories.
    pub fn mistakes(&self) -> Vec<(usize, RuleError)> {
        let destinations = self.destinations.iter().enumerate();
        let mistakes = destinations.filter_map(|(number, destination)| {
            let mut patterns = self.from.iter();
            let mistake = patterns.find_map(|it| self.check(it, destination).err());
            Some((number, mistake?))
        });
        mistakes.collect()
    }

    fn check(
        &self,
        pattern: &RepositoryPattern,
        destination: &DestinationTemplate,
    ) -> Result<(), RuleError> {
        let example = |filler, depth| {
            let repository = pattern.example(filler, depth);
            let repository = repository.filter(|it| self.selects(it))?;
            Some(RuleSource {
                repository,
                select: self.selection(pattern).clone(),
            })
        };
        let mut refused = Ok(());
        let mut is_legal = false;
        for depth in 1..=3 {
            let Some(source) = example('x', depth) else {
                continue;
            };
            let placed = match destination.destination(&source) {
                Ok(placed) => placed,
                Err(error) => {
                    refused = refused.and(Err(error));
                    continue;
                }
            };
            is_legal = true;
            self.check_below(&source, &placed)?;
            let other = example('y', depth).filter(|other| *other != source);
            if let Some(other) = other
                && destination.destination(&other).is_ok_and(|it| it == placed)
            {
                return Err(RuleError(format!(
                    "{destination}: all repositories of {pattern} go there, such as {} and {}. Write {{repository}} in the destination.",
                    source.repository, other.repository
                )));
            }
        }
        if is_legal { Ok(()) } else { refused }
    }

    /// Returns the first pattern that matches `repository`; `None` if the repository is left out.
    fn pattern_of(&self, repository: &Repository) -> Option<&RepositoryPattern> {
        let pattern = self
            .from
            .iter()
            .find(|pattern| pattern.matches(repository))?;
        let mut except = self.except.iter();
        (!except.any(|filter| filter.matches(repository))).then_some(pattern)
    }

    /// Returns the images that are copied of the repositories of a pattern.
    fn selection<'a>(&'a self, pattern: &'a RepositoryPattern) -> &'a Selection {
        match pattern.select() {
            Selection::All => &self.select,
            own => own,
        }
    }

    fn destinations_of(&self, source: &RuleSource) -> Result<Vec<RuleDestination>, RuleError> {
        let mut destinations: Vec<RuleDestination> = Vec::with_capacity(self.destinations.len());
        for template in &self.destinations {
            let destination = template.destination(source)?;
            self.check_below(source, &destination)?;
            if !destinations.contains(&destination) {
                destinations.push(destination);
            }
        }
        Ok(destinations)
    }

    /// Refuses a destination that the rule copies as well.
    fn check_below(
        &self,
        source: &RuleSource,
        destination: &RuleDestination,
    ) -> Result<(), RuleError> {
        match self.pattern_of(&destination.repository) {
            None => Ok(()),
            Some(pattern) => Err(RuleError(format!(
                "{} goes to {}, which {pattern} matches as well, so that the next run copies it again. Write another destination, or leave it out with `except`.",
                source.repository, destination.repository
            ))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::rule::SourcePattern;

    fn rule(from: &[&str], except: &[&str], to: &[&str]) -> PatternRule {
        let from = from
            .iter()
            .flat_map(|text| SourcePattern::parse(text).unwrap().listed);
        let except = except
            .iter()
            .map(|text| RepositoryFilter::parse(text).unwrap());
        let to = to
            .iter()
            .map(|text| DestinationTemplate::parse(text).unwrap());
        PatternRule {
            id: RuleId::new("teams", None),
            name: "teams".into(),
            location: None,
            from: from.collect(),
            except: except.collect(),
            select: Selection::All,
            destinations: to.collect(),
            options: Arc::default(),
            if_empty: IfEmpty::Fail,
        }
    }

    fn repository(text: &str) -> Repository {
        Repository::parse(text).unwrap()
    }

    /// The mistake of the first destination, the only one.
    fn mistake(rule: &PatternRule) -> String {
        let mistakes = rule.mistakes();
        let [(0, error)] = mistakes.as_slice() else {
            panic!("{mistakes:?}")
        };
        error.to_string()
    }

    #[test]
    fn a_repository_becomes_a_rule() {
        let rule = rule(
            &["h.io/team-*/**:v1", "h.io/**"],
            &["**/tmp-*"],
            &[
                "r.io/{repository}",
                "r.io/{namespace}/{name}",
                "s.io/{name}:{tag}",
            ],
        );
        assert_eq!(rule.mistakes(), []);
        let one = rule
            .rule_for(&repository("h.io/team-a/x"))
            .unwrap()
            .unwrap();
        assert_eq!(&*one.name, "teams: h.io/team-a/x");
        assert_eq!((one.id, one.if_empty), (rule.id, IfEmpty::Fail));
        assert_eq!(one.source, RuleSource::parse("h.io/team-a/x:v1").unwrap());
        let to: Vec<String> = one
            .destinations
            .iter()
            .map(|to| to.repository.to_string())
            .collect();
        // Equal destinations are one.
        assert_eq!(to, ["r.io/team-a/x", "s.io/x"]);
        let other = rule.rule_for(&repository("h.io/a")).unwrap().unwrap();
        assert_eq!(other.source.select, Selection::All);
        for text in ["h.io/team-a/tmp-1", "q.io/team-a/x"] {
            assert!(!rule.selects(&repository(text)));
            assert!(rule.rule_for(&repository(text)).is_none());
        }
    }

    #[test]
    fn a_destination_that_is_a_source_is_refused() {
        let again = rule(&["h.io/**"], &[], &["h.io/mirror/{repository}"]);
        let expected = "h.io/x goes to h.io/mirror/x, which h.io/** matches as well, so that the next run copies it again. Write another destination, or leave it out with `except`.";
        assert_eq!(mistake(&again), expected);
        let error = again.rule_for(&repository("h.io/x")).unwrap().unwrap_err();
        assert_eq!(error.to_string(), expected);
        let excepted = rule(&["h.io/**"], &["mirror/**"], &["h.io/mirror/{repository}"]);
        assert_eq!(excepted.mistakes(), []);
        excepted.rule_for(&repository("h.io/x")).unwrap().unwrap();
        let apart = rule(&["h.io/team-*/**"], &[], &["h.io/mirror/{repository}"]);
        assert_eq!(apart.mistakes(), []);
        let itself = rule(&["h.io/**"], &[], &["{registry}/{repository}"]);
        assert_eq!(
            mistake(&itself),
            "no destination {registry}/{repository} for h.io/x: it is the source itself."
        );
    }

    #[test]
    fn mistakes_are_found_before_a_list() {
        for (from, to, why) in [
            (
                "h.io/team/*",
                "r.io/mirror",
                "r.io/mirror: all repositories of h.io/team/* go there, such as h.io/team/x and h.io/team/y. Write {repository} in the destination.",
            ),
            (
                "h.io/*/app",
                "r.io/{name}",
                "r.io/{name}: all repositories of h.io/*/app go there, such as h.io/x/app and h.io/y/app. Write {repository} in the destination.",
            ),
            (
                "h.io/team/*",
                "docker.io/me/{repository}",
                "no destination docker.io/me/{repository} for h.io/team/x: a repository of Docker Hub has no more than 2 components (namespace/name), and me/team/x has 3 components.",
            ),
            (
                "h.io/team/*",
                "r.io/{name}:stable",
                "no destination r.io/{name}:stable for h.io/team/x: stable: several tags cannot get one name. Write r.io/x to keep their names, or name the tags at the source.",
            ),
        ] {
            assert_eq!(mistake(&rule(&[from], &[], &[to])), why);
        }
        let second = rule(&["h.io/team/*"], &[], &["r.io/{name}", "r.io/x", "s.io/y"]);
        let places: Vec<usize> = second
            .mistakes()
            .iter()
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(places, [1, 2]);
        for (from, to) in [
            ("h.io/team/*", "r.io/all:{name}-{tag}"),
            // Deeper repositories fail alone.
            ("h.io/**", "docker.io/me/{repository}"),
            ("h.io/*/app", "r.io/{namespace}"),
            ("h.io/**:v1", "r.io/{repository}:stable"),
        ] {
            assert_eq!(rule(&[from], &[], &[to]).mistakes(), []);
        }
    }
}
