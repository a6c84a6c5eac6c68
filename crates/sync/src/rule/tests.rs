//! Every row of the table of docs/files.md#rules that a rule's text decides.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::Repository;

use super::{Naming, Rule, RuleDestination, RuleError, RuleSource, Selection};

const D: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const OTHER: &str = "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

fn rule(source: &str, destinations: &[&str]) -> Result<Rule, RuleError> {
    Rule::parse(source, destinations, &|_: &Repository| {
        Err(RuleError("no default".into()))
    })
}

fn refusal(source: &str, destination: &str) -> String {
    match rule(source, &[destination]) {
        Ok(rule) => panic!("{source} -> {destination} was taken as {rule:?}"),
        Err(error) => error.to_string(),
    }
}

/// Returns the effect of a rule as `tag -> name` pairs.
fn effect(source: &str, destination: &str) -> String {
    let rule = rule(source, &[destination]).unwrap();
    let to = rule.destinations.first().unwrap();
    let select = match &rule.source.select {
        Selection::All => "all".to_owned(),
        Selection::Tags(tags) => tags
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
        Selection::Matching(pattern) => format!("/{}/", pattern.as_str()),
        Selection::Policy(policy) => policy.to_string(),
        Selection::Digest { tag: Some(tag), .. } => format!("{tag}@"),
        Selection::Digest { tag: None, .. } => "@".to_owned(),
    };
    let naming = match &to.naming {
        Naming::Keep => "keep".to_owned(),
        Naming::Template(template) => template.to_string(),
        Naming::Untagged => "untagged".to_owned(),
        Naming::Tags(tags) => tags
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
    };
    format!("{select} -> {naming}")
}

#[test]
fn every_row_of_the_table_of_rules() {
    let by_digest = format!("q.io/x@{D}");
    let tagged_digest = format!("q.io/x:v1@{D}");
    let to_digest = format!("q.io/y@{D}");
    for (source, destination, expected) in [
        ("q.io/x", "q.io/y", "all -> keep"),
        ("q.io/x:v1", "q.io/y", "v1 -> keep"),
        ("q.io/x:v1", "q.io/y:t", "v1 -> t"),
        ("q.io/x:v1,v2", "q.io/y", "v1,v2 -> keep"),
        ("q.io/x:v1,v2", "q.io/y:a,b", "v1,v2 -> a,b"),
        ("q.io/x:/^v1/", "q.io/y", "/^v1/ -> keep"),
        ("q.io/x://", "q.io/y", "all -> keep"),
        (&by_digest, "q.io/y", "@ -> keep"),
        (&by_digest, "q.io/y:t", "@ -> t"),
        (&by_digest, &to_digest, "@ -> untagged"),
        (&tagged_digest, "q.io/y", "v1@ -> keep"),
        (&tagged_digest, "q.io/y:t", "v1@ -> t"),
    ] {
        assert_eq!(
            effect(source, destination),
            expected,
            "{source} -> {destination}"
        );
    }
}

#[test]
fn all_tags_cannot_get_one_name() {
    for source in ["q.io/x", "q.io/x:/v/", "q.io/x://"] {
        assert!(refusal(source, "q.io/y:t").contains("Write q.io/y to keep their names"));
    }
}

#[test]
fn different_counts_of_tags_are_refused() {
    assert!(
        refusal("q.io/x:v1,v2", "q.io/y:a")
            .contains("1 tag at the destination for 2 tags at the source")
    );
    assert!(
        refusal("q.io/x:v1", "q.io/y:a,b")
            .contains("2 tags at the destination for 1 tag at the source")
    );
}

#[test]
fn another_digest_at_the_destination_is_refused() {
    assert!(
        refusal(&format!("q.io/x@{D}"), &format!("q.io/y@{OTHER}"))
            .contains(&format!("Write q.io/y@{D}"))
    );
    assert!(refusal("q.io/x:v1", &format!("q.io/y@{D}")).contains("name the digest at the source"));
}

#[test]
fn an_expression_at_the_destination_is_refused() {
    assert!(refusal("q.io/x", "q.io/y:/a/").contains("cannot have an expression"));
}

#[test]
fn two_images_cannot_get_one_name_but_one_image_can_get_two() {
    assert!(refusal("q.io/x:v1,v2", "q.io/y:a,a").contains("cannot both get the name a"));
    assert_eq!(effect("q.io/x:v1,v1", "q.io/y:a,b"), "v1,v1 -> a,b");
    assert_eq!(effect("q.io/x:v1,v1", "q.io/y:a,a"), "v1 -> a");
}

#[test]
fn repeated_tags_and_destinations_are_done_once() {
    assert_eq!(effect("q.io/x:v1,v2,v1", "q.io/y"), "v1,v2 -> keep");
    assert_eq!(
        rule("q.io/x:v1", &["q.io/y", "q.io/y"])
            .unwrap()
            .destinations
            .len(),
        1
    );
    assert_eq!(
        rule("q.io/x:v1", &["q.io/y", "q.io/y:b"])
            .unwrap()
            .destinations
            .len(),
        2
    );
}

#[test]
fn an_empty_destination_asks_for_the_default() {
    let default = |source: &Repository| {
        Repository::parse(&format!("d.io/ns/{}", source.path()))
            .map_err(|e| RuleError(e.to_string()))
    };
    let rule = Rule::parse("q.io/x:v1", &[""], &default).unwrap();
    assert_eq!(
        rule.destinations.first().unwrap().repository.to_string(),
        "d.io/ns/x"
    );
    assert_eq!(refusal("q.io/x:v1", ""), "no default");
}

#[test]
fn a_rule_without_destination_or_source_is_refused() {
    assert!(
        rule("q.io/x", &[])
            .unwrap_err()
            .to_string()
            .contains("has no destination")
    );
    assert!(refusal("", "q.io/y").contains("the source is empty"));
}

#[test]
fn inputs_of_the_go_tool_s_parser() {
    for (text, repository, select) in [
        ("nginx:v1", "docker.io/library/nginx", "v1"),
        ("user/repo", "docker.io/user/repo", "all"),
        ("a/b/c:v1", "docker.io/a/b/c", "v1"),
        ("docker.io/nginx:v1", "docker.io/library/nginx", "v1"),
        ("index.docker.io/nginx:v1", "docker.io/library/nginx", "v1"),
        ("localhost/foo", "localhost/foo", "all"),
        ("localhost:5000/foo:v1,v2", "localhost:5000/foo", "v1,v2"),
        (
            "127.0.0.1:300/library/nginx:v1",
            "127.0.0.1:300/library/nginx",
            "v1",
        ),
        (
            "gcr.io/knative-releases/github.com/knative/build/cmd/creds-init:v1",
            "gcr.io/knative-releases/github.com/knative/build/cmd/creds-init",
            "v1",
        ),
        ("quay.io/foo/bar:V1", "quay.io/foo/bar", "V1"),
        ("quay.io/a/b:/a+/", "quay.io/a/b", "/a+/"),
        ("quay.io/a/b:/^v1/", "quay.io/a/b", "/^v1/"),
        ("quay.io/a/b:/(?i)AAA/", "quay.io/a/b", "/(?i)AAA/"),
        ("quay.io/a/b:/a/b/", "quay.io/a/b", "/a/b/"),
        ("[::1]:5000/foo:v1", "[::1]:5000/foo", "v1"),
        ("q.io/x:v1 , v2", "q.io/x", "v1,v2"),
        ("nginx://", "docker.io/library/nginx", "all"),
    ] {
        let source = RuleSource::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(source.repository.to_string(), repository, "{text}");
        assert_eq!(
            effect(text, "d.io/y").split(" -> ").next().unwrap(),
            select,
            "{text}"
        );
    }
}

#[test]
fn inputs_that_are_refused() {
    let long = format!("quay.io/a/b:{}", "a".repeat(129));
    let listed = format!("nginx@{D},v1");
    let short = "nginx@sha256:abc";
    for text in [
        "quay.io/Foo/bar:v1",
        "quay.io//b:v1",
        "nginx:",
        "nginx:,v1",
        "nginx:v1,",
        "nginx: v1",
        "nginx:v1 ",
        "nginx:v1,v2 ",
        " nginx",
        "nginx ",
        "quay.io/a/b:v1+meta",
        &long,
        "nginx,latest",
        &listed,
        short,
        "quay.io/a/b:/a",
        "quay.io/a/b:/[/",
        "quay.io/a/b:/(?!v1)/",
        "quay.io/a/b:v1.*",
        "quay.io/a/b:*",
        "https://quay.io/a/b",
        "docker://quay.io/a/b",
    ] {
        assert!(RuleSource::parse(text).is_err(), "{text} was taken");
    }
}

#[test]
fn a_password_in_a_rule_is_not_repeated() {
    for text in [
        "https://me:S3cret@quay.io/a/b",
        "me:S3cret@quay.io/a/b",
        "me:S3cret@quay.io/a/b:v1",
    ] {
        for error in [
            RuleSource::parse(text).unwrap_err().to_string(),
            refusal("q.io/x", text),
        ] {
            assert!(error.contains("write `quay.io/a/b"), "{error}");
            assert!(!error.contains("S3cret"), "{error}");
        }
    }
}

#[test]
fn a_digest_that_cannot_be_verified_is_refused() {
    let error = RuleSource::parse("q.io/x@md5:d41d8cd98f00b204e9800998ecf8427e").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("cannot be verified: only sha256 and sha512 can"),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_write() {
    for (text, hint) in [
        ("nginx:", "Write nginx:TAG, or nginx for every tag"),
        ("nginx:,v1", "tag 1 of the list is empty"),
        ("nginx,latest", "Write nginx:TAG,TAG"),
        (
            "https://quay.io/a/b",
            "drop the scheme `https://`, write `quay.io/a/b`",
        ),
        ("quay.io/a/b:*", "write quay.io/a/b://"),
        ("quay.io/a/b:v1.*", "write quay.io/a/b:/v1.*/"),
        ("quay.io/a/b:/a", "Write quay.io/a/b:/a/"),
        ("quay.io/a/b:/(?!v1)/", "look-around"),
    ] {
        let error = RuleSource::parse(text).unwrap_err().to_string();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

#[test]
fn an_expression_is_found_anywhere_in_the_tag() {
    let Selection::Matching(pattern) = RuleSource::parse("q.io/x:/1\\.2/").unwrap().select else {
        panic!("no expression")
    };
    assert!(pattern.matches(&image_syncer_registry::Tag::parse("v1.2-alpine").unwrap()));
    assert!(!pattern.matches(&image_syncer_registry::Tag::parse("v1x2").unwrap()));
}

#[test]
fn a_registry_without_a_repository_is_refused() {
    let why = "it is a registry without a repository, write";
    for (text, write) in [
        ("harbor.example.com", "harbor.example.com/REPOSITORY"),
        ("localhost", "localhost/REPOSITORY"),
        ("localhost:5000", "localhost:5000/REPOSITORY"),
        ("127.0.0.1:5000", "127.0.0.1:5000/REPOSITORY"),
        ("Harbor.Example.com:v1", "Harbor.Example.com/REPOSITORY:v1"),
    ] {
        let expected = format!("`{text}` is not a repository: {why} `{write}`");
        assert_eq!(RuleSource::parse(text).unwrap_err().to_string(), expected);
        let source = RuleSource::parse("q.io/x:v1").unwrap();
        let refused = RuleDestination::parse(text, &source).unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    for text in ["harbor.example.com:/v1/", "harbor.example.com://"] {
        let told = RuleSource::parse(text).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
    let source = RuleSource::parse("q.io/x:v1").unwrap();
    assert_eq!(
        RuleDestination::parse("mirror:5000", &source)
            .unwrap_err()
            .to_string(),
        "mirror:5000: a registry without a repository. Write mirror:5000/REPOSITORY, or docker.io/library/mirror:5000 for an image of Docker Hub."
    );
    // A tag may be a number, and Docker's own images may be copied.
    for text in [
        "redis:7",
        "mirror:5000",
        "user/app.name:5000",
        "localhost/app",
    ] {
        RuleSource::parse(text).unwrap();
    }
}
