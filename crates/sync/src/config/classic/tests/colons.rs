//! Forgotten colons: the message names the line and the form to write.

use super::*;

const IMAGE: &str = "Write `source: destination`.";
const LOGIN: &str = "Write `username: NAME` and `password: PASSWORD`.";
const REGISTRY: &str = "Write `registry:`, and below it `username: NAME` and `password: PASSWORD`.";
const SECTION: &str = "Write `images:`, and below it `source: destination`.";

/// Returns the first line of the problems of a file.
fn first(name: &str, text: &str) -> String {
    let rule = ("images.yaml", "q.io/x: d.io/y\n");
    let told = match name {
        "auth.yaml" => problems(&[(name, text), rule]),
        name => problems(&[(name, text)]),
    };
    told.lines().next().unwrap().to_owned()
}

#[test]
fn a_rule_without_a_colon_is_named() {
    for (text, place) in [
        ("docker.io/library/alpine\n", "1:1"),
        ("q.io/a/b d.io/c/d\n", "1:1"),
        ("# my images\n\nq.io/a:v1 d.io/c:v1\n", "3:1"),
        ("q.io/a -> d.io/c\nq.io/b -> d.io/c\n", "1:1"),
        ("q.io/a:d.io/c\n", "1:1"),
        ("q.io/a\n- d.io/c\n", "1:1"),
        // The parser finds these in the next line, or in a later one.
        ("q.io/a\nq.io/x: d.io/y\n", "1:1"),
        (
            "q.io/w: d.io/y\nq.io/a:d.io/c # not here: there\nq.io/x: d.io/y\n",
            "2:1",
        ),
        (
            "q.io/a\n\n# more: below\nq.io/b d.io/c\nq.io/x: d.io/y\n",
            "1:1",
        ),
        // And these in their own.
        ("q.io/x: d.io/y\nq.io/a\n", "2:1"),
        ("q.io/x: d.io/y\nq.io/a d.io/c\nq.io/z: d.io/y\n", "2:1"),
        ("q.io/x: d.io/y\nq.io/a\n  - d.io/c\n", "2:1"),
        ("  \"q.io/a\" \"d.io/c\"\n", "1:3"),
        ("'q.io/a' 'd.io/c'\n'q.io/x': 'd.io/y'\n", "1:1"),
    ] {
        let expected = format!("images.yaml:{place}: this line has no `: `. {IMAGE}");
        assert_eq!(first("images.yaml", text), expected, "{text}");
    }
    assert_snapshot!(image_problems("q.io/x: d.io/y\nq.io/a d.io/c\n"), @r#"
    images.yaml:2:1: this line has no `: `. Write `source: destination`.
      |
    2 | q.io/a d.io/c
      | ^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_rule_in_another_form_is_refused_with_the_right_one() {
    for (text, told) in [
        (
            "- q.io/a\n- q.io/b\n",
            "1:1: this must be a map, not a list.",
        ),
        (
            "[\"q.io/a\", \"d.io/c\"]",
            "1:1: this must be a map, not a list.",
        ),
        ("- q.io/a: d.io/c\n", "1:1: this must be a map, not a list."),
        (
            "{\"q.io/a\", \"d.io/c\"}",
            "1:2: no `: ` follows this source.",
        ),
        (
            "\"q.io/a: d.io/c\"\n",
            "1:1: this must be a map from source to destination, or to a list of destinations.",
        ),
    ] {
        let expected = format!("images.yaml:{told} {IMAGE}");
        assert_eq!(first("images.yaml", text), expected, "{text}");
    }
    let told = first("images.json", "{\"q.io/a\" \"d.io/c\"}");
    assert_eq!(
        told,
        "images.json:1:11: text follows a closing quote. Write a `:` or a `,` before it, or put the quotes around all of it."
    );
    // With defaults, an entry without a colon means the default destination, as in YAML.
    assert_eq!(
        rules("{q.io/a, q.io/b}"),
        [
            "q.io/a * -> d.io/team/mirror/a",
            "q.io/b * -> d.io/team/mirror/b"
        ]
    );
}

#[test]
fn a_login_without_a_colon_is_named_and_not_shown() {
    for (text, place, form) in [
        ("q.io\n", "1:1", REGISTRY),
        ("q.io me S3cret\n", "1:1", REGISTRY),
        (
            "q.io\n  username: me\n  password: S3cret\n",
            "1:1",
            REGISTRY,
        ),
        ("q.io:\n  username me\n  password: S3cret\n", "2:3", LOGIN),
        ("q.io:\n  username: me\n  password S3cret\n", "3:3", LOGIN),
        ("q.io:\n  username me\n  password S3cret\n", "2:3", LOGIN),
        ("q.io:\n  username:me\n  password:S3cret\n", "2:3", LOGIN),
        (
            "q.io:\n  username: me\n  password:S3cret\nd.io: {}\n",
            "3:3",
            LOGIN,
        ),
    ] {
        let expected = format!("auth.yaml:{place}: this line has no `: `. {form}");
        assert_eq!(first("auth.yaml", text), expected, "{text}");
    }
    let told = first("auth.yaml", "q.io: me:S3cret\n");
    let expected =
        format!("auth.yaml:1:7: this must be a map with username, password and insecure. {LOGIN}");
    assert_eq!(told, expected);
    let told = first("auth.yaml", "q.io:\n- username: me\n  password: S3cret\n");
    assert_eq!(
        told,
        format!("auth.yaml:2:3: this must be a map, not a list. {LOGIN}")
    );
}

#[test]
fn a_line_of_a_combined_file_is_told_by_its_content() {
    for (text, place, form) in [
        ("q.io/a\n", "1:1", SECTION),
        ("images\n  q.io/a: d.io/c\n", "1:1", SECTION),
        ("auth\nimages:\n  q.io/a: d.io/c\n", "1:1", SECTION),
        ("images:\n  q.io/a d.io/c\n", "2:3", IMAGE),
        ("images:\n  q.io/x: d.io/y\n  q.io/a d.io/c\n", "3:3", IMAGE),
        (
            "auth:\n  q.io\nimages:\n  q.io/a: d.io/c\n",
            "2:3",
            REGISTRY,
        ),
        (
            "auth:\n  q.io\n    username: me\nimages:\n  q.io/a: d.io/c\n",
            "2:3",
            REGISTRY,
        ),
        (
            "auth:\n  q.io:\n    password S3cret\n    username: me\n",
            "3:5",
            LOGIN,
        ),
    ] {
        let told = problems(&[("config.yaml", text)]);
        let expected = format!("config.yaml:{place}: this line has no `: `. {form}");
        assert_eq!(told.lines().next().unwrap(), expected, "{text}");
        assert!(!told.contains("no image is named"), "{told}");
    }
}

#[test]
fn other_mistakes_keep_their_message() {
    for text in [
        "q.io/x: d.io/y\n  q.io/z: d.io/y\n",
        "q.io/x:\n  d.io/y\nq.io/z: d.io/y: x\n",
        "q.io/x: 'd.io/y\n  q.io/z\nq.io/w: d.io/y\n",
    ] {
        let told = first("images.yaml", text);
        assert!(told.contains(": syntax error: "), "{told}");
    }
}
