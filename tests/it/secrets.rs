//! No output of the program contains a secret, whatever fails: plain, in base64, or as a token.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::{Action, Answer, Auth, Authorization, Fault, Kind, Registry, Tls};

use crate::support::{Outcome, Place, image};

const RIGHT: &str = "right-Zq7-password";
const WRONG: &str = "wrong-Xk4-password";
const HELPED: &str = "helped-Wv9-password";
const HALF_SAID: &str = "halfsaid-Jm3-password";
const IN_FILE: &str = "infile-Ty6-password";
const IDENTITY: &str = "identity-Pb2-token";
const SIGNED: &str = "signed-Rc8-address";
const STATE: &str = "state-Lm5%2Faddress";
const COMPLAINT: &str = "complaint-Gn6-secret";

/// Texts that must not be visible: each secret, and its forms in a header or a file.
fn secrets() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let all_plain = [
        RIGHT, WRONG, HELPED, HALF_SAID, IN_FILE, IDENTITY, SIGNED, STATE, COMPLAINT,
    ];
    all.insert(STATE.replace("%2F", "/"));
    for secret in all_plain {
        for text in [
            secret.to_owned(),
            format!("ada:{secret}"),
            format!("<token>:{secret}"),
        ] {
            all.insert(STANDARD.encode(&text).trim_end_matches('=').to_owned());
        }
        all.insert(secret.to_owned());
    }
    all
}

#[track_caller]
fn assert_hidden(secrets: &BTreeSet<String>, where_: &str, text: &str) {
    for secret in secrets {
        assert!(
            !text.contains(secret.as_str()),
            "{secret} in {where_}:\n{text}"
        );
    }
}

fn guarded(auth: Auth, secure: bool) -> Registry {
    let builder = Registry::builder().auth(auth);
    let builder = if secure {
        builder.tls(Tls::new())
    } else {
        builder
    };
    let registry = builder.start_on_thread();
    registry.push("a", Some("v1"), &image("a"));
    registry
}

/// Returns all output of a run with every kind of failure.
#[test]
#[allow(
    clippy::too_many_lines,
    reason = "one run, with everything that can go wrong in it"
)]
fn none_is_told_by_a_run_whatever_fails() {
    let good = guarded(Auth::bearer("ada", RIGHT), false);
    let basic = guarded(Auth::basic("ada", RIGHT), false);
    let bearer = guarded(Auth::bearer("ada", RIGHT), false);
    let denied = guarded(Auth::basic("ada", RIGHT), false);
    let echoing = guarded(Auth::bearer("ada", RIGHT), false);
    let leading = guarded(Auth::basic("ada", HELPED), true);
    let helped = guarded(Auth::basic("ada", RIGHT), true);
    let unhelped = guarded(Auth::basic("ada", RIGHT), true);
    let identity = guarded(Auth::bearer("ada", RIGHT), true);
    let signing = guarded(Auth::basic("ada", RIGHT), false);
    let storage = Registry::builder().start_on_thread();
    let complaining = guarded(Auth::basic("ada", RIGHT), true);
    let echo = format!(
        "not with {RIGHT}, Basic {}",
        STANDARD.encode(format!("ada:{RIGHT}"))
    );
    for kind in [Kind::ManifestHead, Kind::ManifestGet] {
        let answer = Answer::new(403)
            .error("DENIED", &echo)
            .header("warning", format!("299 - \"{echo}\""))
            .header("x-request-id", &echo);
        // The server can repeat only what it received.
        let told =
            |request: &testkit::Request| !matches!(request.authorization, Authorization::None);
        denied.fault(
            Fault::on(kind).matching(told).always(),
            Action::Answer(answer),
        );
        let location = format!("http://127.0.0.1:9/x?X-Amz-Signature={SIGNED}");
        let answer = Answer::new(307).header("location", location);
        leading.fault(Fault::on(kind).always(), Action::Answer(answer));
        let location = format!(
            "http://{}/x?X-Amz-Signature={SIGNED}&_state={STATE}",
            storage.host()
        );
        let answer = Answer::new(307).header("location", location);
        let told =
            |request: &testkit::Request| !matches!(request.authorization, Authorization::None);
        signing.fault(
            Fault::on(kind).matching(told).always(),
            Action::Answer(answer),
        );
    }
    let repeated = format!(
        "X-Amz-Signature={SIGNED}, _state={}",
        STATE.replace("%2F", "/")
    );
    storage.fault(
        Fault::on_any(),
        Action::Answer(
            Answer::new(403)
                .body(
                    "text/plain",
                    format!("not with _state={STATE} and {repeated}"),
                )
                .header("warning", format!("299 - \"{repeated}\""))
                .header("x-request-id", &repeated),
        ),
    );
    echoing.fault(
        Fault::on(Kind::Token).always(),
        Action::Answer(Answer::new(401).body("text/plain", echo)),
    );
    let entry = |registry: &Registry, password: &str| {
        format!(
            "{}: {{insecure: true, username: ada, password: {password}}}\n",
            registry.host()
        )
    };
    let auth = [
        entry(&good, RIGHT),
        entry(&basic, WRONG),
        entry(&bearer, WRONG),
        entry(&denied, RIGHT),
        entry(&echoing, RIGHT),
        entry(&signing, RIGHT),
    ];
    let all = [
        &basic,
        &bearer,
        &denied,
        &echoing,
        &leading,
        &helped,
        &unhelped,
        &identity,
        &signing,
        &complaining,
    ];
    let rules: String = all
        .iter()
        .enumerate()
        .map(|(at, from)| format!("{}/a:v1: {}/to{at}\n", from.host(), good.host()))
        .chain([format!("{0}/a:v1: {0}/b\n", good.host())])
        .collect();
    let docker = format!(
        "{{\"auths\":{{\"{}\":{{\"identitytoken\":\"{IDENTITY}\"}}}},\"credHelpers\":{{\"{}\":\"good\",\"{}\":\"wrong\",\
         \"{}\":\"bad\",\"{}\":\"worse\"}}}}",
        identity.host(),
        leading.host(),
        helped.host(),
        unhelped.host(),
        complaining.host(),
    );
    let certificates: String = [&leading, &helped, &unhelped, &identity, &complaining]
        .map(|registry| registry.ca_pem().unwrap())
        .concat();
    let helper = |password: &str| {
        format!(
            "#!/bin/sh\ncat >/dev/null\necho '{{\"Username\":\"ada\",\"Secret\":\"{password}\"}}'\n"
        )
    };
    let place = Place::new()
        .file("auth.yaml", &auth.concat())
        .file("images.yaml", &rules)
        .file("config.json", &docker)
        .file("ca.pem", &certificates)
        .file("docker-credential-good", &helper(HELPED))
        .file("docker-credential-wrong", &helper(WRONG))
        .file(
            "docker-credential-bad",
            &format!(
                "#!/bin/sh\necho '{{\"Secret\":\"{HALF_SAID}'\necho {HALF_SAID} >&2\nexit 1\n"
            ),
        )
        .file(
            "docker-credential-worse",
            &format!("#!/bin/sh\necho 'cannot use the password: {COMPLAINT}'\nexit 1\n"),
        );
    for name in ["good", "wrong", "bad", "worse"] {
        let path = place.path(&format!("docker-credential-{name}"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let directory = place.path("").display().to_string();
    let ca = place.path("ca.pem").display().to_string();
    let place = place
        .variable("DOCKER_CONFIG", &directory)
        .variable("PATH", &format!("{directory}:/usr/bin:/bin"))
        .variable("SSL_CERT_FILE", &ca)
        .variable(
            "RUST_LOG",
            "trace,hyper=trace,h2=trace,rustls=trace,hyper_util=trace",
        );
    let mut secrets = secrets();
    for format in ["yaml", "json"] {
        let run = |more: &[&str]| {
            let flags = [
                "--auth",
                "auth.yaml",
                "--images",
                "images.yaml",
                "-vvv",
                "-r0",
                "--force",
                "--output-success-images",
                "out",
                "--output-images-format",
                format,
            ];
            place.run(&[&flags[..], more].concat()).exits(1)
        };
        let runs = [
            run(&[]).says("10 failed"),
            run(&["--log", "log"]),
            run(&["--log-format", "json", "--report", "report"]).says("10 failed"),
            run(&[
                "--log",
                "json",
                "--log-format",
                "json",
                "--log-level",
                "trace",
            ]),
            run(&["--failed-images", "failed", "--progress", "plain"]),
        ];
        for registry in all.iter().chain([&&good]) {
            for request in registry.requests() {
                if let Authorization::Bearer(token) = request.authorization {
                    secrets.insert(token);
                }
            }
        }
        for outcome in runs {
            let outcome = outcome
                .says("1 copied")
                .says("cannot use the password: ***")
                .says("(not with _state=*** and X-Amz-Signature=***, _state=***)");
            assert_hidden(&secrets, "stderr", &outcome.stderr);
            assert_hidden(&secrets, "stdout", &outcome.stdout);
        }
        let flags = [
            "plan",
            "--auth",
            "auth.yaml",
            "--images",
            "images.yaml",
            "-r0",
        ];
        let planned = place.run(&[&flags[..], &["--output", "json"]].concat());
        let planned = planned.exits(1);
        assert_hidden(&secrets, "stderr", &planned.stderr);
        assert_hidden(&secrets, "plan", &planned.stdout);
        assert!(planned.stdout.contains("X-Amz-Signature=***"));
        for file in ["log", "json", "report", "failed", "out"] {
            assert_hidden(&secrets, file, &place.read(file));
        }
        for log in ["log", "json"] {
            // All outputs were read, and the redacted texts occurred.
            let text = place.read(log);
            for word in ["HEAD https://", "/token 200", "got a token for ", "***"] {
                assert!(text.contains(word), "no {word} in {log}:\n{text}");
            }
        }
    }
    assert!(secrets.len() > 28, "no token was seen");
    assert!(place.read("log").contains("docker-credential-bad"));
}

/// Checks a file with every kind of mistake that a file with secrets can have.
#[test]
fn malformed_files_reveal_no_secret() {
    let secrets = secrets();
    let see = |outcome: Outcome| {
        let outcome = outcome.exits(2);
        assert_hidden(&secrets, "stderr", &outcome.stderr);
        assert_hidden(&secrets, "stdout", &outcome.stdout);
        assert!(!outcome.stderr.is_empty());
    };
    for auth in [
        format!("q.io:\n  username: ada\n  password: \"{IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  password: [{IN_FILE}]\n"),
        format!("q.io:\n  username: ada\n  pasword: {IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  {IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  {IN_FILE}:\n"),
        format!("q.io: {IN_FILE}\n"),
        format!("q.io: ada:{IN_FILE}\n"),
        format!("{IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  password: !x {IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  password: *{IN_FILE}\n"),
        format!("q.io:\n  username: ada\n  password: {IN_FILE}\n  password: {IN_FILE}2\n"),
        format!("ada:{IN_FILE}@q.io:\n  insecure: maybe\n"),
        format!("https://ada:{IN_FILE}@q.io:\n  insecure: maybe\n"),
        format!("q.io:\n  username: ada\n  insecure: {IN_FILE}\n"),
        format!("gcr.io:\n  username: _oauth2_\n  password: {IN_FILE}\n"),
        format!("{{\"q.io\": {{\"username\": \"ada\", \"password\": \"{IN_FILE}\""),
    ] {
        let place = Place::new()
            .file("auth.yaml", &auth)
            .file("images.yaml", "q.io/a:v1: r.io/a\n");
        see(place.run(&["--auth", "auth.yaml", "--images", "images.yaml", "-vvv"]));
        see(place.run(&["validate", "--auth", "auth.yaml", "--images", "images.yaml"]));
        // The two files are swapped; a text in place of a destination is read as one.
        if auth.contains("username") {
            see(place.run(&["--images", "auth.yaml", "-vvv"]));
            see(place.run(&["--config", "auth.yaml", "-vvv"]));
        }
    }
    for reference in [
        format!("ada:{IN_FILE}@q.io/a:v1"),
        format!("https://ada:{IN_FILE}@q.io/a:v1"),
    ] {
        see(Place::new().run(&["copy", &reference, "r.io/a"]));
        see(Place::new().run(&["copy", "q.io/a:v1", &reference]));
        see(Place::new().run(&["copy", "q.io/a:v1", "r.io/a", "--insecure", &reference]));
        for flag in [
            "--allow-private",
            "--trust-realm",
            "--registry",
            "--max-requests",
            "--max-rate",
        ] {
            see(Place::new().run(&[
                "copy",
                "q.io/a:v1",
                "",
                "--namespace",
                "n",
                flag,
                &reference,
            ]));
        }
    }
}

/// Checks docker's file, which is read when a login is needed, so that a mistake in it fails the image.
#[test]
fn a_malformed_docker_config_reveals_no_secret() {
    let secrets = secrets();
    let encoded = STANDARD.encode(IN_FILE);
    for document in [
        format!("{{\"auths\":{{\"HOST\":{{\"auth\":\"{encoded}\"}}}}}}"),
        format!("{{\"auths\":{{\"HOST\":{{\"auth\":\"{IN_FILE}!\"}}}}}}"),
        format!("{{\"auths\":{{\"HOST\":{{\"auth\":[\"{IN_FILE}\"]}}}}}}"),
        format!("{{\"auths\":{{\"HOST\":\"{IN_FILE}\"}}}}"),
        format!("{{\"auths\":{{\"HOST\":{{\"password\":\"{IN_FILE}"),
        format!("{{\"credsStore\":\"{IN_FILE} x\"}}"),
    ] {
        let registry = guarded(Auth::basic("ada", RIGHT), false);
        let place = Place::new()
            .file("config.json", &document.replace("HOST", &registry.host()))
            .file(
                "auth.yaml",
                &format!("{}: {{insecure: true}}\n", registry.host()),
            )
            .file(
                "images.yaml",
                &format!("{0}/a:v1: {0}/b\n", registry.host()),
            );
        let directory = place.path("").display().to_string();
        let outcome = place
            .variable("DOCKER_CONFIG", &directory)
            .run(&["--auth", "auth.yaml", "--images", "images.yaml", "-vvv"])
            .exits(1);
        if !document.contains("credsStore") {
            assert_hidden(&secrets, "stderr", &outcome.stderr);
        }
    }
}
