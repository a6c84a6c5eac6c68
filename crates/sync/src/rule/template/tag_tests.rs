#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::rule::{DestinationTemplate, TagPattern, TagPolicy};

fn template(text: &str) -> DestinationTemplate {
    DestinationTemplate::parse(text).unwrap()
}

#[test]
fn tags_are_named_by_their_groups() {
    let named = |text: &str, expression: &str, tag: &str| {
        let from = RuleSource {
            repository: Repository::parse("h.io/a").unwrap(),
            select: Selection::Matching(Pattern::new(expression).unwrap()),
        };
        let destination = template(&format!("r.io/{{name}}:{text}"))
            .destination(&from)
            .unwrap();
        let Naming::Template(template) = destination.naming else {
            panic!("{text} names no tags")
        };
        let name = template.render(&Tag::parse(tag).unwrap());
        name.map_or_else(|error| error.to_string(), |name| name.to_string())
    };
    assert_eq!(named("{1}.{2}", "^v([0-9]+)[.]([0-9]+)", "v1.27.3"), "1.27");
    assert_eq!(
        named("{1|lower}-{tag}", "(RC[0-9])$", "v1-RC2"),
        "rc2-v1-RC2"
    );
    assert_eq!(named("x{2}", "^(v)?(w)?", "v1"), "x");
    assert_eq!(
        named("{2}", "^(v)?(w)?", "v1"),
        "cannot name v1 by {2}: `` is not a tag: it is empty"
    );
    assert_eq!(
        named("{tag}{1}", "(.*)", &"a".repeat(65)),
        format!(
            "cannot name {} by {{tag}}{{1}}: `{}` is not a tag: it has 130 characters, a tag has no more than 128",
            "a".repeat(65),
            "a".repeat(130)
        )
    );
}

#[test]
fn every_pattern_of_a_policy_has_the_group() {
    let shown = |include: &[&str]| {
        let include = include.iter().map(|text| TagPattern::parse(text).unwrap());
        let policy = TagPolicy {
            include: include.collect(),
            ..TagPolicy::default()
        };
        let from = RuleSource {
            repository: Repository::parse("h.io/a").unwrap(),
            select: Selection::Policy(Arc::new(policy)),
        };
        let names = TagTemplate::parse("{1}-x").unwrap();
        let destination = template("r.io/a").with_tag(names).unwrap();
        match destination.destination(&from).map(|to| to.naming) {
            Ok(Naming::Template(names)) => {
                let named = |tag| names.render(&Tag::parse(tag).unwrap()).unwrap();
                format!("{} {}", named("v1"), named("w2"))
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(shown(&["/^v(.)$/", "/^.(.)/"]), "1-x 2-x");
    let refused = "no destination r.io/a for h.io/a: {1}-x: ";
    assert_eq!(
        shown(&["/^v(.)$/", "v*"]),
        format!(
            "{refused}{{1}} is a group of an expression, and tags that v* matches have none. Write expressions only."
        )
    );
    assert_eq!(
        shown(&["/^v/"]),
        format!("{refused}the expression /^v/ has 0 groups, not 1.")
    );
    assert_eq!(
        shown(&[]),
        format!(
            "{refused}{{1}} is a group of an expression. Write one as `tags`, such as /^v([0-9]+)$/."
        )
    );
}

#[test]
fn a_name_leads_back_to_its_tag() {
    for (text, name, tag) in [
        ("{tag}-x", "v1-x", Some("v1")),
        ("a-{tag}", "a-v1", Some("v1")),
        ("a-{tag}-x", "a-v1-x", Some("v1")),
        ("a-{tag}-x", "a-x", None),
        ("{tag}-x", "v1", None),
        ("{tag|lower}", "v1", None),
        ("{1}", "v1", None),
        ("{tag}{tag}", "aa", None),
    ] {
        let template = TagTemplate::parse(text).unwrap();
        let found = template.source_of(&Tag::parse(name).unwrap());
        assert_eq!(found.as_ref().map(Tag::as_str), tag, "{text} {name}");
    }
}
