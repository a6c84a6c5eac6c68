//! Trust in certificates.

use http::Method;
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{Cause, Error, ErrorKind, Retryable};
use rcgen::{CertificateParams, date_time_ymd};
use tokio_rustls::TlsAcceptor;

use super::{call, child, insecure, ok, secure, transport};
use crate::certificates::{Authority, self_signed};
use crate::server::Server;

fn trusting(authority: &Authority) -> Transport {
    Transport::new(TransportOptions::default().with_extra_certificates(vec![authority.pem()]))
        .unwrap()
}

async fn refusal(transport: &Transport, acceptor: TlsAcceptor) -> Error {
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let name = format!("127.0.0.1:{}", server.port);
    let get = call(&secure(&name), Method::GET, &format!("https://{name}/v2/"));
    let error = transport.send(get).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_eq!(error.retryable(), Retryable::No);
    assert_eq!(error.host(), name);
    assert_eq!(server.heard().len(), 0);
    error
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_a_known_one_is_not() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let error = refusal(&transport(), acceptor.clone()).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: issued by an unknown authority"
    );
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let name = format!("127.0.0.1:{}", server.port);
    let url = format!("https://{name}/v2/");
    for transport in [
        trusting(&authority),
        Transport::new(TransportOptions::default().with_extra_certificates(vec![authority.der()]))
            .unwrap(),
    ] {
        let answer = transport
            .send(call(&secure(&name), Method::GET, &url))
            .await
            .unwrap();
        assert_eq!(answer.body.bytes(100).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_trusted_self_signed_certificate_is_accepted() {
    let own = Authority::serving("127.0.0.1");
    let error = refusal(&transport(), own.own_acceptor()).await;
    let untrusted = "its certificate is not trusted: self-signed";
    assert_eq!(error.message(), untrusted);
    let stranger = trusting(&Authority::serving("127.0.0.1"));
    let error = refusal(&stranger, own.own_acceptor()).await;
    assert_eq!(error.message(), untrusted);
    let other = Authority::serving("other.example");
    let error = refusal(&trusting(&other), other.own_acceptor()).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: it is for other.example, not 127.0.0.1"
    );
    let server = Server::tls(own.own_acceptor(), |_| ok("hello")).await;
    let name = format!("127.0.0.1:{}", server.port);
    let get = call(&secure(&name), Method::GET, &format!("https://{name}/v2/"));
    let answer = trusting(&own).send(get).await.unwrap();
    assert_eq!(answer.body.bytes(100).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_key_that_differs_from_that_of_a_trusted_name_is_unknown_and_not_weak() {
    // All of them have one subject name.
    let untrusted = "its certificate is not trusted: issued by an authority that has the name of a trusted one, but \
                     another key";
    let authority = trusting(&Authority::new());
    let stranger = Authority::new().acceptor(&["127.0.0.1"], &["h2", "http/1.1"]);
    let ((_, trusted), (renewed, _)) = (self_signed(), self_signed());
    let own = Transport::new(TransportOptions::default().with_extra_certificates(vec![trusted]));
    for (transport, acceptor) in [(authority, stranger), (own.unwrap(), renewed)] {
        let error = refusal(&transport, acceptor).await;
        assert_eq!(error.message(), untrusted);
        assert_eq!(error.cause(), Cause::CertificateUnknownIssuer);
    }
}

#[tokio::test]
async fn a_demanded_client_certificate_is_reported() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for alpn in [&["h2", "http/1.1"][..], &["http/1.1"]] {
            let acceptor = authority.demanding_acceptor(version, alpn);
            let error = refusal(&trusting(&authority), acceptor).await;
            let message = "it requires a client certificate that it accepts";
            assert_eq!(error.message(), message, "{version:?} {alpn:?}");
            assert_eq!(error.cause(), Cause::ClientCertificate);
        }
    }
}

#[tokio::test]
async fn another_name_and_another_time_are_refused() {
    let authority = Authority::new();
    let transport = trusting(&authority);
    let names = ["a.example", "b.example", "c.example", "d.example"];
    let error = refusal(&transport, authority.acceptor(&names, &[])).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: it is for a.example, b.example, c.example and 1 more, not 127.0.0.1"
    );
    let dated = |from: i32, to: i32| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 2, 3);
        params.not_after = date_time_ymd(to, 2, 3);
        authority.acceptor_for(&params, &[])
    };
    let error = refusal(&transport, dated(2000, 2001)).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: expired on 03 Feb 2001"
    );
    let error = refusal(&transport, dated(3000, 3001)).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: not valid before 03 Feb 3000; is this machine's clock right?"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_reported_as_such() {
    let acceptor = Authority::new().own_acceptor();
    let error = refusal(&transport(), acceptor.clone()).await;
    assert_eq!(
        error.message(),
        "its certificate is not trusted: self-signed"
    );
    // An insecure registry may have it.
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let endpoint = insecure(server.port);
    let url = format!("https://127.0.0.1:{}/", server.port);
    let answer = transport()
        .send(call(&endpoint, Method::GET, &url))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_port_without_tls_is_reported_as_such() {
    let server = Server::plain(|_| ok("hello")).await;
    let name = format!("127.0.0.1:{}", server.port);
    let get = call(&secure(&name), Method::GET, &format!("https://{name}/v2/"));
    let error = transport().send(get).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_eq!(
        error.to_string(),
        format!("cannot fetch a thing at {name}: the port does not speak TLS")
    );
}

#[tokio::test]
async fn invalid_certificates_are_refused() {
    for (bytes, why) in [
        (
            &b"hello"[..],
            "additional certificate 1: no certificate in it",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "additional certificate 1: not PEM",
        ),
    ] {
        let options = TransportOptions::default().with_extra_certificates(vec![bytes.to_vec()]);
        let Err(error) = Transport::new(options) else {
            panic!("{why}");
        };
        assert!(error.message().starts_with(why), "{error}");
    }
}

#[tokio::test]
async fn roots_come_from_where_the_environment_says() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roots.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    for (name, path) in [
        ("SSL_CERT_FILE", file.as_path()),
        ("SSL_CERT_DIR", directory.path()),
    ] {
        let port = server.port.to_string();
        let environment = [(name, path.to_str().unwrap()), ("SERVER_PORT", &port)];
        child("transport::tls::child_with_roots", &environment).await;
    }
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
#[ignore = "a half of another test"]
async fn child_with_roots() {
    let name = format!("127.0.0.1:{}", std::env::var("SERVER_PORT").unwrap());
    let get = call(&secure(&name), Method::GET, &format!("https://{name}/v2/"));
    assert_eq!(transport().send(get).await.unwrap().status, 200);
}
