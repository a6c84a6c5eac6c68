//! TLS: what is trusted, and what is spoken.

use testkit::fault::Answer;
use testkit::real::DockerRegistry;
use testkit::{CertificateFault, Fault, Registry, Tls};

use super::Case;
use super::peers::answering;
use super::trial::{Told, Trial, real, source};
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

/// To a host of whom nothing is accepted unseen.
fn verified(to: &str, ca: Option<&str>) -> Told {
    let source = source();
    let auth = format!("{}: {{insecure: true}}\n", source.host());
    let trial = Trial::new(&source.host(), to).auth(&auth);
    match ca {
        Some(ca) => trial.trusting(ca).fails(),
        None => trial.fails(),
    }
}

/// A registry with certificates of `tls`, whose authority is trusted.
fn trusted(tls: Tls) -> Told {
    let ca = tls.ca_pem();
    let destination = Registry::builder().tls(tls).start_on_thread();
    verified(&destination.host(), Some(&ca))
}

fn unknown_issuer() -> Told {
    let destination = real(DockerRegistry::builder().tls(Tls::new()));
    verified(&destination.host(), None)
}

/// The authority that is trusted has the name of the one that issued it, and another key.
fn another_key() -> Told {
    let destination = real(DockerRegistry::builder().tls(Tls::new()));
    verified(&destination.host(), Some(&Tls::new().ca_pem()))
}

fn refused() -> Told {
    trusted(Tls::new().with_fault(CertificateFault::NotForServers))
}

fn client_certificate() -> Told {
    trusted(Tls::new().demanding_clients())
}

fn self_signed() -> Told {
    trusted(Tls::new().with_fault(CertificateFault::SelfSigned))
}

fn expired() -> Told {
    trusted(Tls::new().with_fault(CertificateFault::Expired))
}

fn not_yet_valid() -> Told {
    trusted(Tls::new().with_fault(CertificateFault::NotYetValid))
}

fn wrong_name() -> Told {
    let told = trusted(Tls::new().for_names(&["old-registry.example.com"]));
    Told {
        message: told.message.replace("127.0.0.1", "registry.example.com"),
        ..told
    }
}

/// A server that breaks off every handshake, as one does that speaks TLS 1.0 alone.
fn tls_refused() -> Told {
    const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    verified(&answering(HANDSHAKE_FAILURE), None)
}

fn plain_http() -> Told {
    verified(&real(DockerRegistry::builder()).host(), None)
}

/// An insecure registry whose token server is said to speak http, and speaks https.
fn https_only() -> Told {
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
