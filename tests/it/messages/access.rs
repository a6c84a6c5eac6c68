//! Logins and rights.

use testkit::auth::{Access, Grant};
use testkit::fault::Answer;
use testkit::real::DockerRegistry;
use testkit::{Action, Auth, Fault, Kind, Registry, Tls};

use super::Case;
use super::peers::proxy_to;
use super::trial::{Message, Trial, from, real, source};
use crate::support::registry;

pub(super) const CASES: &[Case] = &[
    ("login-refused", login_refused),
    ("login-refused", by_a_token_server),
    ("no-login", no_login_to_push),
    ("no-login", no_login_to_pull),
    ("login-withheld", login_withheld),
    ("token-server", token_server),
    ("credential-helper", credential_helper),
    ("credential-helper", helper_not_installed),
    ("credential-file", credential_file),
    ("no-pull-right", no_pull_right),
    ("no-push-right", no_push_right),
    ("policy", policy),
];

/// Returns an entry of an auth file.
fn entry(host: &str, password: &str) -> String {
    format!("{host}: {{username: syncer, password: {password}, insecure: true}}\n")
}

fn login_refused() -> Message {
    let source = source();
    let destination = real(DockerRegistry::builder().auth(Auth::basic("syncer", "right")));
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{from}: {{insecure: true}}\n{}", entry(&to, "wrong"));
    Trial::new(&from, &to).auth(&auth).fails()
}

fn by_a_token_server() -> Message {
    let source = source();
    let destination = real(DockerRegistry::builder().auth(Auth::bearer("syncer", "right")));
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{from}: {{insecure: true}}\n{}", entry(&to, "wrong"));
    let server = destination.token_server().unwrap().token_host();
    let trial = Trial::new(&from, &to).auth(&auth);
    trial.called(&server, "auth.example.com").fails()
}

fn no_login_to_push() -> Message {
    let source = source();
    let destination = real(DockerRegistry::builder().auth(Auth::basic("syncer", "right")));
    Trial::new(&source.host(), &destination.host()).fails()
}

fn no_login_to_pull() -> Message {
    let source = real(DockerRegistry::builder().auth(Auth::basic("syncer", "right")));
    let destination = registry();
    Trial::new(&source.host(), &destination.host()).fails()
}

fn login_withheld() -> Message {
    let source = source();
    let destination = registry();
    let challenge = "Bearer realm=\"https://auth.example.net/token\",service=\"registry\"";
    let elsewhere = Answer::new(401).header("www-authenticate", challenge);
    destination.fault(Fault::on_any(), elsewhere);
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{from}: {{insecure: true}}\n{}", entry(&to, "right"));
    // A token server that refuses everybody; the proxy leads there.
    let server = Registry::builder().tls(Tls::new()).start_on_thread();
    server.fault(Fault::on_any(), Answer::new(401));
    let proxy = proxy_to(&server.address().to_string());
    Trial::new(&from, &to)
        .auth(&auth)
        .variable("HTTPS_PROXY", &format!("http://{proxy}"))
        .variable("NO_PROXY", "127.0.0.1")
        .fails()
}

fn token_server() -> Message {
    let source = source();
    let destination = real(DockerRegistry::builder().auth(Auth::bearer("syncer", "right")));
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{from}: {{insecure: true}}\n{}", entry(&to, "right"));
    let server = destination.token_server().unwrap();
    let page = "<html><head><title>Sign in</title></head></html>";
    let answer = Answer::new(404).body("text/html", page);
    server.fault(Fault::on_any().always(), answer);
    let trial = Trial::new(&from, &to).auth(&auth);
    trial
        .called(&server.token_host(), "auth.example.com")
        .fails()
}

fn credential_helper() -> Message {
    let (source, destination) = (source(), registry());
    let config = format!("{{\"credHelpers\": {{\"{}\": \"vault\"}}}}", source.host());
    let trial = Trial::new(&source.host(), &destination.host())
        .auth(&format!("{}: {{insecure: true}}\n", destination.host()))
        .file(".docker/config.json", &config)
        .file(
            "bin/docker-credential-vault",
            "#!/bin/sh\necho 'the vault is sealed'\nexit 1\n",
        );
    let program = trial.path("bin/docker-credential-vault");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let path = format!("{}:/usr/bin:/bin", trial.path("bin"));
    trial.variable("PATH", &path).fails()
}

fn helper_not_installed() -> Message {
    let (source, destination) = (source(), registry());
    let config = format!("{{\"credHelpers\": {{\"{}\": \"vault\"}}}}", source.host());
    Trial::new(&source.host(), &destination.host())
        .auth(&format!("{}: {{insecure: true}}\n", destination.host()))
        .file(".docker/config.json", &config)
        .fails()
}

fn credential_file() -> Message {
    let source = source();
    let destination = registry();
    let (from, to) = (source.host(), destination.host());
    Trial::new(&from, &to)
        .auth(&format!("{to}: {{insecure: true}}\n"))
        .file(".docker/config.json", "{\"auths\": ")
        .fails()
}

/// Returns the rights of a user who has only `actions`, everywhere.
fn only(actions: &str) -> Auth {
    let access = Access::new().user_with("syncer", "right", [Grant::new("*", actions)]);
    Auth::Bearer(access, testkit::auth::TokenRules::default())
}

fn no_pull_right() -> Message {
    let source = real(DockerRegistry::builder().auth(only("catalog")));
    let destination = registry();
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{}{to}: {{insecure: true}}\n", entry(&from, "right"));
    Trial::new(&from, &to).auth(&auth).fails()
}

fn no_push_right() -> Message {
    let source = source();
    let destination = real(DockerRegistry::builder().auth(only("pull")));
    let (from, to) = (source.host(), destination.host());
    let auth = format!("{from}: {{insecure: true}}\n{}", entry(&to, "right"));
    Trial::new(&from, &to).auth(&auth).fails()
}

/// Provokes the answer of Harbor for an image with too many vulnerabilities.
fn policy() -> Message {
    let source = source();
    let action = Action::error(
        412,
        "PROJECTPOLICYVIOLATION",
        "current image with 'Critical' vulnerabilities cannot be pulled due to configured policy in 'Prevent images \
         with vulnerability severity of \"High\" or higher from running.'",
    );
    source.fault(Fault::on(Kind::ManifestGet), action);
    from(&source)
}
