//! The key `registries`, secrets, and the settings of the service.

use std::os::unix::fs::PermissionsExt as _;

use image_syncer_registry::auth::{Credential, LoginChoice};

use super::*;

fn login(text: &str) -> LoginChoice {
    let config = read(&format!(
        "version: 1\nregistries:\n  r.example: {{login: {text}}}\nrules: []\n"
    ));
    config.registries[0].login.clone().unwrap()
}

fn registry_mistakes(registries: &str) -> String {
    mistakes(&format!("version: 1\nregistries:\n{registries}rules: []\n"))
}

#[test]
fn logins_have_all_forms() {
    assert_eq!(login("auto"), LoginChoice::Auto);
    assert_eq!(login("anonymous"), LoginChoice::Anonymous);
    assert_eq!(login("docker"), LoginChoice::Docker);
    for password in ["{env: SECRET}", "S3cret", "\"${SECRET}\""] {
        let choice = login(&format!("{{username: robot$ci, password: {password}}}"));
        let Credential::Basic { username, password } = choice.credential() else {
            panic!("{choice:?}");
        };
        assert_eq!((&*username, password.reveal()), ("robot$ci", "S3cret"));
    }
    assert!(
        matches!(login("{token: {env: SECRET}}").credential(), Credential::Bearer(token) if token.reveal() == "S3cret")
    );
    assert!(
        matches!(login("{identity-token: S3cret}").credential(), Credential::Identity(token) if token.reveal() == "S3cret")
    );
}

#[test]
fn secrets_come_from_files_beside_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(at(name), text).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("closed", "S3cret\n", 0o600);
    write("open", "S3cret", 0o644);
    write("large", &"x".repeat(70_000), 0o600);
    let read = |name: &str| {
        let text = format!(
            "version: 1\nregistries:\n  r.example: {{login: {{username: me, password: {{file: {name}}}}}}}\nrules: []\n"
        );
        fs::write(at("file.yaml"), text).unwrap();
        let given = ConfigFiles {
            config: vec![at("file.yaml").into()],
            ..ConfigFiles::default()
        };
        Config::read(
            &given,
            &defaults(),
            &environment,
            &OptionOverrides::default(),
        )
    };
    for (name, count) in [("closed", 1), ("open", 2)] {
        let config = read(name).unwrap();
        let choice = config.registries[0].login.clone().unwrap();
        assert!(
            matches!(choice.credential(), Credential::Basic { password, .. } if password.reveal() == "S3cret")
        );
        // One warning is about the empty list of rules.
        assert_eq!(config.warnings.len(), count, "{:?}", config.warnings);
    }
    for name in ["large", "missing"] {
        let told = read(name).unwrap_err().to_string();
        assert!(told.contains("`password`: "), "{told}");
    }
}

#[test]
fn variables_are_replaced_in_keys_of_registries() {
    let config =
        read("version: 1\nregistries:\n  \"${HOST}:5000/team\": {login: anonymous}\nrules: []\n");
    assert_eq!(config.registries[0].prefix, "r.example:5000/team");
}

#[test]
fn settings_of_a_registry_have_their_documented_values() {
    let config = read(
        "version: 1\nregistries:\n  r.example:\n    tls: {insecure: true, plain-http: on}\n    proxy: none\n    limits: {requests: 0.5, rate: 200MiB, transfers: 8}\n    trust-realm: [auth.example, \"a.example:5000\"]\n    allow-private: cdn.internal\nrules: []\n",
    );
    let entry = &config.registries[0];
    assert!(entry.origin.ends_with("file.yaml:3"), "{}", entry.origin);
    let tls = entry.tls.as_ref().unwrap();
    assert!(tls.insecure && tls.plain_http);
    assert!(entry.proxy.is_some());
    assert_eq!(entry.limits.requests, Some(0.5));
    assert_eq!(entry.limits.rate, Some(200 << 20));
    assert_eq!(entry.limits.transfers, Some(8));
    assert_eq!(entry.trusted_realms, ["auth.example", "a.example:5000"]);
    assert_eq!(entry.private_hosts, ["cdn.internal"]);
}

#[test]
fn mistakes_in_registries_are_refused() {
    insta::assert_snapshot!(registry_mistakes("  https://r.example: {}\n  team: {}\n  index.docker.io: {}\n  docker.io: {}\n  s.example/team: {tls: {insecure: true}, limits: {transfers: 0, rate: fast}}\n  t.example: {trust-realm: \"https://x\", tls: {cert: missing.pem}, proxy: \"::\", list: habor, api: \"ftp://x\"}\n  u.example: {api: \"https://me:S3cret@x\"}\n"), @r#"
    file.yaml:3:3: a registry is written without `https://`. Write `r.example`.
      |
    3 |   https://r.example: {}
      |   ^^^^^^^^^^^^^^^^^

    file.yaml:4:3: `team` is not a registry: its name has neither a dot nor a port. For Docker Hub write `docker.io/team`.
      |
    4 |   team: {}
      |   ^^^^

    file.yaml:6:3: this is the same registry as the key in line 5. Write one entry for it.
      |
    6 |   docker.io: {}
      |   ^^^^^^^^^

    file.yaml:7:20: `tls` is a setting of a whole registry, and `s.example/team` is a part of one. Write it for the registry.
      |
    7 |   …tls…
      |    ^^^

    file.yaml:7:63: `transfers`: not a number. Write a whole number from 1 to 256.
      |
    7 |   …0…
      |    ^

    file.yaml:7:72: `rate`: not a rate. Write bytes per second, 64KiB or more, such as 50MiB or 10MB.
      |
    7 |   …fast…
      |    ^^^^

    file.yaml:8:28: `trust-realm`: `https://x` is not a registry: drop the scheme `https://`, write `x`
      |
    8 |   …"https://x"…
      |    ^^^^^^^^^^^

    file.yaml:8:53: `cert` needs `key`. Write both or none.
      |
    8 |   …missing.pem…
      |    ^^^^^^^^^^^

    file.yaml:8:74: `proxy`: that is no address of a proxy: write http://HOST:PORT, or none for no proxy

    file.yaml:8:86: `list`: there is no such value. Write `harbor`.

    file.yaml:8:98: `api`: not a URL. Write one such as https://gitlab.example.com.
      |
    8 |   …"ftp://x"…
      |    ^^^^^^^^^

    file.yaml:9:20: `api`: the URL has a login. Write it as `api-login`.
    "#);
}

#[test]
fn no_message_has_a_secret() {
    for login in [
        "S3cret",
        "{username: me, S3cret}",
        "{username: me, pasword: S3cret}",
        "{username: me, password: [S3cret]}",
        "{username: me, password: {env: NOPE, S3cret: }}",
        "{username: me, password: S3cret, token: S3cret}",
        "{username: {a: b}, password: S3cret}",
        "{token: \"S3cret x\"}",
        "{token: \"x ${NOPE} S3cret\"}",
        "[S3cret]",
        "{username: me, password: \"S3cret\n      more\"}, list: none of these",
    ] {
        let told = registry_mistakes(&format!("  r.example: {{login: {login}}}\n"));
        assert!(!told.contains("S3cret"), "{told}");
    }
    for text in [
        "service: {tokens: [{name: a, secret: S3cret, scop: read}]}\n",
        "service: {tokens: S3cret}\n",
        "service: {notify: [{kind: mail, url: S3cret}]}\n",
        "share: {ulr: S3cret}\n",
        "share: [S3cret]\n",
        "x-secret: S3cret\nx-secret: S3cret\n",
        "registries: {r.example: {proxy: \"http://me:S3cret@\"}}\n",
        "registries: {r.example: {passwort: S3cret}}\n",
        "registries: {r.example: {login: {username: me, password: S3cret}\n",
    ] {
        let told = mistakes(&format!("version: 1\nrules: []\n{text}"));
        assert!(!told.contains("S3cret"), "{told}");
    }
}

/// A file with a secret in every place, in lines and in one line.
const SECRETS: [&str; 2] = [
    "version: 1\nregistries:\n  r.example:\n    login:\n      username: me\n      password: S3cret\n    api-login: {token: S3cret}\nservice:\n  tokens: [{name: a, secret: S3cret}]\nshare: S3cret\nrules: []\n",
    "{version: 1, registries: {r.example: {login: {username: me, password: S3cret}, proxy: 'http://me:S3cret@p'}}, rules: []}\n",
];

#[test]
fn no_slip_of_the_pen_reveals_a_secret() {
    let flags = OptionOverrides::default();
    for text in SECRETS {
        let places = text.char_indices().map(|(at, _)| at);
        for at in places {
            let (before, after) = text.split_at(at);
            let without = format!("{before}{}", &after[1..]);
            let mut slips = vec![without];
            for typed in [
                "x", "\"", "'", "{", "}", "[", ",", ":", ": ", "\n", "#", "- ", "&", "*", "!",
            ] {
                slips.push(format!("{before}{typed}{after}"));
            }
            for slip in slips.iter().filter(|slip| slip.contains("S3cret")) {
                // The secret itself is asserted to be absent there.
                let _ = read_files(&[("file.yaml", slip)], &flags);
            }
        }
    }
}

#[test]
fn service_and_share_are_checked() {
    let text = "service:\n  listen: [0.0.0.0:8080, \"[::1]:80\"]\n  tokens: [{name: ops, secret: {env: OPS_TOKEN}, scope: sync}, {name: grafana, secret: {file: /run/secrets/t}, scope: read}]\n  anonymous: read\n  runs: 4\n  url: https://mirror.example/\n  tls: {cert: tls.crt, key: tls.key}\n  hooks: {harbor: {secret: {env: HOOK_SECRET}}}\n  notify: [{kind: slack, url: {env: SLACK_URL}, on: [rule.failing, rule.recovered]}]\nshare: {url: {env: DATABASE}, timeout: 5m}\n";
    assert_eq!(
        read(&format!("version: 1\nrules: []\n{text}"))
            .warnings
            .len(),
        1
    );
    insta::assert_snapshot!(mistakes("version: 1\nservice:\n  listen: 8080\n  tokens: [{name: a}, {name: b, secret: {}}, {name: b, secret: \"\"}]\n  hooks: {harbour: {}}\n  notify: [{kind: mail, url: x, on: failing}]\n  url: mirror.example\n  runs: 0\nshare: {}\n"), @r#"
    file.yaml:3:11: `8080` is not an address with a port. Write one such as 127.0.0.1:8080.
      |
    3 |   …8080
      |    ^^^^

    file.yaml:4:12: the key `secret` is missing. Write `secret: …`.
      |
    4 |   …{…
      |    ^

    file.yaml:4:41: `secret` needs a text, `{env: NAME}` or `{file: PATH}`
      |
    4 |   …{…
      |    ^

    file.yaml:4:47: the token name `b` is used twice. Write another one.
      |
    4 |   …name…
      |    ^^^^

    file.yaml:4:64: `secret` is empty. Write it, or `{env: NAME}` or `{file: PATH}`.

    file.yaml:5:11: unknown key `harbour`. Write `harbor`.
      |
    5 |   …harbour…
      |    ^^^^^^^

    file.yaml:6:19: `kind`: there is no such value. Write `cloudevents`, `slack`, `feishu` or `dingtalk`.

    file.yaml:6:37: `on`: there is no such value. Write `rule.failing`, `rule.recovered`, `run.failed`, `run.succeeded`, `run.cancelled`, `config.failed` or `config.recovered`.

    file.yaml:7:8: `mirror.example` is not a URL. Write one such as https://mirror.example.com.
      |
    7 |   …mirror.example
      |    ^^^^^^^^^^^^^^

    file.yaml:8:9: `runs`: not a number. Write a whole number from 1 to 64.
      |
    8 |   …0
      |    ^

    file.yaml:9:8: the key `url` is missing. Write `url: …`.
      |
    9 | share: {}
      |        ^
    "#);
}
