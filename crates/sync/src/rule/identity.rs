//! Identity of rule sets on several machines, and the rules that belong together.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use image_syncer_registry::{Algorithm, Hasher};

use crate::Repository;
use crate::id::RuleId;
use crate::rule::RuleSet;

/// Writes text into a digest.
struct DigestWriter(Hasher);

impl fmt::Write for DigestWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl RuleSet {
    /// Returns a digest (`sha256:…`) that is the same on all machines whose rules copy the same in the same way. It does
    /// not depend on the places of the rules in files; rules hold no secrets. Only digests of one version of this crate
    /// can be compared, since the text behind them is no format.
    pub fn digest(&self) -> String {
        let mut text = DigestWriter(Hasher::with_algorithm(Algorithm::Sha256));
        let Self {
            rules, patterns, ..
        } = self.numbered();
        let version = env!("CARGO_PKG_VERSION");
        // The writer never fails.
        let _ = write!(text, "{version}\n{rules:?}\n{patterns:?}");
        text.0.finish().to_string()
    }

    /// Returns the rules without their places, and with ids that depend on their names and positions: the same on all
    /// machines.
    #[must_use]
    pub fn numbered(&self) -> Self {
        let mut set = self.clone();
        let mut position = 0;
        let mut next = |name: &str| {
            position += 1;
            RuleId::numbered(name, None, position)
        };
        for rule in &mut set.rules {
            let rule = Arc::make_mut(rule);
            (rule.id, rule.location) = (next(&rule.name), None);
        }
        for pattern in &mut set.patterns {
            let pattern = Arc::make_mut(pattern);
            (pattern.id, pattern.location) = (next(&pattern.name), None);
        }
        set
    }

    /// Returns the positions of the rules that name their repositories, in groups that share no repository with each
    /// other: neither a source, whose downloads and tags they share, nor a destination, whose tags they may both write.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        // The group of each repository.
        let mut known: HashMap<&Repository, usize> = HashMap::new();
        for (position, rule) in self.rules.iter().enumerate() {
            let destinations = rule.destinations.iter().map(|to| &to.repository);
            let all: Vec<_> = std::iter::once(&rule.source.repository)
                .chain(destinations)
                .collect();
            let mut joined: Vec<usize> =
                all.iter().filter_map(|it| known.get(it)).copied().collect();
            joined.sort_unstable();
            joined.dedup();
            let into = joined.first().copied().unwrap_or(groups.len());
            let mut members = Vec::new();
            for group in &joined {
                members.extend(
                    groups
                        .get_mut(*group)
                        .map(std::mem::take)
                        .unwrap_or_default(),
                );
            }
            members.push(position);
            known
                .values_mut()
                .filter(|group| joined.contains(*group))
                .for_each(|group| *group = into);
            known.extend(all.into_iter().map(|repository| (repository, into)));
            match groups.get_mut(into) {
                Some(group) => *group = members,
                None => groups.push(members),
            }
        }
        groups.retain(|group| !group.is_empty());
        for group in &mut groups {
            group.sort_unstable();
        }
        groups
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ConfigFiles, Defaults, Input};
    use crate::rule::{OptionOverrides, Rule, RuleError};

    const FILE: &str = r#"
version: 1
rules:
  - {name: one, from: a.example/one, to: "b.example/{repository}", platforms: [linux/amd64, linux/arm64]}
  - {name: policy, from: a.example/four, tags: {semver: ">=1", newest: 2, exclude: ["*-rc*", "/beta/"]}, to: "b.example/{repository}"}
  - {name: pattern, from: "a.example/team/**", except: ["a.example/team/x*"], to: "b.example/{repository}"}
"#;

    fn rules(directory: &Path, text: &str) -> RuleSet {
        let path = directory.join("rules.yaml");
        std::fs::write(&path, text).unwrap();
        let files = ConfigFiles {
            config: vec![Input::File(path)],
            ..ConfigFiles::default()
        };
        let none = OptionOverrides::default();
        let config = Config::read(&files, &Defaults::default(), &|_| None, &none).unwrap();
        config.rule_set()
    }

    fn digest(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        rules(directory.path(), text).digest()
    }

    #[test]
    fn the_digest_depends_on_what_is_copied_and_how_alone() {
        let digest_of_file = digest(FILE);
        let elsewhere = format!("# a comment\n{FILE}");
        assert_eq!(digest(&elsewhere), digest_of_file);
        for (old, new) in [
            ("linux/arm64", "linux/s390x"),
            ("newest: 2", "newest: 3"),
            ("\"*-rc*\"", "\"*-rd*\""),
            ("/beta/", "/gamma/"),
            ("team/x*", "team/y*"),
            ("name: policy", "name: tags"),
            (
                "to: \"b.example/{repository}\"}",
                "to: \"c.example/{repository}\"}",
            ),
        ] {
            let other = FILE.replacen(old, new, 1);
            assert_ne!(other, FILE, "{old}");
            assert_ne!(digest(&other), digest_of_file, "{old}");
        }
    }

    #[test]
    fn ids_do_not_depend_on_the_place_of_the_file() {
        let ids = |text: &str| {
            let directory = tempfile::tempdir().unwrap();
            let set = rules(directory.path(), text).numbered();
            let named = set.rules.iter().map(|rule| rule.id);
            let ids: Vec<RuleId> = named.chain(set.patterns.iter().map(|it| it.id)).collect();
            ids
        };
        assert_eq!(ids(FILE), ids(&format!("\n\n{FILE}")));
        let mut distinct = ids(FILE);
        distinct.dedup();
        assert_eq!(distinct.len(), 3);
    }

    #[test]
    fn rules_that_share_a_repository_are_one_group() {
        let none = |_: &_| Err(RuleError("no default".to_owned()));
        let rule = |(from, to): &(&str, &[&str])| Arc::new(Rule::parse(from, to, &none).unwrap());
        let set = RuleSet::from(
            [
                ("a.example/1:v1", &["b.example/1"][..]),
                ("a.example/2", &["b.example/2"]),
                ("a.example/3", &["b.example/3"]),
                ("a.example/1:v2", &["b.example/4"]),
                // Joins two groups, by a source and a destination.
                ("a.example/3", &["c.example/3", "b.example/4"]),
                ("a.example/5", &["b.example/5"]),
            ]
            .iter()
            .map(rule)
            .collect::<Vec<_>>(),
        );
        assert_eq!(set.groups(), [vec![0, 2, 3, 4], vec![1], vec![5]]);
        assert_eq!(RuleSet::default().groups(), Vec::<Vec<usize>>::new());
    }
}
