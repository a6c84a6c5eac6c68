//! Secrets of registries in native files: real registries, rotation, and everything that is shown.

use std::os::unix::fs::PermissionsExt as _;

use testkit::real::DockerRegistry;
use testkit::{Auth, Registry, Tls};

use crate::support::{Place, image, registry};

const SECRETS: [&str; 7] = [
    "text-Zq7-secret",
    "variable-Xk4-secret",
    "file-Wv9-secret",
    "token-Jm3-secret",
    "identity-Ty6-secret",
    "helper-Pb2-secret",
    "proxy-Rc8-secret",
];

/// Writes a native file that copies an image of `source` to `host`, with this entry for the host.
fn native(place: Place, source: &Registry, host: &str, entry: &str) -> Place {
    let from = source.host();
    let text = format!(
        "version: 1\nregistries:\n  \"{host}\": {entry}\n  \"{from}\": {{tls: {{plain-http: true}}}}\nrules:\n  - {{from: \"{from}/a:v1\", to: \"{host}/b\"}}\n"
    );
    place.file("mirror.yaml", &text)
}

fn source() -> Registry {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    source
}

#[test]
fn real_registries_take_client_certificates_and_passwords_of_files() {
    let trusting = "tls: {ca: ca.pem}";
    let certified = "tls: {ca: ca.pem, cert: client.pem, key: client.key}";
    for (auth, is_demanding) in [
        (Auth::basic("ada", "pw"), true),
        (Auth::bearer("ada", "pw"), false),
    ] {
        let tls = Tls::new();
        let tls = if is_demanding {
            tls.demanding_clients()
        } else {
            tls
        };
        let builder = DockerRegistry::builder().auth(auth).tls(tls.clone());
        let destination = builder.start().expect("install it with scripts/test");
        let client = tls.client_pem().unwrap();
        let (source, host) = (source(), destination.host());
        let entry = |tls: &str| {
            format!("{{{tls}, login: {{username: ada, password: {{file: password}}}}}}")
        };
        let place = native(Place::new(), &source, &host, &entry(certified))
            .file("ca.pem", &tls.ca_pem())
            .file("client.pem", &client.certificate)
            .file("client.key", &client.key)
            .file("password", "pw\n");
        let run = ["--config", "mirror.yaml", "-r0"];
        place.run(&run).exits(0).says("1 copied");
        let place = native(place, &source, &host, &entry(trusting));
        if is_demanding {
            let refused = "it requires a client certificate that it accepts";
            // A reset of the connection may overtake the alert.
            let patient = ["--config", "mirror.yaml", "-r5"];
            place.run(&patient).exits(1).says(refused);
        } else {
            place.run(&run).exits(0).says("1 unchanged");
        }
        native(place, &source, &host, &entry("tls: {}"))
            .run(&run)
            .exits(1);
    }
}

/// Returns a folder with a helper and files of secrets.
fn with_secrets() -> Place {
    let document = format!("{{\"Username\":\"ada\",\"Secret\":\"{}\"}}", SECRETS[5]);
    let place = Place::new()
        .file(
            "docker-credential-vault",
            &format!("#!/bin/sh\ncat >/dev/null\necho '{document}'\n"),
        )
        .file("secret", SECRETS[2])
        .variable("SECRET", SECRETS[1]);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("docker-credential-vault"), mode).unwrap();
    let path = format!("{}:/usr/bin:/bin", place.path("").display());
    place.variable("PATH", &path).variable("RUST_LOG", "trace")
}

#[test]
fn no_secret_of_a_registry_is_shown_whatever_fails() {
    let [text, _, _, token, identity, _, proxy] = SECRETS;
    let source = source();
    let entries = [
        format!("{{tls: {{plain-http: true}}, login: {{username: ada, password: {text}}}}}"),
        "{tls: {plain-http: true}, login: {username: ada, password: {env: SECRET}}}".to_owned(),
        "{tls: {plain-http: true}, login: {username: ada, password: {file: secret}}}".to_owned(),
        format!("{{tls: {{plain-http: true}}, login: {{token: {token}}}}}"),
        format!("{{tls: {{plain-http: true}}, login: {{identity-token: {identity}}}}}"),
        "{tls: {plain-http: true}, login: {helper: vault}}".to_owned(),
        format!("{{tls: {{plain-http: true}}, proxy: \"http://ada:{proxy}@127.0.0.1:1\"}}"),
        // Mistakes of files.
        format!("{{login: {{username: ada, password: {text}, pasword: {text}}}}}"),
        format!("{{login: {{token: \"{token} {token}\"}}}}"),
        format!("{{proxy: \"ftp://ada:{proxy}@127.0.0.1:1\"}}"),
    ];
    for auth in [Auth::basic("eva", "pw"), Auth::bearer("eva", "pw")] {
        let destination = Registry::builder().auth(auth).start_on_thread();
        for entry in &entries {
            let place = native(with_secrets(), &source, &destination.host(), entry);
            for command in [&[][..], &["validate"], &["plan"]] {
                let flags: &[&str] = if command == ["validate"] {
                    &[]
                } else {
                    &["-r0", "-vvv"]
                };
                let outcome = place.run(&[command, &["--config", "mirror.yaml"], flags].concat());
                for secret in SECRETS {
                    let shown = [&outcome.stdout, &outcome.stderr];
                    assert!(
                        !shown.iter().any(|text| text.contains(secret)),
                        "{secret} of {entry}:\n{}\n{}",
                        outcome.stdout,
                        outcome.stderr
                    );
                }
            }
        }
    }
}
