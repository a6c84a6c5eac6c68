//! Connections, proxies and limits.

use testkit::fault::{Answer, Cut};
use testkit::{Action, Fault, Image, Kind, Profile, Registry};

use super::Case;
use super::peers::{answering, nobody};
use super::trial::{Message, Trial, from, image, source};
use crate::support::registry;

pub(super) const CASES: &[Case] = &[
    ("name-not-resolved", name_not_resolved),
    ("connection-refused", connection_refused),
    ("timed-out", timed_out),
    ("connection-broken", connection_broken),
    ("proxy-refused", proxy_refused),
    ("proxy-refused", no_proxy),
    ("proxy-login", proxy_login),
    ("rate-limited", rate_limited),
    ("rate-limited", quota_of_pulls),
    ("server-error", server_error),
    ("not-understood", not_understood),
];

fn name_not_resolved() -> Message {
    let source = source();
    Trial::new(&source.host(), "registry.invalid")
        .called("registry.invalid", "registry.invalid")
        .auth(&format!("{}: {{insecure: true}}\n", source.host()))
        .fails()
}

fn connection_refused() -> Message {
    let (source, nobody) = (source(), nobody());
    let auth = format!("{}: {{insecure: true}}\n", source.host());
    Trial::new(&source.host(), &nobody).auth(&auth).fails()
}

fn timed_out() -> Message {
    let source = source();
    source.fault(Fault::on(Kind::ManifestGet), Action::StallBeforeAnswer);
    let arguments = ["--retries", "0", "--stall-timeout", "1"];
    let destination = registry();
    let trial = Trial::new(&source.host(), &destination.host());
    trial.arguments(&arguments).fails()
}

fn connection_broken() -> Message {
    let source = source();
    source.fault(
        Fault::on(Kind::ManifestGet),
        Action::CutBeforeAnswer(Cut::Reset),
    );
    from(&source)
}

/// Copies from a registry that is reached through `proxy`.
fn through(proxy: &str) -> Message {
    let destination = registry();
    Trial::new("source.example.com", &destination.host())
        .auth(&format!("{}: {{insecure: true}}\n", destination.host()))
        .variable("HTTPS_PROXY", &format!("http://me:secret@{proxy}"))
        .variable("NO_PROXY", "127.0.0.1")
        .called(proxy, "proxy.example.com:3128")
        .fails()
}

fn proxy_refused() -> Message {
    through(&answering(
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ))
}

fn no_proxy() -> Message {
    through(&nobody())
}

fn proxy_login() -> Message {
    through(&answering(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
          Content-Length: 0\r\nConnection: close\r\n\r\n",
    ))
}

fn rate_limited() -> Message {
    let source = source();
    source.fault(
        Fault::on(Kind::ManifestGet),
        Action::too_many_requests(1380),
    );
    from(&source)
}

fn quota_of_pulls() -> Message {
    let profile = Profile {
        pull_limit: Some(1),
        ..Profile::distribution()
    };
    let source = Registry::builder().profile(profile).start_on_thread();
    source.push("team/app", Some("v1"), &Image::index([image()]));
    from(&source)
}

fn server_error() -> Message {
    let source = source();
    let answer = Answer::new(503).error("UNAVAILABLE", "service unavailable");
    source.fault(Fault::on(Kind::ManifestGet), answer);
    let destination = registry();
    let trial = Trial::new(&source.host(), &destination.host());
    trial.arguments(&["--retries", "1"]).fails()
}

fn not_understood() -> Message {
    let source = source();
    source.change_profile(|profile| profile.web_server = Some((404, 405)));
    from(&source)
}
