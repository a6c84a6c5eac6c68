//! Rules: `name`, `from`, `except`, `tags` and `to`.

use super::*;
use crate::rule::RuleFilter;

const D: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[test]
fn a_rule_names_its_sources_and_destinations() {
    assert_eq!(
        rules("  - {from: q.io/x, to: r.example/y}\n"),
        ["q.io/x: q.io/x all -> r.example/y"]
    );
    assert_eq!(
        rules(
            "  - name: two\n    from: [q.io/x, 'q.io/z:v1,v2']\n    to:\n      - r.example/{name}\n      - s.example/{repository}\n"
        ),
        [
            "two: q.io/x all -> r.example/x s.example/x",
            "two: q.io/z v1,v2 -> r.example/z s.example/z"
        ]
    );
    assert_eq!(
        rules("  - {from: 'q.io/x:v1,v2', to: 'r.example/y:w1,w2'}\n"),
        ["q.io/x:v1,v2: q.io/x v1,v2 -> r.example/y:w1,w2"]
    );
    assert_eq!(
        rules(&format!("  - {{from: q.io/x@{D}, to: r.example/y@{D}}}\n")),
        [format!("q.io/x@{D}: q.io/x @{D} -> r.example/y@")]
    );
    assert_eq!(
        rules("  - {from: 'q.io/x:/^v1$/', to: \"\"}\n"),
        ["q.io/x:/^v1$/: q.io/x /^v1$/ -> d.io/team/mirror/x"]
    );
}

#[test]
fn named_sources_of_one_rule_have_ids_of_their_own() {
    let config = read(
        "version: 1\nrules:\n  - {from: [q.io/a, q.io/b, q.io/c-*], to: \"r.example/{repository}\"}\n",
    );
    let mut ids: Vec<_> = config.rules.iter().map(|rule| rule.id).collect();
    ids.extend(config.patterns.iter().map(|pattern| pattern.id));
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    let names: BTreeSet<&str> = config.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, BTreeSet::from(["q.io/a, q.io/b, q.io/c-*"]));
}

#[test]
fn braces_alone_name_repositories_and_globs_are_listed() {
    assert_eq!(
        rules("  - {name: n, from: \"q.io/{a,b/c}\", to: \"r.example/{repository}\"}\n"),
        [
            "n: q.io/a all -> r.example/a",
            "n: q.io/b/c all -> r.example/b/c"
        ]
    );
    assert_eq!(
        rules(
            "  - {name: n, from: q.io/team-*/**, except: [\"**/tmp-*\", \"/-scratch$/\"], to: \"r.example/{repository}\"}\n"
        ),
        ["n: q.io/team-*/** all -> r.example/{repository}"]
    );
}

#[test]
fn sources_that_are_named_can_be_left_out() {
    assert_eq!(
        rules(
            "  - {name: n, from: \"q.io/{a,b,c}\", except: [b, \"/c$/\"], to: \"r.example/{repository}\"}\n"
        ),
        ["n: q.io/a all -> r.example/a"]
    );
    insta::assert_snapshot!(rule_mistakes("  - {name: n, from: \"q.io/{a,b}\", except: [\"**\"], to: \"r.example/{repository}\"}\n  - {name: m, from: q.io/a, except: z, to: r.example/a}\n"), @r#"
    file.yaml:3:35: `except` leaves out all sources. Remove it, or the rule.
      |
    3 |   - {name: n, from: "q.io/{a,b}", except: ["**"], to: "r.example/{repository}"}
      |                                   ^^^^^^

    file.yaml:4:37: `z` leaves out nothing that `from` names. Remove it.
      |
    4 |   - {name: m, from: q.io/a, except: z, to: r.example/a}
      |                                     ^
    "#);
}

#[test]
fn plain_tags_need_no_list() {
    for tags in ["1.10", "'1.10'", "[1.10]", "[\"1.10\", 1.10]"] {
        assert_eq!(
            rules(&format!(
                "  - {{from: q.io/x, tags: {tags}, to: r.example/y}}\n"
            )),
            ["q.io/x: q.io/x 1.10 -> r.example/y"],
            "{tags}"
        );
    }
    assert_eq!(
        rules("  - {from: q.io/x, tags: [v1, v2], to: 'r.example/y:w1,w2'}\n"),
        ["q.io/x: q.io/x v1,v2 -> r.example/y:w1,w2"]
    );
    // A boolean and a date of YAML are tags as well.
    assert_eq!(
        rules("  - {from: q.io/x, tags: [true, 2024-01-01, 0123], to: r.example/y}\n"),
        ["q.io/x: q.io/x true,2024-01-01,0123 -> r.example/y"]
    );
}

#[test]
fn destinations_rename_paths_and_tags() {
    let rule = "  - from: quay.io/coreos/etcd\n    tags: v3.5.0\n    to: {repository: \"r.example/{repository}\", tag: \"{tag}-mirror\", rename: {\"/^coreos\\\\/(.+)$/\": \"core/$1\"}}\n";
    assert_eq!(
        rules(rule),
        ["quay.io/coreos/etcd: quay.io/coreos/etcd v3.5.0 -> r.example/core/etcd:v3.5.0-mirror"]
    );
}

#[test]
fn the_same_copy_is_made_once() {
    let config = read(
        "version: 1\nrules:\n  - {name: a, from: q.io/x, to: [r.example/y, r.example/y]}\n  - {name: b, from: q.io/x, to: [r.example/y, r.example/z]}\n  - {name: c, from: q.io/x, to: r.example/z}\n",
    );
    assert_eq!(
        outlines(&config),
        [
            "a: q.io/x all -> r.example/y",
            "b: q.io/x all -> r.example/z"
        ]
    );
    let told = warnings(&config);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(
        told[1],
        "4:21: q.io/x is copied to r.example/y in line 3 already. It is copied once, with the options given there."
    );
}

#[test]
fn directories_of_layouts_are_relative_to_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let file = "version: 1\nrules:\n  - {from: \"q.io/a:v1\", to: \"oci:images#d.io/{repository}\"}\n  - {from: \"q.io/b:v1\", to: \"oci:/elsewhere#d.io/b\"}\n";
    fs::write(at("file.yaml"), file).unwrap();
    let given = ConfigFiles {
        config: vec![at("file.yaml").into()],
        ..ConfigFiles::default()
    };
    let config = Config::read(
        &given,
        &defaults(),
        &environment,
        &OptionOverrides::default(),
    );
    let found = outlines(&config.unwrap());
    let expected = format!(
        "q.io/a:v1: q.io/a v1 -> oci:{}#d.io/a",
        at("images").display()
    );
    assert_eq!(
        found,
        [
            expected,
            "q.io/b:v1: q.io/b v1 -> oci:/elsewhere#d.io/b".to_owned()
        ]
    );
}

#[test]
fn the_same_patterns_are_copied_once() {
    let config = read(
        "version: 1\nrules:\n  - {name: a, from: [q.io/a/*, q.io/b/*], to: \"r.example/{repository}\"}\n  - {name: b, from: q.io/a/*, except: x, to: \"r.example/{repository}\"}\n  - {name: c, from: q.io/a/*, to: \"s.example/{repository}\"}\n",
    );
    let names: Vec<&str> = config.patterns.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(
        warnings(&config),
        [
            "4:5: the same is copied in line 3 already. It is copied once, with the options given there."
        ]
    );
}

#[test]
fn rules_are_kept_by_their_names() {
    let mut config = read(
        "version: 1\nrules:\n  - {name: one, from: q.io/a, to: r.example/a}\n  - {name: two, from: q.io/b/*, to: \"r.example/{repository}\"}\n",
    );
    config
        .keep_rules(&RuleFilter::new(&["t*".to_owned()]))
        .unwrap();
    assert!(config.rules.is_empty());
    assert_eq!(config.patterns.len(), 1);
}
