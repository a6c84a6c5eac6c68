//! Certificates and versions of TLS.

use testkit::fault::Answer;
use testkit::real::DockerRegistry;
use testkit::{CertificateFault, Fault, Registry, Tls};

use super::Case;
use super::peers::answering;
use super::trial::{Message, Trial, real, source};
use crate::support::registry;

pub(super) const CASES: &[Case] = &[
    ("certificate-unknown-issuer", unknown_issuer),
    ("certificate-unknown-issuer", another_key),
    ("certificate-refused", refused),
    ("certificate-self-signed", self_signed),
    ("certificate-expired", expired),
    ("certificate-not-yet-valid", not_yet_valid),
    ("certificate-wrong-name", wrong_name),
    ("client-certificate", client_certificate),
    ("tls-refused", tls_refused),
    ("plain-http", plain_http),
    ("https-only", https_only),
];

/// Copies to a host whose certificate is verified.
fn verified(to: &str, ca: Option<&str>) -> Message {
    let source = source();
    let auth = format!("{}: {{insecure: true}}\n", source.host());
    let trial = Trial::new(&source.host(), to).auth(&auth);
    match ca {
        Some(ca) => trial.trusting(ca).fails(),
        None => trial.fails(),
    }
}

/// Copies to a registry with certificates of `tls`, whose authority is trusted.
fn trusted(tls: Tls) -> Message {
    let ca = tls.ca_pem();
    let destination = Registry::builder().tls(tls).start_on_thread();
    verified(&destination.host(), Some(&ca))
}

fn unknown_issuer() -> Message {
    let destination = real(DockerRegistry::builder().tls(Tls::new()));
    verified(&destination.host(), None)
}

/// Trusts an authority that has the name of the issuer, and another key.
fn another_key() -> Message {
    let destination = real(DockerRegistry::builder().tls(Tls::new()));
    verified(&destination.host(), Some(&Tls::new().ca_pem()))
}

fn refused() -> Message {
    trusted(Tls::new().with_fault(CertificateFault::NotForServers))
}

fn client_certificate() -> Message {
    trusted(Tls::new().demanding_clients())
}

fn self_signed() -> Message {
    trusted(Tls::new().with_fault(CertificateFault::SelfSigned))
}

fn expired() -> Message {
    trusted(Tls::new().with_fault(CertificateFault::Expired))
}

fn not_yet_valid() -> Message {
    trusted(Tls::new().with_fault(CertificateFault::NotYetValid))
}

fn wrong_name() -> Message {
    let message = trusted(Tls::new().for_names(&["old-registry.example.com"]));
    Message {
        text: message.text.replace("127.0.0.1", "registry.example.com"),
        ..message
    }
}

/// Copies to a server that aborts every handshake, as a server with TLS 1.0 only does.
fn tls_refused() -> Message {
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    verified(&answering(HANDSHAKE_FAILURE), None)
}

fn plain_http() -> Message {
    verified(&real(DockerRegistry::builder()).host(), None)
}

/// Copies to an insecure registry whose realm is an http address of an https port.
fn https_only() -> Message {
    let (source, destination) = (source(), registry());
    let token_server = real(DockerRegistry::builder().tls(Tls::new()));
    let realm = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry\"",
        token_server.host()
    );
    let answer = Answer::new(401).header("www-authenticate", realm);
    destination.fault(Fault::on_any(), answer);
    Trial::new(&source.host(), &destination.host())
        .called(&token_server.host(), "auth.example.com:8443")
        .fails()
}
