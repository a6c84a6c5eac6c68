#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::rule::{
    CopyOptions, DestinationTemplate, IfEmpty, PatternRule, PlatformFilter, Selection,
    SourcePattern,
};
use crate::scenario::rule;

fn pattern_rule(from: &str, to: &[&str]) -> PatternRule {
    let templates = to
        .iter()
        .map(|text| DestinationTemplate::parse(text).unwrap());
    PatternRule {
        id: crate::RuleId::new("all", None),
        name: "all".into(),
        location: None,
        from: SourcePattern::parse(from).unwrap().listed,
        except: Vec::new(),
        select: Selection::All,
        destinations: templates.collect(),
        options: Arc::default(),
        if_empty: IfEmpty::default(),
    }
}

fn expanded(rule: &PatternRule, repository: &str) -> Rule {
    rule.rule_for(&Repository::parse(repository).unwrap())
        .unwrap()
        .unwrap()
}

#[test]
fn the_second_source_of_a_destination_fails() {
    let mut claims = DestinationClaims::default();
    let flat = pattern_rule("h.io/**", &["r.io/{repository|flatten}"]);
    claims.claim(&expanded(&flat, "h.io/a/b-c")).unwrap();
    claims.claim(&expanded(&flat, "h.io/a/b-d")).unwrap();
    // Two rules copy one repository.
    claims.claim(&expanded(&flat, "h.io/a/b-c")).unwrap();
    let error = claims.claim(&expanded(&flat, "h.io/a-b/c")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "r.io/a-b-c gets two sources, h.io/a/b-c and h.io/a-b/c. Give them different destinations, such as {repository} in the template."
    );
    assert_eq!(claims.len(), 2);
}

#[test]
fn names_of_tags_tell_destinations_apart() {
    let mut claims = DestinationClaims::default();
    let all = pattern_rule("h.io/**", &["r.io/all:{name}-{tag}"]);
    claims.claim(&expanded(&all, "h.io/a/x")).unwrap();
    claims.claim(&expanded(&all, "h.io/a/y")).unwrap();
    let error = claims.claim(&expanded(&all, "h.io/b/x")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("r.io/all gets two sources, h.io/a/x and h.io/b/x.")
    );
    let named = pattern_rule("h.io/**:v1,v2", &["r.io/named:{name}-{tag}"]);
    claims.claim(&expanded(&named, "h.io/a/x")).unwrap();
    claims.claim(&expanded(&named, "h.io/a/y")).unwrap();
    let error = claims.claim(&expanded(&named, "h.io/b/x")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("r.io/named:x-v1 gets two sources,"),
        "{error}"
    );
}

#[test]
fn rules_that_name_their_repositories_come_first() {
    let mut claims = DestinationClaims::default();
    claims.reserve(&rule("q.io/one", &["r.io/app"]));
    claims.reserve(&rule("q.io/two", &["r.io/app"]));
    let all = pattern_rule("h.io/**", &["r.io/{name}"]);
    let error = claims.claim(&expanded(&all, "h.io/a/app")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("r.io/app gets two sources, q.io/one and h.io/a/app.")
    );
    claims.claim(&expanded(&all, "h.io/a/other")).unwrap();
}

#[test]
fn a_rule_that_fails_claims_nothing() {
    let mut claims = DestinationClaims::default();
    claims.reserve(&rule("q.io/one", &["r.io/app"]));
    let both = pattern_rule("h.io/**", &["r.io/copy/{name}", "r.io/{name}"]);
    claims.claim(&expanded(&both, "h.io/a/app")).unwrap_err();
    assert_eq!(claims.len(), 1);
}

#[test]
fn one_source_has_one_content_at_a_destination() {
    let mut claims = DestinationClaims::default();
    let all = pattern_rule("h.io/**", &["r.io/{name}"]);
    claims.claim(&expanded(&all, "h.io/a")).unwrap();
    let mut other = all;
    other.options = Arc::new(CopyOptions {
        platforms: Arc::new(PlatformFilter::parse(&["linux".to_owned()], &[]).unwrap()),
        ..CopyOptions::default()
    });
    let error = claims.claim(&expanded(&other, "h.io/a")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "r.io/a gets h.io/a twice, with different platforms or parts. Give it one destination for each."
    );
}

proptest! {
    #[test]
    fn no_two_sources_share_a_destination_unnoticed(
        paths in prop::collection::hash_set("[ab](-[ab]|/[ab]|_b){0,3}", 1..20),
        template in prop::sample::select(vec![
            "r.io/{repository}",
            "r.io/{repository|flatten}",
            "r.io/{repository|flatten:_}",
            "r.io/{repository|replace:a:b}",
            "r.io/x/{name}",
            "r.io/{repository|last:2}",
            "r.io/x/{namespace}/{name}",
            "r.io/{repository|strip:a}x",
            "r.io/all:{repository|flatten}-{tag}",
            "r.io/all:{tag}-{name|replace:b:a}",
        ]),
    ) {
        let rule = pattern_rule("h.io/**", &[template]);
        let tag = image_syncer_registry::Tag::parse("v1").unwrap();
        let mut claims = DestinationClaims::default();
        let mut first: HashMap<String, String> = HashMap::new();
        for path in paths {
            let source = Repository::parse(&format!("h.io/{path}")).unwrap();
            let Ok(rule) = rule.rule_for(&source).unwrap() else { continue };
            let destination = &rule.destinations[0];
            let name = match &destination.naming {
                Naming::Template(names) => names.render(&tag).unwrap().to_string(),
                _ => tag.to_string(),
            };
            let name = format!("{}:{name}", destination.repository);
            let claimed = claims.claim(&rule);
            if let Some(other) = first.get(&name) {
                let error = claimed.unwrap_err().to_string();
                prop_assert!(error.contains(&format!("{other} and {source}")), "{}", error);
            } else {
                prop_assert!(claimed.is_ok());
                first.insert(name, source.to_string());
            }
        }
        prop_assert_eq!(claims.len(), first.keys().collect::<HashSet<_>>().len());
    }
}
