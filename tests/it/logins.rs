//! Credentials in files reach the registries unchanged.

use testkit::{Auth, Registry};

use crate::support::{Outcome, Place, assert_arrived, image, registry};

/// Copies an image to a registry with one user, whose entry in the auth file is `entry`.
fn copy(auth: Auth, entry: &str) -> Outcome {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    let destination = Registry::builder().auth(auth).start_on_thread();
    let auth = format!(
        "{}: {{insecure: true}}\n{}: {{insecure: true, {entry}}}\n",
        source.host(),
        destination.host()
    );
    let rules = format!("{}/a:v1: {}/a\n", source.host(), destination.host());
    let place = Place::new()
        .variable("PASSWORD", "from the environment")
        .file("auth.yaml", &auth)
        .file("images.yaml", &rules);
    let outcome = place.run(&["--auth", "auth.yaml", "--images", "images.yaml"]);
    if outcome.code == 0 {
        assert_arrived(&destination, "a", "v1", &image("a"));
    }
    outcome
}

#[test]
fn a_dollar_sign_is_a_dollar_sign() {
    let pairs = [
        ("robot$ci", "a$b"),
        ("robot$project+ci", "$a"),
        ("u", "pa$$word$"),
        ("u", "${not a name}"),
    ];
    for (username, password) in pairs {
        // A value that begins with `$$`, or is a `$` and a name, is written as `$$…`.
        let written = match password {
            "$a" => "$$a".to_owned(),
            other => other.to_owned(),
        };
        let entry = format!("username: '{username}', password: '{written}'");
        copy(Auth::basic(username, password), &entry).exits(0);
        copy(Auth::bearer(username, password), &entry).exits(0);
    }
}

#[test]
fn a_whole_value_can_come_from_the_environment() {
    for written in ["$PASSWORD", "${PASSWORD}"] {
        let entry = format!("username: u, password: '{written}'");
        copy(Auth::basic("u", "from the environment"), &entry).exits(0);
    }
}

#[test]
fn a_wrong_password_is_reported_without_showing_it() {
    for auth in [Auth::basic("u", "right"), Auth::bearer("u", "right")] {
        copy(auth, "username: u, password: wrong-secret")
            .exits(1)
            .says("401")
            .does_not_say("wrong-secret");
    }
}

#[test]
fn no_log_level_shows_a_secret() {
    let registry = Registry::builder()
        .auth(Auth::bearer("u", "hidden-secret"))
        .start_on_thread();
    registry.push("a", Some("v1"), &image("a"));
    let host = registry.host();
    let place = Place::new()
        .variable("RUST_LOG", "trace")
        .file(
            "auth.yaml",
            &format!("{host}: {{insecure: true, username: u, password: hidden-secret}}\n"),
        )
        .file("images.yaml", &format!("{host}/a:v1: {host}/b\n"));
    let outcome = place
        .run(&["--auth", "auth.yaml", "--images", "images.yaml", "-vvv"])
        .exits(0)
        .does_not_say("hidden-secret");
    for request in registry.requests() {
        if let testkit::Authorization::Bearer(token) = request.authorization {
            assert!(!outcome.stderr.contains(&token));
        }
    }
}

#[test]
fn credentials_of_docker_login_are_used_without_an_entry() {
    let registry = Registry::builder()
        .auth(Auth::basic("u", "p"))
        .tls(testkit::Tls::new())
        .start_on_thread();
    registry.push("a", Some("v1"), &image("a"));
    let host = registry.host();
    // u:p in base64.
    let place = Place::new()
        .file("ca.pem", registry.ca_pem().unwrap())
        .file(
            "config.json",
            &format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"dTpw\"}}}}}}"),
        )
        .file("images.yaml", &format!("{host}/a:v1: {host}/b\n"));
    let place = {
        let directory = place.path("").display().to_string();
        let ca = place.path("ca.pem").display().to_string();
        place
            .variable("DOCKER_CONFIG", &directory)
            .variable("SSL_CERT_FILE", &ca)
    };
    place.run(&["--images", "images.yaml"]).exits(0);
    assert_arrived(&registry, "b", "v1", &image("a"));
}
