//! Credentials of the `auth` map, as the registries receive them.

use testkit::{Access, Auth, Authorization, Grant, Kind, Registry, Tls, TokenRules};

use crate::support::{FILES, Place, assert_arrived, between, image, insecure, registry};

#[test]
fn the_longest_key_wins_and_may_be_the_whole_repository() {
    let access = Access::new()
        .user_with("all", "p", [Grant::new("other/*", "pull,push")])
        .user_with("team", "p", [Grant::new("team/*", "pull,push")])
        .user_with("app", "p", [Grant::new("team/app", "pull,push")]);
    let destination = Registry::builder()
        .auth(Auth::Bearer(access, TokenRules::default()))
        .start_on_thread();
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    let (from, to) = (source.host(), destination.host());
    let entry = |key: &str, user: &str| {
        format!("{to}{key}: {{username: {user}, password: p, insecure: true}}\n")
    };
    let auth = [
        insecure(&[&source]),
        entry("", "all"),
        entry("/team/app", "app"),
        entry("/team/", "team"),
    ];
    let rules = format!("{from}/a:v1: [{to}/team/app, {to}/team/apple, {to}/other/app]\n");
    let place = Place::new()
        .file("auth.yaml", &auth.concat())
        .file("images.yaml", &rules);
    place.run(&FILES).exits(0).says("3 copied");
    for repository in ["team/app", "team/apple", "other/app"] {
        assert_arrived(&destination, repository, "v1", &image("a"));
    }
}

#[test]
fn half_a_credential_causes_a_warning_and_is_not_sent() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let (from, to) = (source.host(), destination.host());
    let auth = format!(
        "{from}: {{username: '', password: '', insecure: true}}\n{to}: {{password: hunter2, insecure: true}}\n"
    );
    let place = Place::new()
        .file("auth.yaml", &auth)
        .file("images.yaml", &format!("{from}/a:v1: {to}/a\n"));
    let outcome = place.run(&FILES).exits(0).does_not_say("hunter2");
    let warnings = outcome.lines("warning");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected =
        format!("auth.yaml:2:1: the entry `{to}` has a password, and its username is missing");
    assert!(warnings[0].contains(&expected), "{warnings:?}");
    for registry in [&source, &destination] {
        for request in registry.requests() {
            assert!(request.authorization == Authorization::None);
        }
    }
    let outcome = place.run(&[&["validate"], &FILES[..]].concat()).exits(0);
    assert!(
        outcome.stderr.starts_with("warning: auth.yaml:2:1: "),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stdout.ends_with("2 credentials: no mistakes\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_password_in_a_combined_file_may_begin_with_a_dollar() {
    let registry = Registry::builder()
        .auth(Auth::basic("robot$ci", "$Passw0rd"))
        .start_on_thread();
    registry.push("a", Some("v1"), &image("a"));
    let host = registry.host();
    let text = |password: &str| {
        format!(
            "auth:\n  {host}: {{username: robot$ci, password: {password}, insecure: true}}\nimages:\n  {host}/a: \
             {host}/b\n"
        )
    };
    let place = Place::new()
        .variable("Passw0rd", "another")
        .variable("PASSWORD", "$Passw0rd")
        .file("plain.yaml", &text("$Passw0rd"))
        .file("named.yaml", &text("'${PASSWORD}'"));
    place
        .run(&["--config", "plain.yaml"])
        .exits(0)
        .says("1 copied");
    place
        .run(&["--config", "named.yaml"])
        .exits(0)
        .says("1 unchanged");
}

#[test]
fn insecure_accepts_any_certificate_and_plain_http() {
    let source = Registry::builder().tls(Tls::new()).start_on_thread();
    let destination = registry();
    source.push("a", Some("v1"), &image("a"));
    let rules = "SRC/a:v1: DST/a\n";
    let place = between(&source, &destination, rules);
    place.run(&FILES).exits(0).says("1 copied");
    assert_arrived(&destination, "a", "v1", &image("a"));
}

#[test]
fn without_insecure_nothing_is_sent_in_plain_text() {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    let host = source.host();
    let auth = format!("{host}: {{username: u, password: hunter2, insecure: false}}\n");
    let place = Place::new()
        .file("images.yaml", &format!("{host}/a:v1: {host}/b\n"))
        .file("auth.yaml", &auth);
    place
        .run(&[&FILES[..], &["-r0"]].concat())
        .exits(1)
        .says("insecure: true")
        .does_not_say("hunter2");
    assert_eq!(source.count(|request| request.kind != Kind::Other), 0);
}
