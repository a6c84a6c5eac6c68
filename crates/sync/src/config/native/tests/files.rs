//! The file as a whole: kinds, variables, anchors, includes.

use super::*;
use crate::rule::ConflictAction;

fn files(files: &[(&str, &str)]) -> Vec<String> {
    let config = read_files(files, &OptionOverrides::default());
    outlines(&config.unwrap_or_else(|problems| panic!("{problems}")))
}

fn files_mistakes(files: &[(&str, &str)]) -> String {
    read_files(files, &OptionOverrides::default()).unwrap_err()
}

#[test]
fn json_is_read_as_yaml_is() {
    let json = "{\"version\": 1, \"rules\": [{\"from\": \"q.io/x\", \"tags\": [\"1.10\"], \"to\": \"r.example/{name}\"}]}";
    assert_eq!(
        files(&[("file.json", json)]),
        ["q.io/x: q.io/x 1.10 -> r.example/x"]
    );
}

#[test]
fn variables_are_replaced_after_parsing() {
    assert_eq!(
        rules("  - {from: \"${HOST}/x\", to: \"${TO:-s.example}/y\"}\n"),
        ["r.example/x: r.example/x all -> s.example/y"]
    );
    insta::assert_snapshot!(rule_mistakes("  - {from: q.io/x, to: \"${NOPE}/y\"}\n  - {from: \"q.io/${NOPE:?the name}\", to: r.example/y}\n"), @r#"
    file.yaml:3:25: the environment variable NOPE is not set. Set it, or write `${NOPE:-DEFAULT}`; `$$` for a `$` itself.
      |
    3 |   - {from: q.io/x, to: "${NOPE}/y"}
      |                         ^^^^^^^

    file.yaml:4:18: the environment variable NOPE is not set: the name
      |
    4 |   - {from: "q.io/${NOPE:?the name}", to: r.example/y}
      |                  ^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn anchors_and_merge_keys_work() {
    assert_eq!(
        files(&[(
            "file.yaml",
            "version: 1\nx-base: &base\n  to: r.example/{name}\n  tags: [v1]\nx-list: &list [q.io/x]\nrules:\n  - <<: *base\n    from: *list\n  - <<: *base\n    from: q.io/z\n    tags: v2\n"
        )]),
        [
            "q.io/x: q.io/x v1 -> r.example/x",
            "q.io/z: q.io/z v2 -> r.example/z"
        ]
    );
}

#[test]
fn files_of_two_kinds_are_refused() {
    insta::assert_snapshot!(mistakes("version: 1\nimages:\n  q.io/x: r.example/y\n"), @r#"
    file.yaml:2:1: the file has the native key `version` in line 1 and the classic key `images` in line 2. Write two files, or convert the classic part with image-syncer convert.
      |
    2 | images:
      | ^^^^^^
    "#);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("a.yaml"), "images: {q.io/x: r.example/y}\n").unwrap();
    fs::write(at("b.yaml"), "version: 1\nrules: []\n").unwrap();
    let given = ConfigFiles {
        config: vec![at("a.yaml").into(), at("b.yaml").into()],
        ..ConfigFiles::default()
    };
    let read = Config::read(
        &given,
        &defaults(),
        &environment,
        &OptionOverrides::default(),
    );
    let prefix = format!("{}/", directory.path().display());
    insta::assert_snapshot!(read.unwrap_err().to_string().replace(&prefix, ""), @"b.yaml: this is a native file, and a.yaml is a classic one (line 1). Use files of one kind: image-syncer convert writes a classic file as a native one.");
    let given = ConfigFiles {
        config: vec![at("b.yaml").into()],
        ..ConfigFiles::default()
    };
    let read = Config::classic(&given, &defaults(), &environment);
    insta::assert_snapshot!(read.unwrap_err().to_string().replace(&prefix, ""), @"b.yaml: this is a native file already. Use classic files here.");
}

#[test]
fn keys_decide_the_kind_of_a_file() {
    let native = "the key `version` is missing";
    for text in [
        "rules: []\n",
        "registries: {}\n",
        "ruls:\n  - from: q.io/x\n",
        "defaults: {}\n",
    ] {
        let told = mistakes(text);
        assert!(told.contains(native), "{text}: {told}");
    }
    for text in ["{}\n", "imagse: {}\n", "foo: bar\n"] {
        let told = mistakes(text);
        assert!(!told.contains(native), "{text}: {told}");
    }
}

#[test]
fn included_files_are_merged() {
    let all = [
        (
            "main.yaml",
            "version: 1\ninclude: [more/a.yaml, 'more/conf.d/*.yaml']\nrules:\n  - {from: q.io/main, to: \"r.example/{name}\"}\n",
        ),
        (
            "more/a.yaml",
            "version: 1\ninclude: b.yaml\ndefaults: {conflict: fail}\nrules:\n  - {from: q.io/a, to: \"r.example/{name}\"}\n",
        ),
        (
            "more/b.yaml",
            "version: 1\nrules:\n  - {from: q.io/b, to: \"r.example/{name}\"}\n",
        ),
        (
            "more/conf.d/2.yaml",
            "version: 1\nrules:\n  - {from: q.io/two, to: \"r.example/{name}\"}\n",
        ),
        (
            "more/conf.d/1.yaml",
            "version: 1\nrules:\n  - {from: q.io/one, to: \"r.example/{name}\"}\n",
        ),
    ];
    let config = read_files(&all, &OptionOverrides::default()).unwrap();
    let found = outlines(&config);
    // Each file has defaults of its own.
    let actions = config
        .rules
        .iter()
        .map(|rule| rule.options.conflict.otherwise);
    let strict: Vec<bool> = actions.map(|it| it == ConflictAction::Fail).collect();
    assert_eq!(strict, [false, true, false, false, false]);
    let names: Vec<&str> = found
        .iter()
        .map(|rule| rule.split(':').next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["q.io/b", "q.io/a", "q.io/one", "q.io/two", "q.io/main"]
    );
}

#[test]
fn mistakes_of_all_files_are_reported_at_once() {
    insta::assert_snapshot!(files_mistakes(&[
        (
            "main.yaml",
            "version: 1\ninclude: [a.yaml, missing.yaml]\nregistries: {r.example: {}}\nrules:\n  - {name: x, from: q.io/x, to: r.example/x}\n  - {from: q.io/y, too: r.example/y}\n",
        ),
        (
            "a.yaml",
            "version: 1\ninclude: main.yaml\nregistries:\n  r.example: {login: docker}\nrules:\n  - {name: x, from: q.io/z, to: r.example/z}\n",
        ),
    ]), @r#"
    main.yaml:2:19: missing.yaml does not exist. Write the path relative to this file.
      |
    2 | include: [a.yaml, missing.yaml]
      |                   ^^^^^^^^^^^^

    main.yaml:3:14: this is the same registry as the key in a.yaml:4. Write one entry for it.
      |
    3 | registries: {r.example: {}}
      |              ^^^^^^^^^

    main.yaml:5:6: the rule name `x` is used in a.yaml:6 already. Write another name.
      |
    5 |   - {name: x, from: q.io/x, to: r.example/x}
      |      ^^^^

    main.yaml:6:20: unknown key `too`. Write `to`.
      |
    6 |   - {from: q.io/y, too: r.example/y}
      |                    ^^^

    a.yaml:2:10: main.yaml includes itself, directly or through other files
      |
    2 | include: main.yaml
      |          ^^^^^^^^^
    "#);
}

#[test]
fn a_chain_of_includes_ends() {
    let name = |level: usize| format!("{level}.yaml");
    let text = |level: usize| {
        format!(
            "version: 1\ninclude: {}\nrules:\n  - {{from: q.io/{level}, to: r.example/{level}}}\n",
            name(level + 1)
        )
    };
    let written: Vec<(String, String)> = (0..9).map(|level| (name(level), text(level))).collect();
    let mut all: Vec<(&str, &str)> = written
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    all.push(("9.yaml", "version: 1\nrules: []\n"));
    insta::assert_snapshot!(files_mistakes(&all), @r#"
    7.yaml:2:10: files may include each other 8 levels deep. Include 8.yaml from a file further up.
      |
    2 | include: 8.yaml
      |          ^^^^^^
    "#);
}

#[test]
fn a_glob_without_match_is_a_warning() {
    let config = read_files(
        &[(
            "file.yaml",
            "version: 1\ninclude: ['none/*.yaml', '*.yaml']\nrules:\n  - {from: q.io/x, to: r.example/y}\n",
        )],
        &OptionOverrides::default(),
    )
    .unwrap();
    let told = warnings(&config);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with("none/*.yaml matches no file"), "{told:?}");
}

#[test]
fn a_file_without_rules_names_what_is_missing() {
    insta::assert_snapshot!(mistakes("version: 1\nregistries: {r.example: {login: anonymous}}\n"), @r#"
    file.yaml:1:1: no rule is given. Write `rules:`, and below it `- from: …` and `to: …`.
      |
    1 | version: 1
      | ^
    "#);
    let config = read("version: 1\nrules: []\n");
    assert_eq!(
        warnings(&config),
        ["2:8: no image is named. There is nothing to do."]
    );
}

#[test]
fn registries_are_read_without_rules() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(
        at("a.yaml"),
        "version: 1\nregistries: {r.example: {login: docker}}\nrules:\n  - {from: \"q.io/[\", to: x}\n",
    )
    .unwrap();
    fs::write(
        at("b.yaml"),
        "auth: {r.example: {username: me, password: S3cret}}\nimages: {\"::\": x}\n",
    )
    .unwrap();
    let registries =
        |name: &str| Config::registries(&[at(name).into()], Vec::new(), &environment).unwrap();
    let config = registries("a.yaml");
    assert_eq!(config.registries.len(), 1);
    assert!(config.rules.is_empty() && config.warnings.is_empty());
    assert_eq!(registries("b.yaml").credentials.len(), 1);
}

#[test]
fn a_file_that_is_given_twice_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    fs::write(
        &path,
        "version: 1\nrules:\n  - {from: q.io/x, to: r.example/x}\n",
    )
    .unwrap();
    let given = ConfigFiles {
        config: vec![path.clone().into(), path.into()],
        ..ConfigFiles::default()
    };
    let flags = OptionOverrides::default();
    let config = Config::read(&given, &defaults(), &environment, &flags).unwrap();
    assert_eq!(config.rules.len(), 1);
    let told = warnings(&config);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].ends_with("a.yaml is given or included twice. It counts once."),
        "{told:?}"
    );
}
