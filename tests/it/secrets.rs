//! No output of a failing program contains a secret: plain, in base64, or as a token.

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

/// Registries of which all but `good` fail in a way that could reveal a secret.
struct Servers {
    good: Registry,
    basic: Registry,
    bearer: Registry,
    denied: Registry,
    echoing: Registry,
    leading: Registry,
    helped: Registry,
    unhelped: Registry,
    identity: Registry,
    signing: Registry,
    storage: Registry,
    complaining: Registry,
}

impl Servers {
    fn start() -> Self {
        let servers = Self {
            good: guarded(Auth::bearer("ada", RIGHT), false),
            basic: guarded(Auth::basic("ada", RIGHT), false),
            bearer: guarded(Auth::bearer("ada", RIGHT), false),
            denied: guarded(Auth::basic("ada", RIGHT), false),
            echoing: guarded(Auth::bearer("ada", RIGHT), false),
            leading: guarded(Auth::basic("ada", HELPED), true),
            helped: guarded(Auth::basic("ada", RIGHT), true),
            unhelped: guarded(Auth::basic("ada", RIGHT), true),
            identity: guarded(Auth::bearer("ada", RIGHT), true),
            signing: guarded(Auth::basic("ada", RIGHT), false),
            storage: Registry::builder().start_on_thread(),
            complaining: guarded(Auth::basic("ada", RIGHT), true),
        };
        servers.echo_logins();
        servers.echo_signatures();
        servers
    }

    /// Lets servers repeat the login that they received.
    fn echo_logins(&self) {
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
            self.denied.fault(
                Fault::on(kind).matching(has_login).always(),
                Action::Answer(answer),
            );
        }
        self.echoing.fault(
            Fault::on(Kind::Token).always(),
            Action::Answer(Answer::new(401).body("text/plain", echo)),
        );
    }

    /// Redirects requests to signed addresses, which the storage host repeats.
    fn echo_signatures(&self) {
        for kind in [Kind::ManifestHead, Kind::ManifestGet] {
            let location = format!("http://127.0.0.1:9/x?X-Amz-Signature={SIGNED}");
            let answer = Answer::new(307).header("location", location);
            self.leading
                .fault(Fault::on(kind).always(), Action::Answer(answer));
            let location = format!(
                "http://{}/x?X-Amz-Signature={SIGNED}&_state={STATE}",
                self.storage.host()
            );
            let answer = Answer::new(307).header("location", location);
            self.signing.fault(
                Fault::on(kind).matching(has_login).always(),
                Action::Answer(answer),
            );
        }
        let repeated = format!(
            "X-Amz-Signature={SIGNED}, _state={}",
            STATE.replace("%2F", "/")
        );
        let text = format!("not with _state={STATE} and {repeated}");
        let answer = Answer::new(403)
            .body("text/plain", text)
            .header("warning", format!("299 - \"{repeated}\""))
            .header("x-request-id", &repeated);
        self.storage.fault(Fault::on_any(), Action::Answer(answer));
    }

    /// Returns the sources whose image fails.
    fn failing(&self) -> [&Registry; 10] {
        [
            &self.basic,
            &self.bearer,
            &self.denied,
            &self.echoing,
            &self.leading,
            &self.helped,
            &self.unhelped,
            &self.identity,
            &self.signing,
            &self.complaining,
        ]
    }

    /// Returns the text of the auth file.
    fn auth(&self) -> String {
        let entry = |registry: &Registry, password: &str| {
            format!(
                "{}: {{insecure: true, username: ada, password: {password}}}\n",
                registry.host()
            )
        };
        [
            entry(&self.good, RIGHT),
            entry(&self.basic, WRONG),
            entry(&self.bearer, WRONG),
            entry(&self.denied, RIGHT),
            entry(&self.echoing, RIGHT),
            entry(&self.signing, RIGHT),
        ]
        .concat()
    }

    /// Returns the text of the images file: a rule for each failing source, and one that succeeds.
    fn rules(&self) -> String {
        let good = self.good.host();
        let failing = self.failing().into_iter().enumerate();
        failing
            .map(|(at, from)| format!("{}/a:v1: {good}/to{at}\n", from.host()))
            .chain([format!("{good}/a:v1: {good}/b\n")])
            .collect()
    }

    /// Returns docker's `config.json`, with an identity token and four credential helpers.
    fn docker_config(&self) -> String {
        format!(
            "{{\"auths\":{{\"{}\":{{\"identitytoken\":\"{IDENTITY}\"}}}},\"credHelpers\":{{\"{}\":\"good\",\"{}\":\"wrong\",\
             \"{}\":\"bad\",\"{}\":\"worse\"}}}}",
            self.identity.host(),
            self.leading.host(),
            self.helped.host(),
            self.unhelped.host(),
            self.complaining.host(),
        )
    }

    fn certificates(&self) -> String {
        [
            &self.leading,
            &self.helped,
            &self.unhelped,
            &self.identity,
            &self.complaining,
        ]
        .map(|registry| registry.ca_pem().unwrap())
        .concat()
    }

    /// Returns the directory of the runs, with all files and helpers.
    fn place(&self) -> Place {
        let helper = |password: &str| {
            format!(
                "#!/bin/sh\ncat >/dev/null\necho '{{\"Username\":\"ada\",\"Secret\":\"{password}\"}}'\n"
            )
        };
        let bad =
            format!("#!/bin/sh\necho '{{\"Secret\":\"{HALF_SAID}'\necho {HALF_SAID} >&2\nexit 1\n");
        let worse = format!("#!/bin/sh\necho 'cannot use the password: {COMPLAINT}'\nexit 1\n");
        let place = Place::new()
            .file("auth.yaml", &self.auth())
            .file("images.yaml", &self.rules())
            .file("config.json", &self.docker_config())
            .file("ca.pem", &self.certificates())
            .file("docker-credential-good", &helper(HELPED))
            .file("docker-credential-wrong", &helper(WRONG))
            .file("docker-credential-bad", &bad)
            .file("docker-credential-worse", &worse);
        for name in ["good", "wrong", "bad", "worse"] {
            let path = place.path(&format!("docker-credential-{name}"));
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let directory = place.path("").display().to_string();
        let ca = place.path("ca.pem").display().to_string();
        place
            .variable("DOCKER_CONFIG", &directory)
            .variable("PATH", &format!("{directory}:/usr/bin:/bin"))
            .variable("SSL_CERT_FILE", &ca)
            .variable(
                "RUST_LOG",
                "trace,hyper=trace,h2=trace,rustls=trace,hyper_util=trace",
            )
    }

    /// Returns the bearer tokens that the registries received.
    fn tokens(&self) -> impl Iterator<Item = String> {
        let registries = self.failing().into_iter().chain([&self.good]);
        registries
            .flat_map(Registry::requests)
            .filter_map(|request| match request.authorization {
                Authorization::Bearer(token) => Some(token),
                _ => None,
            })
    }
}

fn has_login(request: &testkit::Request) -> bool {
    !matches!(request.authorization, Authorization::None)
}

/// Syncs with every form of output. The form of the lists of images is `format`.
fn sync_with_all_outputs(place: &Place, format: &str) -> [Outcome; 5] {
    let files = ["--auth", "auth.yaml", "--images", "images.yaml"];
    let lists = ["--output-success-images", "out"];
    let form = ["--output-images-format", format];
    let flags = [&files[..], &["-vvv", "-r0", "--force"], &lists, &form].concat();
    let run = |more: &[&str]| place.run(&[&flags[..], more].concat()).exits(1);
    let json = ["--log", "json", "--log-format", "json"];
    [
        run(&[]).says("10 failed"),
        run(&["--log", "log"]),
        run(&["--log-format", "json", "--report", "report"]).says("10 failed"),
        run(&[&json[..], &["--log-level", "trace"]].concat()),
        run(&["--failed-images", "failed", "--progress", "plain"]),
    ]
}

/// Plans the same rules, and checks the document.
fn assert_plan_hides(secrets: &BTreeSet<String>, place: &Place) {
    let files = ["--auth", "auth.yaml", "--images", "images.yaml"];
    let flags = [&["plan"], &files[..], &["-r0", "--output", "json"]].concat();
    let planned = place.run(&flags).exits(1);
    assert_hidden(secrets, "stderr", &planned.stderr);
    assert_hidden(secrets, "plan", &planned.stdout);
    assert!(planned.stdout.contains("X-Amz-Signature=***"));
}

#[test]
fn a_run_with_every_kind_of_failure_reveals_no_secret() {
    let servers = Servers::start();
    let place = servers.place();
    let mut secrets = secrets();
    for format in ["yaml", "json"] {
        let runs = sync_with_all_outputs(&place, format);
        secrets.extend(servers.tokens());
        for outcome in runs {
            let outcome = outcome
                .says("1 copied")
                .says("cannot use the password: ***")
                .says("(not with _state=*** and X-Amz-Signature=***, _state=***)");
            assert_hidden(&secrets, "stderr", &outcome.stderr);
            assert_hidden(&secrets, "stdout", &outcome.stdout);
        }
        assert_plan_hides(&secrets, &place);
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
/// Asserts that a mistake is reported without a secret.
#[track_caller]
fn refused_without_a_secret(outcome: Outcome) {
    let (secrets, outcome) = (secrets(), outcome.exits(2));
    assert_hidden(&secrets, "stderr", &outcome.stderr);
    assert_hidden(&secrets, "stdout", &outcome.stdout);
    assert!(!outcome.stderr.is_empty());
}

#[test]
fn malformed_files_reveal_no_secret() {
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
        refused_without_a_secret(place.run(&[
            "--auth",
            "auth.yaml",
            "--images",
            "images.yaml",
            "-vvv",
        ]));
        refused_without_a_secret(place.run(&[
            "validate",
            "--auth",
            "auth.yaml",
            "--images",
            "images.yaml",
        ]));
        // The two files are swapped; a text in place of a destination is read as one.
        if auth.contains("username") {
            refused_without_a_secret(place.run(&["--images", "auth.yaml", "-vvv"]));
            refused_without_a_secret(place.run(&["--config", "auth.yaml", "-vvv"]));
        }
    }
}

#[test]
fn malformed_references_reveal_no_secret() {
    for reference in [
        format!("ada:{IN_FILE}@q.io/a:v1"),
        format!("https://ada:{IN_FILE}@q.io/a:v1"),
    ] {
        refused_without_a_secret(Place::new().run(&["copy", &reference, "r.io/a"]));
        refused_without_a_secret(Place::new().run(&["copy", "q.io/a:v1", &reference]));
        refused_without_a_secret(Place::new().run(&[
            "copy",
            "q.io/a:v1",
            "r.io/a",
            "--insecure",
            &reference,
        ]));
        for flag in [
            "--allow-private",
            "--trust-realm",
            "--registry",
            "--max-requests",
            "--max-rate",
        ] {
            refused_without_a_secret(Place::new().run(&[
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
