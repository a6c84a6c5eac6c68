//! Every row of the table of mistakes.

use super::*;

#[test]
fn an_unknown_key_is_named_with_the_nearest_or_all() {
    insta::assert_snapshot!(mistakes("version: 1\nrulez: []\nfoo: bar\nregistries:\n  r.example: {tsl: {}, logn: auto, size: 5}\n"), @r#"
    file.yaml:2:1: unknown key `rulez`. Write `rules`.
      |
    2 | rulez: []
      | ^^^^^

    file.yaml:3:1: unknown key `foo`. The keys of the file are `version`, `include`, `registries`, `defaults`, `rules`, `service` and `share`.
      |
    3 | foo…
      | ^^^

    file.yaml:5:15: unknown key `tsl`. Write `tls`.
      |
    5 |   …tsl…
      |    ^^^

    file.yaml:5:24: unknown key `logn`. Write `login`.
      |
    5 |   …logn…
      |    ^^^^

    file.yaml:5:36: unknown key `size`. The keys of `registry` are `login`, `list`, `api`, `api-login`, `tls`, `proxy`, `limits`, `trust-realm` and `allow-private`.
      |
    5 |   …size…
      |    ^^^^
    "#);
    insta::assert_snapshot!(rule_mistakes("  - {from: q.io/x, to: r.example/y, platform: linux/amd64, semver: \">1\", destination: z}\n"), @r#"
    file.yaml:3:37: unknown key `platform`. Write `platforms`.
      |
    3 |   - {from: q.io/x, to: r.example/y, platform: linux/amd64, semver: ">1", destination: z}
      |                                     ^^^^^^^^

    file.yaml:3:60: unknown key `semver`: this is a key of `tags`. The keys of `rule` are `name`, `from`, `except`, `tags`, `to`, `platforms`, `attestations`, `sparse`, `foreign-layers`, `referrers`, `conflict`, `immutable`, `schedule` and `if-empty`.
      |
    3 | …, platform: linux/amd64, semver: ">1", destination: z}
      |                           ^^^^^^

    file.yaml:3:74: unknown key `destination`. The keys of `rule` are `name`, `from`, `except`, `tags`, `to`, `platforms`, `attestations`, `sparse`, `foreign-layers`, `referrers`, `conflict`, `immutable`, `schedule` and `if-empty`.
      |
    3 | …nux/amd64, semver: ">1", destination: z}
      |                           ^^^^^^^^^^^
    "#);
}

#[test]
fn a_tag_is_given_once() {
    insta::assert_snapshot!(rule_mistakes("  - from: [q.io/x:v1, q.io/z, \"q.io/{a,b}:v2\"]\n    tags: v2\n    to: r.example/{name}\n"), @r#"
    file.yaml:3:12: the tag is given twice: in `from` and in `tags` (line 4). Remove one of the two.
      |
    3 |   - from: [q.io/x:v1, q.io/z, "q.io/{a,b}:v2"]
      |            ^^^^^^^^^

    file.yaml:3:31: the tag is given twice: in `from` and in `tags` (line 4). Remove one of the two.
      |
    3 |   - from: [q.io/x:v1, q.io/z, "q.io/{a,b}:v2"]
      |                               ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn braces_without_quotes_are_explained() {
    for text in [
        "  - {from: q.io/x, to: [{repository}]}\n",
        "  - from: q.io/x\n    to: {repository}\n",
        "  - from: q.io/x\n    to: [r.example/{repository}]\n",
        "  - from: q.io/x\n    to: {repository: r.example/{repository|flatten}, platforms: all}\n",
        "  - from: [q.io/{a,b}]\n    to: r.example/{name}\n",
        "  - from: {a,b}/c\n    to: r.example/{name}\n",
        "  - from: q.io/x\n    to: {repository}/x\n",
    ] {
        let told = rule_mistakes(text);
        let message = told.lines().next().unwrap();
        assert!(
            message.contains("YAML needs quotes around text with `{ }`"),
            "{text}: {told}"
        );
    }
    insta::assert_snapshot!(rule_mistakes("  - from: q.io/x\n    to: [r.example/{repository}]\n"), @r#"
    file.yaml:4:20: YAML needs quotes around text with `{ }` inside `[ ]`
      |
    4 |     to: [r.example/{repository}]
      |                    ^
    "#);
    insta::assert_snapshot!(rule_mistakes("  - from: q.io/x\n    to: [{repository}, {name}]\n"), @r#"
    file.yaml:4:10: YAML needs quotes around text with `{ }` inside `[ ]`. Write "{repository}".
      |
    4 |     to: [{repository}, {name}]
      |          ^

    file.yaml:4:24: YAML needs quotes around text with `{ }` inside `[ ]`. Write "{name}".
      |
    4 |     to: [{repository}, {name}]
      |                        ^
    "#);
}

#[test]
fn patterns_ranges_and_templates_are_checked() {
    insta::assert_snapshot!(rule_mistakes(
        "  - {name: a, from: \"q.io/[/x\", to: r.example/y}\n  - {name: b, from: q.io/x, tags: [\"v[\", \"/(/\", \"v1,v2\"], to: r.example/y}\n  - {name: c, from: q.io/x, tags: {semver: \">=2 <1\"}, to: r.example/y}\n  - {name: d, from: q.io/x, tags: {semver: \"newest\", older-than: 3x, newest: 0}, to: r.example/y}\n  - {name: e, from: q.io/x, to: \"r.example/{repo}\"}\n  - {name: f, from: q.io/x, to: \"r.example/{repository|flat}\"}\n  - {name: g, from: q.io/**, except: \"/(/\", to: \"r.example/{repository}\"}\n  - {name: h, from: q.io/x, to: {repository: r.example/y, tag: \"{tg}\"}}\n"
    ), @r#"
    file.yaml:3:21: q.io/[/x: an opening bracket has no closing one in the same component.
      |
    3 |   - {name: a, from: "q.io/[/x", to: r.example/y}
      |                     ^^^^^^^^^^

    file.yaml:4:36: the pattern `v[`: not a glob: unclosed character class; missing ']'. Write one such as v* or v[0-9]*, or an expression such as /^v[0-9]/.
      |
    4 |   - {name: b, from: q.io/x, tags: ["v[", "/(/", "v1,v2"], to: r.example/y}
      |                                    ^^^^

    file.yaml:4:42: the pattern `/(/`: the expression /(/ cannot be used: unclosed group. Write one in RE2 syntax, such as /^v[0-9]/.
      |
    4 |   - {name: b, from: q.io/x, tags: ["v[", "/(/", "v1,v2"], to: r.example/y}
      |                                          ^^^^^

    file.yaml:4:49: the pattern `v1,v2`: no tag has ',' in it. Write a pattern for the tag alone, such as v*.
      |
    4 |   - {name: b, from: q.io/x, tags: ["v[", "/(/", "v1,v2"], to: r.example/y}
      |                                                 ^^^^^^^

    file.yaml:5:44: the range >=2 <1 is empty: no version satisfies it. Write a range such as >=1.20 <2.
      |
    5 |   - {name: c, from: q.io/x, tags: {semver: ">=2 <1"}, to: r.example/y}
      |                                            ^^^^^^^^

    file.yaml:6:44: the range newest has newest, which is not a version. Write numbers such as 1.20 or 1.20.3, or a wildcard such as 1.x.
      |
    6 |   - {name: d, from: q.io/x, tags: {semver: "newest", older-than: 3x, newest: 0}, to: r.example/y}
      |                                            ^^^^^^^^

    file.yaml:6:66: 3x is not an age. Write a whole number above 0 with its unit, such as 30m, 12h or 3d.
      |
    6 | …r: "newest", older-than: 3x, newest: 0}, to: r.example/y}
      |                           ^^

    file.yaml:6:78: `newest`: not a number. Write a whole number from 1 to 1000000.
      |
    6 | … older-than: 3x, newest: 0}, to: r.example/y}
      |                           ^

    file.yaml:7:45: unknown name {repo}. Write {repository}, {name}, {namespace}, {host}, {registry}, {date}, {tag} or {1} to {9}.
      |
    7 |   - {name: e, from: q.io/x, to: "r.example/{repo}"}
      |                                             ^^^^

    file.yaml:8:56: unknown filter flat. Did you mean last? The filters are |strip:PREFIX, |flatten, |flatten:SEPARATOR, |last:N, |lower or |replace:A:B.
      |
    8 | …: "r.example/{repository|flat}"}
      |                           ^^^^

    file.yaml:9:38: the expression /(/ cannot be used: unclosed group
      |
    9 |   - {name: g, from: q.io/**, except: "/(/", to: "r.example/{repository}"}
      |                                      ^^^^^

    file.yaml:10:66: unknown name {tg}. Did you mean {tag}? The names are {repository}, {name}, {namespace}, {host}, {registry}, {date}, {tag} or {1} to {9}.
       |
    10 | …ory: r.example/y, tag: "{tg}"}}
       |                           ^^
    "#);
}

#[test]
fn a_rule_name_is_used_once() {
    insta::assert_snapshot!(rule_mistakes(
        "  - {name: a, from: q.io/x, to: r.example/x}\n  - {name: a, from: q.io/y, to: r.example/y}\n  - {from: q.io/z, to: r.example/z}\n  - {from: q.io/z, to: s.example/z}\n  - {name: \"\", from: q.io/w, to: s.example/w}\n"
    ), @r#"
    file.yaml:4:6: the rule name `a` is used in line 3 already. Write another name.
      |
    4 |   - {name: a, from: q.io/y, to: r.example/y}
      |      ^^^^

    file.yaml:6:6: the rule has the same name as the one in line 5: `from` as written. Write a `name`.
      |
    6 |   - {from: q.io/z, to: s.example/z}
      |      ^^^^

    file.yaml:7:6: the name is empty. Write one, or remove the key.
      |
    7 |   - {name: "", from: q.io/w, to: s.example/w}
      |      ^^^^
    "#);
}

#[test]
fn two_images_for_one_tag_are_a_mistake() {
    insta::assert_snapshot!(rule_mistakes(
        "  - {from: q.io/x:v1, to: r.example/y}\n  - {from: q.io/z:v1, to: r.example/y}\n  - {from: r.example/y:v2, to: r.example/y}\n"
    ), @r#"
    file.yaml:4:12: r.example/y:v1 gets two images, q.io/z:v1 here and q.io/x:v1 in line 3. Give one of them another tag or repository.
      |
    4 |   - {from: q.io/z:v1, to: r.example/y}
      |            ^^^^^^^^^

    file.yaml:5:32: no destination r.example/y for r.example/y: it is the source itself.
      |
    5 |   - {from: r.example/y:v2, to: r.example/y}
      |                                ^^^^^^^^^^^
    "#);
}

#[test]
fn values_of_another_kind_are_refused() {
    insta::assert_snapshot!(mistakes("version: 2\nrules:\n  - {from: {a: b}, to: [], tags: , except: []}\n  - just text\n  - {from: q.io/x, to: r.example/x, sparse: maybe, conflict: keep, tags: {newest: many, at-least: -1}}\n"), @r#"
    file.yaml:1:10: `version`: there is no such value. Write `1`.
      |
    1 | version: 2
      |          ^

    file.yaml:3:12: `from` must be a text or a list of texts
      |
    3 |   - {from: {a: b}, to: [], tags: , except: []}
      |            ^

    file.yaml:3:24: the list of `to` is empty. Write at least one item.
      |
    3 |   - {from: {a: b}, to: [], tags: , except: []}
      |                        ^

    file.yaml:3:32: `tags` has no value. Write a text, a list of texts or a map, or remove the key.
      |
    3 |   - {from: {a: b}, to: [], tags: , except: []}
      |                                ^

    file.yaml:3:44: the list of `except` is empty. Write at least one item.
      |
    3 |   - {from: {a: b}, to: [], tags: , except: []}
      |                                            ^

    file.yaml:4:5: an item of `rules` must be a map with `from` and `to`
      |
    4 |   - just text
      |     ^^^^^^^^^

    file.yaml:5:45: `sparse`: neither true nor false
      |
    5 |   - {from: q.io/x, to: r.example/x, sparse: maybe, conflict: keep, tags: {newest: many, at-least: -1…
      |                                             ^^^^^

    file.yaml:5:62: `conflict`: there is no such value. Write `overwrite`, `skip` or `fail`.
      |
    5 | …sparse: maybe, conflict: keep, tags: {newest: many, at-least: -1}}
      |                           ^^^^

    file.yaml:5:83: `newest`: not a number. Write a whole number from 1 to 1000000.
      |
    5 | …ct: keep, tags: {newest: many, at-least: -1}}
      |                           ^^^^

    file.yaml:5:99: `at-least`: not a number. Write a whole number from 0 to 1000000.
      |
    5 | …{newest: many, at-least: -1}}
      |                           ^^
    "#);
    insta::assert_snapshot!(mistakes("version: 1\nversion: 1\nrules: {from: q.io/x, to: r.example/x}\n? [a]\n: b\n"), @r#"
    file.yaml:2:1: duplicate key, as in line 1. Keep one of the two.
      |
    2 | version: 1
      | ^^^^^^^

    file.yaml:3:8: `rules` must be a list of rules
      |
    3 | rules: {from: q.io/x, to: r.example/x}
      |        ^

    file.yaml:4:3: a key must be a text. Put it in quotes.
      |
    4 | ? [a]
      |   ^
    "#);
    insta::assert_snapshot!(mistakes("version: 1\nrules:\n  - to: r.example/x\n  -\n"), @r#"
    file.yaml:3:5: the key `from` is missing. Write `from: …`.
      |
    3 |   - to: r.example/x
      |     ^

    file.yaml:4:4: an item of `rules` has no value. Write a map with `from` and `to`, or remove it.
      |
    4 |   -
      |    ^
    "#);
}

#[test]
fn a_line_without_a_colon_is_explained() {
    insta::assert_snapshot!(mistakes("version: 1\nrules\n"), @r#"
    file.yaml:2:1: this line has no `: `. Write `key: value`.
      |
    2 | rules
      | ^^^^^
    "#);
    insta::assert_snapshot!(mistakes("version: 1\nrules:\n  - from: q.io/x\n    to r.example/y\n"), @r#"
    file.yaml:4:5: this line has no `: `. Write `key: value`.
      |
    4 |     to r.example/y
      |     ^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(mistakes("version: 1\nrules:\n  - from: **/x\n    to: r.example/y\n"), @r#"
    file.yaml:3:11: `*` begins the name of an anchor. Put a value that begins with it in quotes.
      |
    3 |   - from: **/x
      |           ^
    "#);
}
