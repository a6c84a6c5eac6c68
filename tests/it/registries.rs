//! Registries of native files: logins, certificates, proxies and limits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, channel};

use testkit::{Auth, Authorization, Registry, Tls};

use crate::support::{Outcome, Place, assert_arrived, image, registry};

/// Starts a registry with an image.
fn source(auth: Auth, tls: Option<&Tls>) -> Registry {
    let builder = Registry::builder().auth(auth);
    let builder = match tls {
        Some(tls) => builder.tls(tls.clone()),
        None => builder,
    };
    let source = builder.start_on_thread();
    source.push("a", Some("v1"), &image("a"));
    source
}

/// Writes a native file that copies the image of `source` to `destination`, with this entry for the source.
fn native(place: Place, source: &Registry, destination: &Registry, entry: &str) -> Place {
    let (from, to) = (source.host(), destination.host());
    let text = format!(
        "version: 1\nregistries:\n  \"{from}\": {entry}\n  \"{to}\": {{tls: {{plain-http: true}}}}\nrules:\n  - {{from: \"{from}/a:v1\", to: \"{to}/b\"}}\n"
    );
    place.file("mirror.yaml", &text)
}

/// Runs a native file with this entry for the source.
fn run(place: Place, source: &Registry, entry: &str) -> (Outcome, Registry) {
    let destination = registry();
    let place = native(place, source, &destination, entry);
    (place.run(&["--config", "mirror.yaml", "-r0"]), destination)
}

/// Number of requests with a password that were refused.
fn refused(registry: &Registry) -> usize {
    let with_login = |request: &testkit::Request| {
        matches!(request.authorization, Authorization::Basic { .. }) && request.status == 401
    };
    registry.count(with_login)
}

#[test]
fn an_authority_and_a_client_certificate_have_relative_paths() {
    let tls = Tls::new().demanding_clients();
    let source = source(Auth::default(), Some(&tls));
    let client = tls.client_pem().unwrap();
    let place = || {
        let place = Place::new();
        std::fs::create_dir(place.path("certs")).unwrap();
        place
            .file("certs/ca.pem", &tls.ca_pem())
            .file("certs/client.pem", &client.certificate)
            .file("certs/client.key", &client.key)
    };
    let (outcome, destination) = run(
        place(),
        &source,
        "{tls: {ca: certs/ca.pem, cert: certs/client.pem, key: certs/client.key}}",
    );
    outcome.exits(0).says("1 copied");
    assert_arrived(&destination, "b", "v1", &image("a"));
    let (outcome, _) = run(place(), &source, "{tls: {ca: certs/ca.pem}}");
    outcome
        .exits(1)
        .says("it requires a client certificate that it accepts");
    // Mistakes of files are found before the first request.
    source.clear_requests();
    let (outcome, _) = run(place(), &source, "{tls: {ca: certs/none.pem}}");
    outcome
        .exits(2)
        .says("mirror.yaml:3:")
        .says("certs/none.pem cannot be used: there is no such file or directory");
    assert_eq!(source.requests().len(), 0);
}

#[test]
fn exceptions_from_tls_are_separate() {
    let tls = Tls::new();
    let (secure, plain) = (source(Auth::default(), Some(&tls)), registry());
    plain.push("a", Some("v1"), &image("a"));
    for (entry, secure_code, plain_code) in [
        ("{tls: {insecure: true}}", 0, 1),
        ("{tls: {plain-http: true}}", 1, 0),
        ("{tls: {insecure: true, plain-http: true}}", 0, 0),
        ("{}", 1, 1),
    ] {
        run(Place::new(), &secure, entry).0.exits(secure_code);
        run(Place::new(), &plain, entry).0.exits(plain_code);
    }
}

#[test]
fn certificates_in_certs_d_serve_classic_files_as_well() {
    let tls = Tls::new().demanding_clients();
    let source = source(Auth::basic("ada", "pw"), Some(&tls));
    let client = tls.client_pem().unwrap();
    let destination = registry();
    let (from, to) = (source.host(), destination.host());
    let folder = format!(".config/containers/certs.d/{from}");
    let place = Place::new();
    std::fs::create_dir_all(place.path(&folder)).unwrap();
    let auth = format!("{from}: {{username: ada, password: pw}}\n{to}: {{insecure: true}}\n");
    place
        .file(&format!("{folder}/ca.crt"), &tls.ca_pem())
        .file(&format!("{folder}/client.cert"), &client.certificate)
        .file(&format!("{folder}/client.key"), &client.key)
        .file("auth.yaml", &auth)
        .file("images.yaml", &format!("{from}/a:v1: {to}/b\n"))
        .run(&["--auth", "auth.yaml", "--images", "images.yaml"])
        .exits(0)
        .says("1 copied");
    assert_arrived(&destination, "b", "v1", &image("a"));
}

#[test]
fn a_password_comes_from_a_file_and_is_never_shown() {
    for auth in [
        Auth::basic("ada", "hidden-secret"),
        Auth::bearer("ada", "hidden-secret"),
    ] {
        let source = source(auth, None);
        let entry = "{tls: {plain-http: true}, login: {username: ada, password: {file: password}}}";
        let place = Place::new().file("password", "hidden-secret\n");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.path("password"), mode).unwrap();
        let place = place.variable("RUST_LOG", "trace");
        run(place, &source, entry)
            .0
            .exits(0)
            .says("1 copied")
            .does_not_say("every user of this machine")
            .does_not_say("hidden-secret");
        let place = Place::new().file("password", "wrong-secret\n");
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(place.path("password"), mode).unwrap();
        source.clear_requests();
        run(place, &source, entry)
            .0
            .exits(1)
            .says("every user of this machine can read the secret in")
            .says("password, which mirror.yaml:3 names")
            .does_not_say("wrong-secret");
    }
}

#[test]
fn a_wrong_password_in_a_file_is_sent_once_and_checked_once() {
    let source = source(Auth::basic("ada", "right"), None);
    for tag in 0..20 {
        source.push("a", Some(&format!("t{tag}")), &image("a"));
    }
    let destination = registry();
    let entry = "{tls: {plain-http: true}, login: {username: ada, password: {file: password}}}";
    let place = native(Place::new(), &source, &destination, entry).file("password", "wrong");
    let text = place.read("mirror.yaml");
    let place = place.file("mirror.yaml", &text.replace("/a:v1", "/a:/t/"));
    place.run(&["--config", "mirror.yaml", "-r0"]).exits(1);
    assert!((1..=2).contains(&refused(&source)), "{}", refused(&source));
}

#[test]
fn logins_of_docker_are_chosen_required_or_ignored() {
    let source = source(Auth::basic("u", "p"), None);
    let host = source.host();
    // u:p in base64.
    let config = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"dTpw\"}}}}}}");
    let place = |config: &str| {
        let place = Place::new().file("config.json", config);
        let directory = place.path("").display().to_string();
        place.variable("DOCKER_CONFIG", &directory)
    };
    for (login, config, code, said) in [
        ("auto", &*config, 0, "1 copied"),
        ("docker", &config, 0, "1 copied"),
        ("anonymous", &config, 1, "says anonymous"),
        ("docker", "{}", 1, "docker and podman have no login for it"),
    ] {
        let entry = format!("{{tls: {{plain-http: true}}, login: {login}}}");
        run(place(config), &source, &entry).0.exits(code).says(said);
    }
}

#[test]
fn the_longest_prefix_has_the_login_and_the_registry_its_tls() {
    let source = source(Auth::basic("ada", "pw"), None);
    let (from, destination) = (source.host(), registry());
    let entry = format!(
        "{{tls: {{plain-http: true}}, login: {{username: eva, password: other}}}}\n  \"{from}/a\": {{login: {{username: ada, password: {{env: PASSWORD}}}}}}"
    );
    let place = native(Place::new(), &source, &destination, &entry).variable("PASSWORD", "pw");
    place
        .run(&["--config", "mirror.yaml"])
        .exits(0)
        .says("1 copied");
    assert_eq!(refused(&source), 0);
    let place = place.file(
        "below.yaml",
        &format!("version: 1\nregistries:\n  \"{from}/a\": {{limits: {{transfers: 1}}}}\n"),
    );
    place
        .run(&["--config", "below.yaml"])
        .exits(2)
        .says("`limits` is a setting of a whole registry");
}

/// Starts a proxy for `CONNECT` that reports the head of each request and connects it to its host.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || connect(client, &sender));
        }
    });
    (address, heads)
}

fn connect(mut client: TcpStream, heads: &std::sync::mpsc::Sender<String>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let host = head.split(' ').nth(1).unwrap().to_owned();
    heads.send(head).ok();
    let Ok(mut server) = TcpStream::connect(host) else {
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").ok();
        return;
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut reader, &mut server).ok();
}

#[test]
fn a_proxy_is_for_its_registry_and_goes_before_the_environment() {
    let tls = Tls::new();
    let source = source(Auth::bearer("ada", "pw"), Some(&tls));
    let (address, heads) = proxy();
    let place = || {
        Place::new()
            .file("ca.pem", &tls.ca_pem())
            .variable("PROXY_PASSWORD", "proxied-secret")
            .variable("NO_PROXY", "*")
    };
    let entry = format!(
        "{{tls: {{ca: ca.pem}}, login: {{username: ada, password: pw}}, proxy: \"http://eva:${{PROXY_PASSWORD}}@{address}\"}}"
    );
    let (outcome, _) = run(place(), &source, &entry);
    outcome.exits(0).says("1 copied");
    let heads: Vec<String> = heads.try_iter().collect();
    // eva:proxied-secret in base64.
    let login = "Proxy-Authorization: Basic ZXZhOnByb3hpZWQtc2VjcmV0";
    let hosts = [source.host(), source.token_host()];
    for head in &heads {
        assert!(
            head.to_lowercase().contains(&login.to_lowercase()),
            "{head}"
        );
        let host = head.split(' ').nth(1).unwrap();
        assert!(hosts.iter().any(|own| own == host), "{head}");
    }
    assert!(
        heads.iter().any(|head| head.contains(&hosts[0])),
        "{heads:?}"
    );

    let (outcome, _) = run(
        place().variable("HTTPS_PROXY", "http://nobody.invalid:1"),
        &source,
        "{tls: {ca: ca.pem}, login: {username: ada, password: pw}, proxy: none}",
    );
    outcome.exits(0);
    // Nothing listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let entry = entry.replace(&address, &closed.to_string());
    let (outcome, _) = run(place(), &source, &entry);
    outcome
        .exits(1)
        .says(&format!("through the proxy {closed}"))
        .does_not_say("proxied-secret")
        .does_not_say("ZXZhOnByb3hpZWQtc2VjcmV0");
    let (outcome, _) = run(
        place(),
        &source,
        "{proxy: \"ftp://eva:${PROXY_PASSWORD}@proxy.example\"}",
    );
    outcome
        .exits(2)
        .says(
            "`proxy`: that is no address of a proxy: write http://HOST:PORT, or none for no proxy",
        )
        .does_not_say("proxied-secret");
}

#[test]
pub(crate) fn copy_takes_the_registries_of_a_file_alone() {
    let source = source(Auth::basic("ada", "pw"), None);
    let (from, destination) = (source.host(), registry());
    let to = destination.host();
    let entry = "{tls: {plain-http: true}, login: {username: ada, password: pw}}";
    let place = native(Place::new(), &source, &destination, entry).file(
        "classic.yaml",
        &format!(
            "auth:\n  {from}: {{username: ada, password: pw, insecure: true}}\n  {to}: {{insecure: true}}\nimages: {{\"{from}/none\": \"\"}}\n"
        ),
    );
    for file in ["mirror.yaml", "classic.yaml"] {
        let arguments = [&format!("{from}/a:v1"), &format!("{to}/{}", &file[..3])];
        let [image, name] = arguments.map(String::as_str);
        let outcome = place.run(&["copy", "--config", file, image, name]);
        outcome.exits(0).says("1 copied");
        assert_arrived(&destination, &file[..3], "v1", &crate::support::image("a"));
    }
    // The rule of the native file is not carried out.
    assert_eq!(
        destination.count(|request| request.path.contains("/v2/b/")),
        0
    );
    let place = place.file("auth.yaml", "{}");
    let both = [
        "copy",
        "--config",
        "mirror.yaml",
        "--auth",
        "auth.yaml",
        "a.io/b:c",
        "d.io/e",
    ];
    place
        .run(&both)
        .exits(2)
        .says("--config cannot be used with --auth. Use either.");
}

#[test]
fn an_insecure_host_of_a_flag_keeps_what_else_the_file_says() {
    let source = source(Auth::basic("ada", "pw"), None);
    let (from, destination) = (source.host(), registry());
    let to = destination.host();
    let entry = "{tls: {}, login: {username: ada, password: pw}}";
    let place = native(Place::new(), &source, &destination, entry);
    let hosts = format!("{from},{to}");
    let (image, name) = (format!("{from}/a:v1"), format!("{to}/c"));
    let flags = [
        "copy",
        "--config",
        "mirror.yaml",
        "--insecure",
        &hosts,
        &image,
        &name,
    ];
    place.run(&flags).exits(0).says("1 copied");
}
