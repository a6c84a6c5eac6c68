//! TLS.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use testkit::Tls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::service::http::tests::support::{Answer, Setting, TestService};
use image_syncer_sync::config::TlsFiles;

/// Sends a request over TLS, trusting the authorities in `pem`.
async fn send(service: &TestService, pem: &str, text: &str) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(service.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(Answer::parse(&answer).unwrap())
}

#[tokio::test]
async fn tls_has_the_certificate_of_the_files_and_secure_cookies() {
    let directory = tempfile::tempdir().unwrap();
    let (cert, key) = (directory.path().join("c"), directory.path().join("k"));
    let pem = Tls::new().pem(&["localhost"]).unwrap();
    std::fs::write(&cert, &pem.certificate).unwrap();
    std::fs::write(&key, &pem.key).unwrap();
    let setting = Setting {
        tls: Some(TlsFiles { cert, key }),
        ..Setting::default()
    };
    let service = setting.with_tokens().start().await;
    let body = "token=reader-token";
    let text = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    let answer = send(&service, &pem.certificate, &text).await.unwrap();
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; SameSite=Strict; Secure"), "{cookie}");
    // A client that does not trust the authority, and one without TLS.
    let other = Tls::new().pem(&["localhost"]).unwrap();
    assert!(send(&service, &other.certificate, &text).await.is_err());
    let answer = service.exchange(text.as_bytes()).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
}
