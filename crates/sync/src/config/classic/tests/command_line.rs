//! The files that the command line gives (docs/reference.md#files).

use super::*;

#[test]
fn one_file_holds_both_halves_in_yaml_or_json() {
    let yaml = "auth:\n  q.io: {username: u, password: p}\nimages:\n  q.io/x: d.io/y\n";
    let json =
        r#"{"auth": {"q.io": {"username": "u", "password": "p"}}, "images": {"q.io/x": "d.io/y"}}"#;
    for (name, text) in [
        ("config.yaml", yaml),
        ("config.json", json),
        ("config.yml", json),
    ] {
        let config = read(&[(name, text)]).unwrap();
        assert_eq!(
            config.credentials.iter().map(outline).collect::<Vec<_>>(),
            ["q.io u:p"]
        );
        assert_eq!(
            config
                .rules
                .iter()
                .map(|rule| effect(rule))
                .collect::<Vec<_>>(),
            ["q.io/x * -> d.io/y"]
        );
    }
}

#[test]
fn the_two_halves_in_two_files_of_either_format() {
    let config = read(&[
        (
            "auth.json",
            r#"{"q.io": {"username": "u", "password": "p", "insecure": true}}"#,
        ),
        ("images.yaml", "q.io/x:v1: d.io/y\n"),
    ])
    .unwrap();
    assert_eq!(outline(&config.credentials[0]), "q.io u:p insecure");
    assert_eq!(effect(&config.rules[0]), "q.io/x v1 -> d.io/y");
}

#[test]
fn images_alone_is_fine() {
    assert_eq!(
        read(&[("images.yaml", "q.io/x: d.io/y")])
            .unwrap()
            .credentials
            .len(),
        0
    );
}

#[test]
fn auth_alone_is_an_error() {
    assert_eq!(
        problems(&[("auth.yaml", "q.io: {}")]),
        "--auth alone names no image. Add --images FILE."
    );
}

#[test]
fn config_excludes_the_other_two() {
    for other in ["auth.yaml", "images.yaml"] {
        assert_eq!(
            problems(&[("config.yaml", ""), (other, "")]),
            "--config cannot be used with --auth or --images. Use either --config FILE, or --images FILE with --auth FILE."
        );
    }
}

#[test]
fn no_file_at_all_is_an_error() {
    assert!(problems(&[]).starts_with("no image is named. Use --images FILE"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let files = ConfigFiles {
        images: vec![PathBuf::from("no/such.yaml").into()],
        ..ConfigFiles::default()
    };
    let told = Config::classic(&files, &Defaults::default(), &environment)
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("no/such.yaml: the file cannot be read: "),
        "{told}"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.yaml");
    fs::write(&path, b"a: \xe9\n").unwrap();
    let told = Config::credentials(&[path.clone().into()], Vec::new(), &environment)
        .unwrap_err()
        .to_string();
    assert_eq!(
        told,
        format!("{}: the file is not UTF-8 text", path.display())
    );
}

#[test]
fn a_byte_order_mark_is_forgiven() {
    assert_eq!(rules("\u{feff}q.io/x: d.io/y"), ["q.io/x * -> d.io/y"]);
}

#[test]
fn all_mistakes_of_all_files_are_told_together() {
    assert_snapshot!(problems(&[
        ("auth.yaml", "q.io:\n  pasword: S3cret\nhttps://q.io: {}\n"),
        ("images.yaml", "q.io/X: d.io/y\nq.io/x:v1,v2:\n- d.io/y:a\n- d.io/Z\n"),
    ]), @r#"
    auth.yaml:2:3: unknown key `pasword`: an entry has the keys `username`, `password` and `insecure`. Write `password`.
      |
    2 |   pasword…
      |   ^^^^^^^

    images.yaml:1:1: `q.io/X` is not a repository: a repository is lower case, write `x` for `X`
      |
    1 | q.io/X: d.io/y
      | ^^^^^^

    images.yaml:3:3: d.io/y:a: 1 tag at the destination for 2 tags at the source. Write one for each, in the same order.
      |
    3 | - d.io/y:a
      |   ^^^^^^^^

    images.yaml:4:3: `d.io/Z` is not a repository: a repository is lower case, write `z` for `Z`
      |
    4 | - d.io/Z
      |   ^^^^^^
    "#);
}

#[test]
fn unknown_keys_of_a_combined_file_are_mistakes() {
    assert_snapshot!(problems(&[("config.yaml", "image:\n  q.io/x: d.io/y\nimages:\n  q.io/x: d.io/y\nproc: 5\n")]), @r#"
    config.yaml:1:1: unknown key `image`: the file has the keys `auth` and `images`. Write `images`.
      |
    1 | image…
      | ^^^^^
    "#);
}
