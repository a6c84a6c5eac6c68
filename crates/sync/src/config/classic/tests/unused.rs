//! Logins that no rule uses.

use super::*;

const IMAGES: (&str, &str) = (
    "images.yaml",
    "docker.io/library/mongo:4: registry.example.com/team/mongo:4\n",
);

#[test]
fn a_login_that_resembles_a_registry_of_the_rules_is_told() {
    let auth = "docker.io: {}\negistry.example.com/team: {}\nregistry.example.com/taem: {}\n";
    assert_eq!(
        warnings(&[("auth.yaml", auth), IMAGES]),
        [
            "auth.yaml:2:1: no rule uses the login for `egistry.example.com/team`: the nearest registry of the rules is \
             `registry.example.com/team`. Write that if you mean it.",
            "auth.yaml:3:1: no rule uses the login for `registry.example.com/taem`: the nearest registry of the rules is \
             `registry.example.com/team`. Write that if you mean it.",
        ]
    );
}

#[test]
fn similar_registries_with_logins_of_their_own_are_no_mistake() {
    let auth = "localhost:5091: {}\nlocalhost:5092: {}\n";
    let images = (
        "images.yaml",
        "docker.io/library/mongo:4: localhost:5092/mongo:4\n",
    );
    assert_eq!(
        warnings(&[("auth.yaml", auth), images]),
        ["auth.yaml: no rule uses the entries for localhost:5091"]
    );
}

#[test]
fn other_logins_without_a_rule_are_told_in_one_line() {
    let auth = "registry.example.com: {}\nquay.io: {}\nghcr.io: {}\n";
    assert_eq!(
        warnings(&[("auth.yaml", auth), IMAGES]),
        ["auth.yaml: no rule uses the entries for ghcr.io, quay.io"]
    );
    let many: Vec<_> = (0..8)
        .map(|n| format!("host-{n}.example.net: {{}}"))
        .collect();
    let many = many.join(
        "
",
    );
    let told = warnings(&[("auth.yaml", &many), IMAGES]);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].ends_with("host-4.example.net and 3 more"),
        "{told:?}"
    );
}

#[test]
fn an_unset_variable_matters_only_to_an_entry_that_a_rule_uses() {
    let auth = "registry.example.com: {username: u, password: p}\nverify.example.net:\n  username: admin\n  password: ${NOPE}\n";
    let files = [("auth.yaml", auth), IMAGES];
    assert_eq!(
        warnings(&files),
        [
            "auth.yaml:4:13: the environment variable NOPE is not set. Set it, or write one more `$` in front for a literal value. No rule uses this entry, so it is ignored."
        ]
    );
    let config = read(&files).unwrap();
    let logins: Vec<_> = config.credentials.iter().map(outline).collect();
    assert_eq!(logins, ["registry.example.com u:p"]);
    let used = "registry.example.com/team:\n  username: admin\n  password: ${NOPE}\n";
    assert!(problems(&[("auth.yaml", used), IMAGES]).contains("NOPE is not set"));
    // A longer key decides, so this one is not used.
    let longer =
        "registry.example.com: {username: u, password: $NOPE}\nregistry.example.com/team: {}\n";
    assert_eq!(warnings(&[("auth.yaml", longer), IMAGES]).len(), 1);
}

#[test]
fn keys_without_effect_are_told() {
    let auth = "registry.example.com: {username: u, password: p, description: x}\n";
    assert_eq!(
        warnings(&[("auth.yaml", auth), IMAGES]),
        [
            "auth.yaml:1:50: unknown key `description`: an entry has the keys `username`, `password` and `insecure`. It has no effect."
        ]
    );
}
