//! TLS and proxies of single registries.

use std::path::{Path, PathBuf};

use http::Method;
use image_syncer_registry::transport::{
    PerRegistry, ProxySetting, TlsSettings, Transport, TransportOptions,
};
use image_syncer_registry::{Cause, Error, ErrorKind, Registry};
use tempfile::TempDir;

use super::proxies::tunnels_to;
use super::{call, ok};
use crate::certificates::{Authority, self_signed};
use crate::server::Server;

fn registry(port: u16) -> Registry {
    Registry::parse(&format!("127.0.0.1:{port}")).unwrap()
}

fn file(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn transport(tls: PerRegistry<TlsSettings>) -> Transport {
    Transport::new(TransportOptions::default().with_tls(tls)).unwrap()
}

/// Requests the base of the registry at `port`, and returns its address.
async fn get(transport: &Transport, port: u16) -> Result<String, Error> {
    let endpoint = transport.endpoint(&registry(port), false);
    let base = transport.base_url(&endpoint, "fetch a thing").await?;
    let request = call(&endpoint, Method::GET, base.as_str());
    transport.send(request).await?;
    Ok(base.to_string())
}

#[tokio::test]
async fn an_authority_is_trusted_for_its_registry_alone() {
    let authority = Authority::new();
    let acceptor = || authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let known = Server::tls(acceptor(), |_| ok("hello")).await;
    let other = Server::tls(acceptor(), |_| ok("hello")).await;
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("ca.pem", authority.pem()), ("ca.der", authority.der())] {
        let mut settings = TlsSettings::default();
        settings.add_authorities(&file(&dir, name, bytes)).unwrap();
        let tls = PerRegistry::default().with_registry(registry(known.port), settings);
        let transport = transport(tls);
        get(&transport, known.port).await.unwrap();
        let error = get(&transport, other.port).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
    assert_eq!((known.heard().len(), other.heard().len()), (2, 0));
}

#[tokio::test]
async fn certificates_of_the_settings_go_before_those_of_the_folder() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(registry(server.port).as_str());
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    let get = async |settings| {
        let options = TransportOptions::default()
            .with_certificate_directories(vec![root.path().to_owned()])
            .with_tls(PerRegistry::default().with_registry(registry(server.port), settings));
        get(&Transport::new(options).unwrap(), server.port).await
    };
    // Settings without certificates leave the folder in its place.
    get(TlsSettings::default()).await.unwrap();
    let mut settings = TlsSettings::default();
    let other = file(&root, "other.pem", Authority::new().pem());
    settings.add_authorities(&other).unwrap();
    let error = get(settings.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    settings.add_authorities(&folder.join("ca.crt")).unwrap();
    get(settings).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_sent_to_its_registry_alone() {
    let authority = Authority::new();
    let demanding = || authority.demanding_acceptor(&rustls::version::TLS13, &["http/1.1"]);
    let known = Server::tls(demanding(), |_| ok("hello")).await;
    let other = Server::tls(demanding(), |_| ok("hello")).await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.client();
    let certificate = file(&dir, "client.pem", certificate);
    let key = file(&dir, "client.key", key);
    let mut settings = TlsSettings::default();
    settings
        .add_authorities(&file(&dir, "ca.pem", authority.pem()))
        .unwrap();
    let anonymous = settings.clone();
    settings.set_client_certificate(&certificate, &key).unwrap();
    let tls = PerRegistry::default()
        .with_registry(registry(known.port), settings)
        .with_registry(registry(other.port), anonymous);
    let transport = transport(tls);
    get(&transport, known.port).await.unwrap();
    let error = get(&transport, other.port).await.unwrap_err();
    assert_eq!(error.cause(), Cause::ClientCertificate, "{error}");
    assert_eq!((known.heard().len(), other.heard().len()), (1, 0));
}

#[tokio::test]
async fn exceptions_from_tls_are_separate() {
    let (acceptor, _) = self_signed();
    let secure = Server::tls(acceptor, |_| ok("hello")).await;
    let plain = Server::plain(|_| ok("hello")).await;
    for (insecure, plain_http, scheme_of_secure, scheme_of_plain) in [
        (false, false, None, None),
        (true, false, Some("https"), None),
        (false, true, None, Some("http")),
        (true, true, Some("https"), Some("http")),
    ] {
        let mut settings = TlsSettings::default();
        settings.insecure = insecure;
        settings.plain_http = plain_http;
        let transport = transport(PerRegistry::default().with_each(settings));
        for (port, scheme) in [
            (secure.port, scheme_of_secure),
            (plain.port, scheme_of_plain),
        ] {
            let base = get(&transport, port).await.ok();
            let expected = scheme.map(|scheme| format!("{scheme}://127.0.0.1:{port}/"));
            assert_eq!(
                base, expected,
                "insecure: {insecure}, plain-http: {plain_http}"
            );
        }
    }
    // Without a probe: the scheme is the user's.
    assert_eq!(plain.heard().len(), 2);
}

#[tokio::test]
async fn a_registry_by_plain_http_alone_has_no_exception_for_certificates() {
    let (acceptor, _) = self_signed();
    let storage = Server::tls(acceptor, |_| ok("hello")).await;
    let target = format!("https://127.0.0.1:{}/blob", storage.port);
    let server = Server::plain(move |_| {
        let answer =
            format!("HTTP/1.1 307 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
        crate::server::Reply::Keep(answer.into_bytes())
    })
    .await;
    let mut settings = TlsSettings::default();
    settings.plain_http = true;
    let transport = transport(PerRegistry::default().with_each(settings));
    let error = get(&transport, server.port).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert_eq!(storage.heard().len(), 0);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_without_their_content() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = file(&dir, "ca.pem", authority.pem());
    let (certificate, key) = authority.client();
    let certificate = file(&dir, "client.pem", certificate);
    let (_, other) = authority.client();
    let other = file(&dir, "other.key", other);
    let broken = file(&dir, "broken.pem", b"0garbage");
    let empty = file(&dir, "empty.pem", b"S3cret");
    let key = file(&dir, "client.key", key);
    let missing = dir.path().join("missing.pem");
    let names =
        |path: &Path, why: &str| format!("the file {} cannot be used: {why}", path.display());
    let mut settings = TlsSettings::default();
    for (path, why) in [
        (&missing, "there is no such file or directory"),
        (&broken, "a certificate in it is invalid"),
        (&empty, "there is no certificate in it"),
        (&key, "there is no certificate in it"),
    ] {
        let error = settings.add_authorities(path).unwrap_err();
        assert_eq!(error, names(path, why));
    }
    let no_key =
        "there is no private key in it that is not encrypted (PEM, PKCS #8, PKCS #1 or SEC 1)";
    for (certificate, key, wrong, why) in [
        (
            &missing,
            &key,
            &missing,
            "there is no such file or directory",
        ),
        (
            &certificate,
            &missing,
            &missing,
            "there is no such file or directory",
        ),
        (&certificate, &ca, &ca, no_key),
        (&certificate, &empty, &empty, no_key),
    ] {
        let error = settings
            .set_client_certificate(certificate, key)
            .unwrap_err();
        assert_eq!(error, names(wrong, why));
    }
    let error = settings
        .set_client_certificate(&certificate, &other)
        .unwrap_err();
    let (certificate, other) = (certificate.display(), other.display());
    assert_eq!(
        error,
        format!("the key {other} is not the one of the client certificate {certificate}")
    );
    let shown = format!("{settings:?}");
    assert_eq!(
        shown,
        "TlsSettings { authorities: 0, clients: 0, insecure: false, plain_http: false }"
    );
}

#[tokio::test]
async fn a_proxy_serves_its_registry_and_where_it_leads() {
    let authority = Authority::new();
    let names = ["127.0.0.1", "registry.example", "storage.example"];
    let acceptor = authority.acceptor(&names, &["http/1.1"]);
    let behind = Server::tls(acceptor, |request| match request.line() {
        "GET /v2/ HTTP/1.1" => {
            let answer = "HTTP/1.1 307 Moved\r\nLocation: https://storage.example/blob\r\nContent-Length: 0\r\n\r\n";
            crate::server::Reply::Keep(answer.as_bytes().to_vec())
        }
        _ => ok("behind"),
    })
    .await;
    let (proxy, mut told) = tunnels_to(behind.port).await;
    let dir = tempfile::tempdir().unwrap();
    let mut settings = TlsSettings::default();
    settings
        .add_authorities(&file(&dir, "ca.pem", authority.pem()))
        .unwrap();
    let proxied = Registry::parse("registry.example").unwrap();
    let proxies = PerRegistry::default()
        .with_registry(proxied.clone(), ProxySetting::parse(&proxy).unwrap())
        .with_registry(registry(behind.port), ProxySetting::parse("none").unwrap());
    let options = TransportOptions::default()
        .with_tls(PerRegistry::default().with_each(settings))
        .with_proxies(proxies);
    let transport = Transport::new(options).unwrap();
    let endpoint = transport.endpoint(&proxied, false);
    let request = call(&endpoint, Method::GET, "https://registry.example/v2/");
    let answer = transport.send(request).await.unwrap();
    assert_eq!(answer.body.bytes(10).await.unwrap(), "behind");
    let mut hosts = Vec::new();
    while let Ok(host) = told.try_recv() {
        hosts.push(host);
    }
    assert_eq!(hosts, ["registry.example:443", "storage.example:443"]);
    get(&transport, behind.port).await.unwrap();
    assert!(told.try_recv().is_err());
    // Three requests arrived: each through its own proxy, or none.
    assert_eq!(behind.heard().len(), 3);
}

#[tokio::test]
async fn the_login_of_a_proxy_is_not_shown() {
    let (proxy, _told) = tunnels_to(1).await;
    let refused = Registry::parse("refused.example").unwrap();
    let setting = ProxySetting::parse(&proxy).unwrap();
    let proxies = PerRegistry::default().with_registry(refused.clone(), setting);
    let transport = Transport::new(TransportOptions::default().with_proxies(proxies)).unwrap();
    let endpoint = transport.endpoint(&refused, false);
    let request = call(&endpoint, Method::GET, "https://refused.example/v2/");
    let error = transport.send(request).await.unwrap_err().to_string();
    let address = proxy.strip_prefix("http://user:pass@").unwrap();
    assert_eq!(
        error,
        format!(
            "cannot fetch a thing at refused.example: the proxy does not connect to it (through the proxy {address})"
        )
    );
}
