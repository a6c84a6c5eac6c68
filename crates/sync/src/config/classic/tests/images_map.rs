//! The `images` map: every row and sentence of docs/files.md#rules.

use super::*;

#[test]
fn every_row_of_the_table_is_read_from_a_file() {
    for (source, destination, expected) in [
        ("q.io/x", "d.io/y", "q.io/x * -> d.io/y"),
        ("q.io/x:v1", "d.io/y", "q.io/x v1 -> d.io/y"),
        ("q.io/x:v1", "d.io/y:t", "q.io/x v1 -> d.io/y:t"),
        ("q.io/x:v1,v2", "d.io/y", "q.io/x v1,v2 -> d.io/y"),
        ("q.io/x:v1,v2", "d.io/y:a,b", "q.io/x v1,v2 -> d.io/y:a,b"),
        ("q.io/x:/^v\\\\d+$/", "d.io/y", "q.io/x /^v\\d+$/ -> d.io/y"),
        ("q.io/x://", "d.io/y", "q.io/x * -> d.io/y"),
        (&format!("q.io/x@{D}"), "d.io/y", "q.io/x @ -> d.io/y"),
        (&format!("q.io/x@{D}"), "d.io/y:t", "q.io/x @ -> d.io/y:t"),
        (
            &format!("q.io/x@{D}"),
            &format!("d.io/y@{D}"),
            "q.io/x @ -> d.io/y@",
        ),
        (&format!("q.io/x:v1@{D}"), "d.io/y", "q.io/x v1@ -> d.io/y"),
        ("q.io/a/b/x:v1", "", "q.io/a/b/x v1 -> d.io/team/mirror/x"),
    ] {
        assert_eq!(
            rules(&format!("\"{source}\": \"{destination}\"\n")),
            [expected]
        );
        assert_eq!(
            rules(&format!("{{\"{source}\": [\"{destination}\"]}}")),
            [expected]
        );
    }
    let wrong = [
        ("q.io/x", "d.io/y:t"),
        ("q.io/x:v1,v2", "d.io/y:a"),
        (&format!("q.io/x@{D}"), "d.io/y@sha256:0"),
    ];
    for (source, destination) in wrong {
        image_problems(&format!("\"{source}\": {destination}\n"));
    }
}

#[test]
fn a_list_of_destinations_is_one_rule() {
    assert_eq!(
        rules("q.io/x:v1:\n- d.io/y\n- e.io/z:t\n- ''\n- d.io/y\n"),
        ["q.io/x v1 -> d.io/y + e.io/z:t + d.io/team/mirror/x"]
    );
}

#[test]
fn rules_keep_their_order_and_know_their_line() {
    let config = read(&[("images.yaml", "q.io/b: d.io/y\n\nq.io/a: d.io/y\n")]).unwrap();
    let lines: Vec<_> = config
        .rules
        .iter()
        .map(|rule| {
            let location = rule.location.clone().unwrap();
            (
                rule.name.to_string(),
                location.line,
                location.file.ends_with("images.yaml"),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("q.io/b".to_owned(), 1, true),
            ("q.io/a".to_owned(), 3, true)
        ]
    );
}

#[test]
fn an_empty_destination_without_both_defaults_is_an_error() {
    let files = [("images.yaml", "q.io/x: ''\n")];
    assert_snapshot!(read(&files).unwrap_err(), @r#"
    images.yaml:1:9: an empty destination needs a default registry and namespace. Write --registry HOST and --namespace NAME, or set DEFAULT_REGISTRY and DEFAULT_NAMESPACE.
      |
    1 | q.io/x: ''
      |         ^^
    "#);
    let half = Defaults {
        namespace: None,
        ..defaults()
    };
    assert_snapshot!(read_with(&files, &half).unwrap_err(), @r#"
    images.yaml:1:9: an empty destination needs a default namespace. Write --namespace NAME, or set DEFAULT_NAMESPACE.
      |
    1 | q.io/x: ''
      |         ^^
    "#);
    let half = Defaults {
        registry: Some(String::new()),
        ..defaults()
    };
    assert_snapshot!(read_with(&files, &half).unwrap_err(), @r#"
    images.yaml:1:9: an empty destination needs a default registry. Write --registry HOST, or set DEFAULT_REGISTRY.
      |
    1 | q.io/x: ''
      |         ^^
    "#);
    let wrong = Defaults {
        registry: Some("https://d.io".to_owned()),
        ..defaults()
    };
    assert_snapshot!(read_with(&files, &wrong).unwrap_err(), @r#"
    images.yaml:1:9: --registry: `https://d.io` is not a registry: drop the scheme `https://`, write `d.io`
      |
    1 | q.io/x: ''
      |         ^^
    "#);
    let wrong = Defaults {
        namespace: Some("Team".to_owned()),
        ..defaults()
    };
    assert_snapshot!(read_with(&files, &wrong).unwrap_err(), @r#"
    images.yaml:1:9: --namespace: `Team` is not a repository: a repository is lower case, write `team` for `Team`
      |
    1 | q.io/x: ''
      |         ^^
    "#);
}

#[test]
fn nothing_at_all_is_an_empty_destination() {
    assert_eq!(rules("q.io/x:\n"), ["q.io/x * -> d.io/team/mirror/x"]);
}

#[test]
fn wrong_rules_are_errors_with_their_place() {
    assert_snapshot!(image_problems(
        "q.io/x: d.io/y:t\nq.io/x:v1,v2:\n  - d.io/y\n  - d.io/y:a\nQ.io/Y: d.io/y\nq.io/z:/[/: d.io/y\n'': d.io/y\n"
    ), @r#"
    images.yaml:1:9: d.io/y:t: several tags cannot get one name. Write d.io/y to keep their names, or name the tags at the source.
      |
    1 | q.io/x: d.io/y:t
      |         ^^^^^^^^

    images.yaml:4:5: d.io/y:a: 1 tag at the destination for 2 tags at the source. Write one for each, in the same order.
      |
    4 |   - d.io/y:a
      |     ^^^^^^^^

    images.yaml:5:1: `Q.io/Y` is not a repository: a repository is lower case, write `y` for `Y`
      |
    5 | Q.io/Y: d.io/y
      | ^^^^^^

    images.yaml:6:1: the expression /[/ cannot be used: unclosed character class
      |
    6 | q.io/z:/[/: d.io/y
      | ^^^^^^^^^^

    images.yaml:7:1: the source is empty. Write registry/repository, with :tag or @digest.
      |
    7 | '': d.io/y
      | ^^
    "#);
    assert_snapshot!(image_problems("{\"q.io/x\": [\"d.io/y\", \"https://d.io/z\"]}"), @r#"
    images.yaml:1:23: `https://d.io/z` is not a repository: drop the scheme `https://`, write `d.io/z`
      |
    1 | {"q.io/x": ["d.io/y", "https://d.io/z"]}
      |                       ^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn variables_in_a_destination_are_read_from_the_environment() {
    assert_eq!(
        rules("q.io/x:v1: $HOST/y:$TAG\nq.io/y: ['${HOST}/z', $HOST/w]\nq.io/z: $EMPTY\n"),
        [
            "q.io/x v1 -> d.io/y:v9",
            "q.io/y * -> d.io/z + d.io/w",
            "q.io/z * -> d.io/team/mirror/z"
        ]
    );
    let config = read(&[("config.yaml", "images:\n  q.io/x: $HOST/y\n")]).unwrap();
    assert_eq!(effect(&config.rules[0]), "q.io/x * -> d.io/y");
    assert_snapshot!(image_problems("q.io/x: $NOPE/y\nq.io/y: [d.io/z, 'd.io/$']\n"), @r#"
    images.yaml:1:9: the environment variable NOPE in `$NOPE/y` is not set
      |
    1 | q.io/x: $NOPE/y
      |         ^^^^^^^

    images.yaml:2:18: the `$` in `d.io/$` names no environment variable. Write `$NAME` or `${NAME}`.
      |
    2 | q.io/y: [d.io/z, 'd.io/$']
      |                  ^^^^^^^^
    "#);
}

#[test]
fn a_dollar_in_a_source_is_no_variable() {
    assert_eq!(rules("q.io/x:/v1$/: d.io/y\n"), ["q.io/x /v1$/ -> d.io/y"]);
}

#[test]
fn duplicate_rules_and_tags_are_done_once() {
    assert_eq!(
        rules(
            "nginx:v1,v1: d.io/y\ndocker.io/library/nginx:v1: [d.io/y, d.io/z]\nnginx:v2: d.io/y\n"
        ),
        [
            "docker.io/library/nginx v1 -> d.io/y + d.io/z",
            "docker.io/library/nginx v2 -> d.io/y"
        ]
    );
}

#[test]
fn a_source_that_stands_twice_is_an_error() {
    assert_snapshot!(image_problems("q.io/x: d.io/y\nq.io/z: d.io/y\nq.io/x: d.io/w\n"), @r#"
    images.yaml:3:1: duplicate source with another destination than in line 1. Write it once, with a list of its destinations.
      |
    3 | q.io/x: d.io/w
      | ^^^^^^
    "#);
    assert_snapshot!(image_problems("{\"q.io/x\": \"d.io/y\", \"q.io/x\": \"d.io/z\"}"), @r#"
    images.yaml:1:22: duplicate source with another destination than in line 1. Write it once, with a list of its destinations.
      |
    1 | {"q.io/x": "d.io/y", "q.io/x": "d.io/z"}
      |                      ^^^^^^^^
    "#);
}

#[test]
fn the_source_may_not_be_empty() {
    for text in ["'': d.io/y\n", "~: d.io/y\n", "{\"\": \"d.io/y\"}"] {
        let told = image_problems(text);
        assert!(told.contains("the source is empty"), "{told}");
    }
}

#[test]
fn no_rule_at_all_is_an_error() {
    for text in ["", "# nothing\n"] {
        let told = image_problems(text);
        assert!(
            told.contains("no image is named. Write `source: destination`."),
            "{told}"
        );
    }
    assert!(problems(&[("config.yaml", "auth: {}\n")]).contains("no image is named"));
}

#[test]
fn an_empty_map_is_meant_and_warned_of() {
    for files in [
        &[("images.yaml", "{}\n")][..],
        &[("config.yaml", "images: {}\n")],
    ] {
        let config = read(files).unwrap();
        assert!(config.rules.is_empty());
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("no image is named. There is nothing to do."));
    }
}

#[test]
fn values_of_the_wrong_kind_are_mistakes() {
    assert_snapshot!(image_problems("q.io/x: {d.io/y: z}\nq.io/y: []\nq.io/z: [[d.io/y]]\n? [q.io/x]\n: d.io/y\n"), @r#"
    images.yaml:1:1: a destination must be a text or a list of texts.
      |
    1 | q.io/x: {d.io/y: z}
      | ^^^^^^

    images.yaml:2:1: the list of destinations is empty. Write at least one, or "" for the default.
      |
    2 | q.io/y: []
      | ^^^^^^

    images.yaml:3:1: a destination must be a text or a list of texts.
      |
    3 | q.io/z: [[d.io/y]]
      | ^^^^^^

    images.yaml:4:3: a key must be a text. Put it in quotes.
      |
    4 | ? [q.io/x]
      |   ^
    "#);
    assert_snapshot!(image_problems("- q.io/x\n"), @r#"
    images.yaml:1:1: this must be a map, not a list. Write `source: destination`.
      |
    1 | - q.io/x
      | ^
    "#);
    assert_snapshot!(image_problems("q.io/x: d.io/y\n  q.io/z: d.io/y\n"), @r#"
    images.yaml:2:9: syntax error: mapping values are not allowed in this context. Put values with special characters in quotes.
      |
    2 |   q.io/z: d.io/y
      |         ^
    "#);
}

#[test]
fn anchors_and_aliases_work() {
    assert_eq!(
        rules("q.io/x: &where [d.io/y, d.io/z]\nq.io/y: *where\n"),
        ["q.io/x * -> d.io/y + d.io/z", "q.io/y * -> d.io/y + d.io/z"]
    );
}

#[test]
fn a_source_may_have_thousands_of_tags_in_both_formats() {
    let tags: Vec<_> = (0..3_000).map(|n| format!("v1.2.{n}-alpine")).collect();
    let tags = tags.join(",");
    let expected = format!("q.io/x {tags} -> d.io/y");
    for text in [
        format!("{{\"q.io/x:{tags}\": \"d.io/y\"}}"),
        format!("q.io/x:{tags}: d.io/y\n"),
        format!("\"q.io/x:{tags}\": d.io/y\n"),
    ] {
        assert_eq!(rules(&text), [&*expected]);
    }
}

#[test]
fn many_rules_are_no_trouble() {
    let lines: Vec<_> = (0..20_000)
        .map(|n| format!("q.io/x{n}: d.io/y{n}"))
        .collect();
    assert_eq!(rules(&lines.join("\n")).len(), 20_000);
}

#[test]
fn the_id_of_a_rule_depends_on_its_source_and_place_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.yaml");
    let ids = |text: &str| -> Vec<RuleId> {
        fs::write(&path, text).unwrap();
        let files = ConfigFiles {
            images: vec![path.clone().into()],
            ..ConfigFiles::default()
        };
        let config = Config::classic(&files, &defaults(), &environment).unwrap();
        config.rules.iter().map(|rule| rule.id).collect()
    };
    let first = ids("q.io/a: d.io/x\nq.io/b: d.io/y\n");
    assert_ne!(first[0], first[1]);
    // Other destinations and other rules below change nothing.
    let second = ids("q.io/a: [e.io/x, d.io/z]\nq.io/b: d.io/y\nq.io/c: d.io/y\n");
    assert_eq!(second[..2], first);
    // Another line or another source is another rule.
    let third = ids("\nq.io/a: d.io/x\nq.io/b:v1: d.io/y\n");
    assert!(third.iter().all(|id| !second.contains(id)));
    // The line counts, and not the rules above it.
    let fourth = ids("q.io/z: d.io/x\nq.io/b: d.io/y\n");
    assert_eq!(fourth[1], first[1]);
}
