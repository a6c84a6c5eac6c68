//! Selection of rules by their names.

use globset::{Glob, GlobMatcher};
use strsim::levenshtein;

use crate::rule::RuleError;

/// Maximum number of names in a message.
const SHOWN: usize = 5;

/// Globs for the names of rules. Without a glob, every rule is selected.
#[derive(Clone, Debug, Default)]
pub struct RuleFilter(Vec<NameGlob>);

/// A glob, or a name to the letter: a name may be a pattern itself.
#[derive(Clone, Debug)]
struct NameGlob {
    text: String,
    glob: Option<GlobMatcher>,
}

impl NameGlob {
    fn matches(&self, name: &str) -> bool {
        self.text == name || self.glob.as_ref().is_some_and(|glob| glob.is_match(name))
    }
}

impl RuleFilter {
    /// Creates the filter of these globs, in which `*` matches slashes as well.
    pub fn new(globs: &[String]) -> Self {
        let globs = globs.iter().map(|text| NameGlob {
            text: text.clone(),
            glob: Glob::new(text).ok().map(|glob| glob.compile_matcher()),
        });
        Self(globs.collect())
    }

    /// Returns true if the rule called `name` is selected.
    pub fn selects(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.matches(name))
    }

    /// Checks that each glob matches one of `names`.
    ///
    /// # Errors
    /// For the first glob that matches none: the names that resemble it, or the first names.
    pub fn check(&self, names: &[&str]) -> Result<(), RuleError> {
        for glob in &self.0 {
            if !names.iter().any(|name| glob.matches(name)) {
                let text = &glob.text;
                let advice = advice(text, names);
                return Err(RuleError(format!("no rule is called `{text}`. {advice}")));
            }
        }
        Ok(())
    }
}

/// Returns the sentence with names that can be written instead of `text`.
fn advice(text: &str, names: &[&str]) -> String {
    let wanted = text.to_lowercase();
    let bare = wanted.replace(['*', '?'], "");
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let far = levenshtein(&wanted, &lower);
            let contains = bare.chars().count() >= 3 && lower.contains(&bare);
            let is_near = contains || far <= (wanted.chars().count() / 3).max(1);
            is_near.then_some((far, *name))
        })
        .collect();
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().map(|(_, name)| name).collect();
    let is_near = !near.is_empty();
    let all: &[&str] = if is_near { &near } else { names };
    let shown: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match (&shown[..], all.len().saturating_sub(SHOWN)) {
        ([], _) => "The files have no rule.".to_owned(),
        ([only], _) => format!("Write {only}."),
        (shown, _) if is_near => format!("Write {}.", shown.join(" or ")),
        (shown, 0) => format!("The rules are {}.", shown.join(", ")),
        (shown, more) => format!("The rules are {} and {more} more.", shown.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = [
        "base images",
        "team projects",
        "harbor.example.com/team-*/**",
        "docker.io/library/{alpine",
    ];

    fn filter(globs: &[&str]) -> RuleFilter {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        RuleFilter::new(&globs)
    }

    #[test]
    fn globs_and_names_select_rules() {
        for (globs, expected) in [
            (&[][..], &NAMES[..]),
            (&["team*"], &["team projects"]),
            (
                &["*images", "team projects"],
                &["base images", "team projects"],
            ),
            (&["harbor.*"], &["harbor.example.com/team-*/**"]),
            // A name that is a pattern itself, and one that is no valid glob.
            (
                &["harbor.example.com/team-*/**"],
                &["harbor.example.com/team-*/**"],
            ),
            (
                &["docker.io/library/{alpine"],
                &["docker.io/library/{alpine"],
            ),
            (&["*"], &NAMES),
        ] {
            let filter = filter(globs);
            let selected: Vec<&str> = NAMES
                .into_iter()
                .filter(|name| filter.selects(name))
                .collect();
            assert_eq!(selected, expected, "{globs:?}");
            assert_eq!(filter.check(&NAMES), Ok(()));
        }
    }

    #[test]
    fn a_glob_without_a_match_names_the_nearest() {
        for (glob, advice) in [
            ("base image", "Write `base images`."),
            ("Team Projects", "Write `team projects`."),
            ("project", "Write `team projects`."),
            ("*.io", "Write `docker.io/library/{alpine`."),
            (
                "nginx",
                "The rules are `base images`, `team projects`, `harbor.example.com/team-*/**`, `docker.io/library/{alpine`.",
            ),
        ] {
            let why = filter(&["*", glob]).check(&NAMES).unwrap_err();
            assert_eq!(why.0, format!("no rule is called `{glob}`. {advice}"));
        }
        let many: Vec<String> = (0..9).map(|number| format!("rule {number}00")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let why = filter(&["x"]).check(&many).unwrap_err();
        assert!(why.0.ends_with("`rule 400` and 4 more."), "{why}");
        let why = filter(&["x"]).check(&[]).unwrap_err();
        assert_eq!(why.0, "no rule is called `x`. The files have no rule.");
    }
}
