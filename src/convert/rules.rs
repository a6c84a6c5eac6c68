//! The list `rules` of the native file.

use std::fmt::Write as _;

use image_syncer_registry::Tag;
use image_syncer_sync::Config;
use image_syncer_sync::rule::{Naming, Rule, RuleDestination, Selection};

use super::comments::Comments;
use super::placeholders::Placeholders;
use super::scalar::scalar;

/// Writes the rules in the order of the files.
pub(super) fn write(
    text: &mut String,
    config: &Config,
    placeholders: &Placeholders,
    comments: &mut Comments,
) {
    text.push_str("\nrules:");
    if config.rules.is_empty() {
        text.push_str(" []");
    }
    text.push('\n');
    for rule in &config.rules {
        if let Some(location) = &rule.location {
            for line in comments.above(&location.file, location.line) {
                let _ = writeln!(text, "  {line}");
            }
        }
        write_rule(text, rule, placeholders);
    }
}

fn write_rule(text: &mut String, rule: &Rule, placeholders: &Placeholders) {
    let native = |text: &str| scalar(&placeholders.native_text(text));
    let _ = writeln!(text, "  - from: {}", native(&rule.name));
    let destinations = rule.destinations.iter();
    let destinations = destinations.map(|to| native(&destination(to, &rule.source.select)));
    match &destinations.collect::<Vec<String>>()[..] {
        [only] => {
            let _ = writeln!(text, "    to: {only}");
        }
        several => {
            text.push_str("    to:\n");
            for one in several {
                let _ = writeln!(text, "      - {one}");
            }
        }
    }
}

/// Returns the destination as one text. The default destination, which is empty in the classic files, has its name.
fn destination(destination: &RuleDestination, select: &Selection) -> String {
    let repository = &destination.repository;
    match (&destination.naming, select) {
        (Naming::Tags(tags), _) => {
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{repository}:{}", tags.join(","))
        }
        (Naming::Untagged, Selection::Digest { digest, .. }) => format!("{repository}@{digest}"),
        _ => repository.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_rule_has_a_native_form() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let tagged = format!("r.example/x:v1@{digest}");
        let untagged = format!("s.example/y@{digest}");
        for (source, destinations, expected) in [
            (
                "r.example/x",
                &["s.example/y"][..],
                "r.example/x → s.example/y",
            ),
            ("nginx:1.27", &[""], "nginx:1.27 → d.example/ns/x"),
            (
                "r.example/x:/^v1/",
                &["s.example/y", "t.example/z"],
                "r.example/x:/^v1/ → s.example/y, t.example/z",
            ),
            (
                "r.example/x:v1",
                &["s.example/y:new"],
                "r.example/x:v1 → s.example/y:new",
            ),
            (
                "r.example/x:v1,v2",
                &["s.example/y:a,b", "t.example/z"],
                "'r.example/x:v1,v2' → 's.example/y:a,b', t.example/z",
            ),
            (
                &tagged,
                &["s.example/y"],
                &format!("'{tagged}' → s.example/y"),
            ),
            (&tagged, &[&untagged], &format!("'{tagged}' → '{untagged}'")),
        ] {
            let default =
                |_: &_| Ok(image_syncer_sync::Repository::parse("d.example/ns/x").unwrap());
            let rule = Rule::parse(source, destinations, &default).unwrap();
            let mut text = String::new();
            write_rule(&mut text, &rule, &Placeholders::default());
            let (from, to) = expected.split_once(" → ").unwrap();
            let to: Vec<&str> = to.split(", ").collect();
            let to = match to[..] {
                [only] => format!(" {only}\n"),
                _ => format!("\n      - {}\n", to.join("\n      - ")),
            };
            assert_eq!(text, format!("  - from: {from}\n    to:{to}"));
        }
    }
}
