//! The `auth` map: every sentence of docs/files.md#credentials.

use super::*;

#[test]
fn keys_are_registries_or_namespaces_of_any_depth() {
    let text = "q.io: {}\nq.io:5000: {}\nlocalhost: {}\nlocalhost:5000: {}\n'[::1]:5000': {}\nq.io/a: {}\nq.io/a/b/c: {}\nq.io/d/: {}\n";
    assert_eq!(
        entries(text),
        [
            "q.io anonymous",
            "q.io:5000 anonymous",
            "localhost anonymous",
            "localhost:5000 anonymous",
            "[::1]:5000 anonymous",
            "q.io/a anonymous",
            "q.io/a/b/c anonymous",
            "q.io/d/ anonymous"
        ]
    );
}

#[test]
fn username_password_and_insecure_are_all_optional() {
    assert_eq!(
        entries("q.io: {username: u, password: p, insecure: true}"),
        ["q.io u:p insecure"]
    );
    assert_eq!(entries("q.io: {username: u, password: p}"), ["q.io u:p"]);
    assert_eq!(
        entries("q.io: {insecure: true}"),
        ["q.io anonymous insecure"]
    );
    assert_eq!(entries("q.io: {insecure: false}"), ["q.io anonymous"]);
    assert_eq!(entries("q.io: {}"), ["q.io anonymous"]);
    assert_eq!(entries("q.io:"), ["q.io anonymous"]);
    assert_eq!(
        entries("q.io: {username: '', password: '', insecure: true}"),
        ["q.io anonymous insecure"]
    );
    assert_eq!(
        entries("q.io:\n  username:\n  password:\n"),
        ["q.io anonymous"]
    );
    assert_eq!(entries(""), [""; 0]);
}

#[test]
fn scalars_are_texts_as_spelled() {
    for text in [
        "0123",
        "1.10",
        "1e999",
        "true",
        "2024-01-01",
        "1_000",
        "99999999999999999999999",
    ] {
        assert_eq!(
            entries(&format!("q.io: {{username: {text}, password: {text}}}")),
            [format!("q.io {text}:{text}")]
        );
    }
}

#[test]
fn booleans_are_those_of_the_go_tool_s_parser() {
    for (text, insecure) in [
        ("true", true),
        ("True", true),
        ("yes", true),
        ("on", true),
        ("no", false),
        ("OFF", false),
    ] {
        let expected = if insecure {
            "q.io anonymous insecure"
        } else {
            "q.io anonymous"
        };
        assert_eq!(
            entries(&format!("q.io: {{insecure: {text}}}")),
            [expected],
            "{text}"
        );
    }
    assert_snapshot!(auth_problems("q.io:\n  insecure: maybe\n"), @r#"
    auth.yaml:2:3: `insecure` must be true or false.
      |
    2 |   insecure: …
      |   ^^^^^^^^
    "#);
}

#[test]
fn the_four_names_of_docker_hub_are_one_registry() {
    let names = [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
    ];
    for name in names {
        assert_eq!(
            entries(&format!("{name}: {{}}")),
            [format!("{name} anonymous")]
        );
    }
    // A file for several versions of the Go tool has more than one of them.
    let all = names.map(|name| format!("{name}: {{username: u, password: p}}\n"));
    assert_eq!(entries(&all.concat()), ["docker.io u:p"]);
    assert_snapshot!(auth_problems("docker.io: {}\nregistry.hub.docker.com/: {insecure: true}\n"), @r#"
    auth.yaml:2:1: this is the same registry as the key in line 1, with another value. Keep one of the two.
      |
    2 | registry.hub.docker.com/…
      | ^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_key_that_stands_twice_is_a_mistake() {
    assert_snapshot!(auth_problems("q.io: {}\nq.io: {}\nd.io:\n  username: u\n  username: v\n"), @r#"
    auth.yaml:5:3: duplicate key with another value than in line 4. Keep one of the two.
      |
    5 |   username: …
      |   ^^^^^^^^
    "#);
}

#[test]
fn keys_that_are_no_registry_are_ignored_with_a_warning() {
    let text = "$HOST: {}\nmyuser/x: {}\nhttps://q.io: {}\nq.io/A: {}\n'': {}\nme:S3cret@q.io: {}\nd.io:5000:5000: {}\nq.io: {}\n";
    let files = [("auth.yaml", text), ("images.yaml", "q.io/x: d.io/y")];
    assert_snapshot!(warnings(&files).join("\n"), @r#"
    auth.yaml:1:1: this key is ignored: `$HOST` is not a registry, and a key cannot be a variable. Write the name of the registry.
    auth.yaml:2:1: this key is ignored: `myuser` is not a registry: its name has neither a dot nor a port. For Docker Hub write `docker.io/myuser/x`.
    auth.yaml:3:1: this key is ignored: `https://q.io` is not a registry: drop the scheme `https://`, write `q.io`
    auth.yaml:4:1: this key is ignored: `A` is not a repository: a repository is lower case, write `a` for `A`; the nearest registry of the rules is `q.io/x`
    auth.yaml:5:1: this key is ignored: `` is not a registry: it is empty
    auth.yaml:6:1: this key is ignored: `…@q.io` is not a registry: a user name does not belong here, credentials stand in the auth file, write `q.io`
    auth.yaml:7:1: this key is ignored: `d.io:5000:5000` is not a registry: it has two ports, write `d.io:5000`
    "#);
    assert_snapshot!(auth_problems("[a]: {}\n"), @"auth.yaml:1:1: a key must be a text. Put it in quotes.");
}

#[test]
fn a_combined_file_in_its_place_is_told() {
    assert_snapshot!(auth_problems("auth:\n  q.io: {}\nimages: {}\n"), @r#"
    auth.yaml:1:1: `auth` is a key of a combined file. Use this file with --config.
      |
    1 | auth:
      | ^^^^

    auth.yaml:3:1: `images` is a key of a combined file. Use this file with --config.
      |
    3 | images: …
      | ^^^^^^
    "#);
    assert_snapshot!(image_problems("images:\n  q.io/x: d.io/y\n"), @r#"
    images.yaml:1:1: a destination must be a text or a list of texts. Use a combined file with --config.
      |
    1 | images:
      | ^^^^^^
    "#);
}

#[test]
fn whole_values_are_read_from_the_environment() {
    assert_eq!(
        entries("q.io: {username: $USER_NAME, password: '${SECRET}'}"),
        ["q.io me:S3cret"]
    );
}

#[test]
fn anything_else_with_a_dollar_is_literal() {
    assert_eq!(
        entries("q.io: {username: robot$ci, password: $$x}"),
        ["q.io robot$ci:$x"]
    );
    assert_eq!(
        entries("q.io: {username: robot$SECRET, password: '${SECRET}x'}"),
        ["q.io robot$SECRET:${SECRET}x"]
    );
}

#[test]
fn an_unset_variable_is_named() {
    assert_snapshot!(auth_problems("q.io:\n  username: $NO_USER\n  password: ${NO_PASSWORD}\n"), @r#"
    auth.yaml:2:13: the environment variable NO_USER is not set. Set it, or write one more `$` in front for a literal value.
      |
    2 |   username: …
      |             ^

    auth.yaml:3:13: the environment variable NO_PASSWORD is not set. Set it, or write one more `$` in front for a literal value.
      |
    3 |   password: …
      |             ^
    "#);
}

#[test]
fn in_a_combined_file_only_braces_name_a_variable() {
    let text = "auth:\n  q.io: {username: '${USER_NAME}', password: $Passw0rd}\nimages:\n  q.io/x: d.io/y\n";
    let config = read(&[("config.yaml", text)]).unwrap();
    assert_eq!(outline(&config.credentials[0]), "q.io me:$Passw0rd");
    assert_snapshot!(problems(&[("config.yaml", "auth:\n  q.io: {username: '${NOPE}', password: x}\nimages: {q.io/x: d.io/y}\n")]), @"config.yaml:2:20: the environment variable NOPE is not set. Set it, or write one more `$` in front for a literal value.");
}

#[test]
fn a_google_service_account_keeps_its_user() {
    assert_eq!(
        entries("gcr.io: {username: _oauth2_, password: e30=}"),
        ["gcr.io _oauth2_:e30="]
    );
}

#[test]
fn entries_say_where_they_stand() {
    let config = read(&[
        ("auth.yaml", "\nq.io: {}\n"),
        ("images.yaml", "q.io/x: d.io/y"),
    ])
    .unwrap();
    assert!(
        config.credentials[0].origin.ends_with("auth.yaml:2"),
        "{}",
        config.credentials[0].origin
    );
}

#[test]
fn half_a_credential_is_none_and_is_warned_of() {
    let text = "q.io:\n  username: u\n  password: #S3cret\n  insecure: true\nd.io: {username: '', password: S3cret}\ne.io: {username: u, password: $EMPTY}\n";
    let files = [
        ("auth.yaml", text),
        ("images.yaml", "q.io/x: [d.io/y, e.io/y]"),
    ];
    let config = read(&files).unwrap();
    assert_eq!(
        config.credentials.iter().map(outline).collect::<Vec<_>>(),
        [
            "q.io anonymous insecure",
            "d.io anonymous",
            "e.io anonymous"
        ]
    );
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    let expected = [(1, "q.io", "username", "password"), (5, "d.io", "password", "username"), (6, "e.io", "username", "password")]
        .map(|(line, key, given, missing)| format!(
            "auth.yaml:{line}:1: the entry `{key}` has a {given}, and its {missing} is missing or empty, so it counts as one without a login. Write both or none. A {missing} that begins with `#` or `&` needs quotes."
        ));
    assert_eq!(warnings.len(), expected.len());
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.ends_with(&expected), "{warning}");
    }
    // Placeholders are no login and nothing to speak of.
    let placeholders = "q.io: {username: '', password: ''}\nd.io: {username: , password: }\n";
    let files = [("auth.yaml", placeholders), files[1]];
    assert_eq!(read(&files).unwrap().warnings.len(), 0);
}

#[test]
fn unknown_keys_are_mistakes() {
    assert_snapshot!(
        auth_problems("q.io:\n  Username: u\n  pasword: S3cret\n  token: S3cret\n  S3cret:\n  S3cret: x\n"),
        @r#"
    auth.yaml:2:3: unknown key `Username`: an entry has the keys `username`, `password` and `insecure`. Write `username`.
      |
    2 |   Username…
      |   ^^^^^^^^

    auth.yaml:3:3: unknown key `pasword`: an entry has the keys `username`, `password` and `insecure`. Write `password`.
      |
    3 |   pasword…
      |   ^^^^^^^

    auth.yaml:5:3: unknown key: an entry has the keys `username`, `password` and `insecure`

    auth.yaml:6:3: duplicate key with another value than in line 5. Keep one of the two.
    "#
    );
}

#[test]
fn values_of_the_wrong_kind_are_mistakes() {
    assert_snapshot!(auth_problems("q.io: S3cret\nd.io: [S3cret]\ne.io:\n  username: [S3cret]\n  password: {S3cret: S3cret}\n"), @r#"
    auth.yaml:1:7: this must be a map with username, password and insecure. Write `username: NAME` and `password: PASSWORD`.

    auth.yaml:2:7: this must be a map, not a list. Write `username: NAME` and `password: PASSWORD`.

    auth.yaml:4:3: `username` must be a text. Put it in quotes.
      |
    4 |   username: …
      |   ^^^^^^^^

    auth.yaml:5:3: `password` must be a text. Put it in quotes.
      |
    5 |   password: …
      |   ^^^^^^^^
    "#);
    assert_snapshot!(auth_problems("- S3cret\n"), @"auth.yaml:1:1: this must be a map, not a list. Write `registry:`, and below it `username: NAME` and `password: PASSWORD`.");
    assert_snapshot!(auth_problems("S3cret\n"), @"auth.yaml:1:1: this line has no `: `. Write `registry:`, and below it `username: NAME` and `password: PASSWORD`.");
}

#[test]
fn snippets_show_no_secret() {
    for text in [
        "q.io:\n  username: u\n  password: S3cret: x\n",
        "q.io:\n  username: u\n  password: 'S3cret\n",
        "q.io:\n  username: u\n  password: *S3cret\n",
        "q.io:\n  username: u\n  password: !S3cret\n",
        "q.io:\n  username: u\n  password: @S3cret\n",
        "q.io:\n  username: u\n  password: \"S3c\\ret\\S3cret\"\n",
        "q.io:\n  username: u\n   password: S3cret\n",
        "q.io:\n  username: u\n  S3cret\n",
        "q.io:\n  username: u\n  password:\n    - S3cret\n",
        "q.io:\n  username: u\n  password: |\n  S3cret\n",
        "{\"q.io\": {\"username\": \"u\", \"password\": \"S3cret\", \"usernam\": 1}}",
        "{\"q.io\": {\"username\": \"u\", \"S3cret\"}}",
        "{\"q.io\": {\"username\": \"u\", \"password\": \"S3cret\"",
        "{\"q.io\": \"S3cret\"}",
        "{\"https://me:S3cret@q.io\": {\"usernam\": 1}}",
    ] {
        // Each of these asserts that the secret is not told.
        auth_problems(text);
        problems(&[(
            "config.yaml",
            &format!(
                "images: {{q.io/x: d.io/y}}\nauth:\n {}",
                text.replace('\n', "\n ")
            ),
        )]);
        // As the wrong file, too: one that speaks of credentials is known to hold some.
        if text.contains("username") {
            problems(&[("images.yaml", text)]);
        }
    }
}

#[test]
fn credentials_are_read_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.yaml");
    fs::write(&path, "q.io: {username: $USER_NAME, password: p}").unwrap();
    let config = Config::credentials(&[path.clone().into()], Vec::new(), &environment).unwrap();
    assert_eq!(config.rules.len(), 0);
    assert_eq!(
        config.credentials.iter().map(outline).collect::<Vec<_>>(),
        ["q.io me:p"]
    );
    let rule = Rule::parse("q.io/x:v1", &["d.io/y"], &|_| unreachable!()).unwrap();
    let rules = vec![std::sync::Arc::new(rule)];
    fs::write(&path, "q.io: {username: $NOPE, password: p}").unwrap();
    let inputs = [path.into()];
    assert!(Config::credentials(&inputs, rules, &environment).is_err());
    let config = Config::credentials(&inputs, Vec::new(), &environment).unwrap();
    assert_eq!(config.credentials.len(), 0);
}
