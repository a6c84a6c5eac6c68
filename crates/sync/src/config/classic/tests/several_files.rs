//! Files of one kind that are merged, and what they contradict each other in.

use super::*;

#[test]
fn rules_and_logins_of_all_files_count() {
    let config = read(&[
        ("images.one.yaml", "q.io/x:v1: d.io/y\nq.io/z:v1: d.io/z\n"),
        (
            "images.two.json",
            r#"{"q.io/w:v1": "d.io/w", "q.io/x:v1": ["e.io/y", "d.io/y"]}"#,
        ),
        ("auth.one.yaml", "q.io: {username: u, password: p}\n"),
        (
            "auth.two.yaml",
            "d.io: {username: v, password: p}\nq.io: {username: u, password: p}\n",
        ),
    ])
    .unwrap();
    let rules: Vec<_> = config.rules.iter().map(|rule| effect(rule)).collect();
    assert_eq!(
        rules,
        [
            "q.io/x v1 -> d.io/y + e.io/y",
            "q.io/z v1 -> d.io/z",
            "q.io/w v1 -> d.io/w"
        ]
    );
    let logins: Vec<_> = config.credentials.iter().map(outline).collect();
    assert_eq!(logins, ["q.io u:p", "d.io v:p"]);
}

#[test]
fn combined_files_are_merged() {
    let one = "auth:\n  q.io: {username: u, password: p}\nimages:\n  q.io/x:v1: d.io/y\n";
    let two = "images:\n  q.io/z:v1: d.io/z\n";
    let config = read(&[("config.one.yaml", one), ("config.two.yaml", two)]).unwrap();
    assert_eq!((config.rules.len(), config.credentials.len()), (2, 1));
}

#[test]
fn contradictions_are_told_with_both_places() {
    assert_snapshot!(problems(&[
        ("auth.one.yaml", "\nq.io: {username: u, password: S3cret}\n"),
        ("auth.two.yaml", "q.io/: {username: v, password: S3cret}\n"),
        ("images.one.yaml", "\nq.io/a/app:v1: d.io/y\n"),
        ("images.two.yaml", "q.io/b/app:v1: d.io/y\n"),
    ]).replace(std::env::temp_dir().to_str().unwrap(), "/tmp"), @r#"
    auth.two.yaml:1:1: this is the same registry as the key in auth.one.yaml:2, with another value. Keep one of the two.
      |
    1 | q.io/…
      | ^^^^^

    images.two.yaml:1:1: d.io/y:v1 gets two images, q.io/b/app:v1 here and q.io/a/app:v1 in images.one.yaml:2. Give one of them another tag or repository.
      |
    1 | q.io/b/app:v1: d.io/y
      | ^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_file_without_rules_beside_others_is_a_warning() {
    let files = [
        ("images.one.yaml", ""),
        ("images.two.yaml", "q.io/x:v1: d.io/y\n"),
    ];
    assert_eq!(
        warnings(&files),
        ["images.one.yaml:1:1: no image is named. Write `source: destination`."]
    );
    let told = problems(&[("images.one.yaml", ""), ("images.two.yaml", "# none\n")]);
    assert_eq!(told.matches("no image is named").count(), 2, "{told}");
}

#[test]
fn standard_input_is_read_once() {
    let files = ConfigFiles {
        auth: vec![Input::Stdin],
        images: vec![PathBuf::from("-").into()],
        ..ConfigFiles::default()
    };
    let told = Config::classic(&files, &Defaults::default(), &environment).unwrap_err();
    assert_eq!(
        told.to_string(),
        "--auth - and --images -: standard input can be read only once. Use files for the others."
    );
}

#[test]
fn two_images_for_one_tag_are_refused() {
    assert_snapshot!(image_problems(
        "q.io/a/app:v1: d.io/app\nq.io/b/app:v1: [e.io/app, d.io/app]\nq.io/c:v1,v2: d.io/c:x,y\nq.io/c:v3: d.io/c:y\n"
    ), @r#"
    images.yaml:2:1: d.io/app:v1 gets two images, q.io/b/app:v1 here and q.io/a/app:v1 in line 1. Give one of them another tag or repository.
      |
    2 | q.io/b/app:v1: [e.io/app, d.io/app]
      | ^^^^^^^^^^^^^

    images.yaml:4:1: d.io/c:y gets two images, q.io/c:v3 here and q.io/c:v2 in line 3. Give one of them another tag or repository.
      |
    4 | q.io/c:v3: d.io/c:y
      | ^^^^^^^^^
    "#);
    let told = read_with(
        &[("images.yaml", "q.io/a/app:v1: ''\nq.io/b/app:v1: ''\n")],
        &defaults(),
    );
    assert_snapshot!(told.unwrap_err(), @r#"
    images.yaml:2:1: d.io/team/mirror/app:v1 gets two images, q.io/b/app:v1 here and q.io/a/app:v1 in line 1. Give one of them another tag or repository.
      |
    2 | q.io/b/app:v1: ''
      | ^^^^^^^^^^^^^
    "#);
}

#[test]
fn tags_that_only_registries_know_are_no_mistake() {
    assert_eq!(
        rules("q.io/a:/^v/: d.io/y\nq.io/b: d.io/y\nq.io/c:v1: d.io/y\n").len(),
        3
    );
    let files = [(
        "images.yaml",
        "q.io/a/app: ''\nq.io/b/app: ''\nq.io/b/app:v1: ''\n",
    )];
    assert_eq!(
        warnings(&files),
        [
            "images.yaml:2:1: the empty destination means d.io/team/mirror/app here, as for q.io/a/app in line 1. Of two images with one tag, the second fails. Write a destination for one of them.",
            "images.yaml:3:1: the empty destination means d.io/team/mirror/app here, as for q.io/a/app in line 1. Of two images with one tag, the second fails. Write a destination for one of them."
        ]
    );
}

#[test]
fn the_same_line_twice_is_done_once_with_a_warning() {
    for text in [
        "q.io/x:v1: d.io/y\nq.io/x:v1: d.io/y\n",
        "{\"q.io/x:v1\": [\"d.io/y\"],\n\"q.io/x:v1\": [\"d.io/y\"]}",
    ] {
        assert_eq!(rules(text), ["q.io/x v1 -> d.io/y"]);
        let told = warnings(&[("images.yaml", text)]);
        assert_eq!(
            told,
            ["images.yaml:2:1: duplicate key with the same value as in line 1. It counts once."]
        );
    }
}

#[test]
fn what_other_parsers_forgive_is_named() {
    assert_snapshot!(image_problems("{\n  // all tags\n  \"q.io/x:v1\": \"d.io/y\"\n}\n"), @r#"
    images.yaml:2:3: JSON has no comments. Remove this one, or write the file as YAML, in which comments begin with `#`.
      |
    2 |   // all tags
      |   ^^
    "#);
    assert_snapshot!(image_problems("\"q.io/x:v1\":\"d.io/y\"\n"), @r#"
    images.yaml:1:12: a blank after the colon is missing. Write `"source": "destination"`.
      |
    1 | "q.io/x:v1":"d.io/y"
      |            ^
    "#);
    assert_snapshot!(auth_problems("{\n  \"q.io\": {            // S3cret\n    \"username\": \"x\"\n  }\n}\n"), @"auth.yaml:2:24: JSON has no comments. Remove this one, or write the file as YAML, in which comments begin with `#`.");
}
