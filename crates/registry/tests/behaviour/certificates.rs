//! A test authority and its certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Returns a server for `127.0.0.1` with a self-signed certificate that is not an authority, and the certificate.
pub(crate) fn self_signed() -> (TlsAcceptor, Vec<u8>) {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let acceptor = acceptor(certificate.der().clone(), &key, &[]);
    (acceptor, certificate.pem().into_bytes())
}

/// An authority that no client trusts by default.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::of(CertificateParams::default())
    }
    /// Returns an authority that is also a server for `name`, as `openssl req -x509` makes them.
    pub(crate) fn serving(name: &str) -> Self {
        Self::of(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }
    fn of(mut params: CertificateParams) -> Self {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
    /// Returns its certificate as PEM.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }
    /// Returns its certificate as DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }
    /// Returns a server with the self-signed certificate of the authority.
    pub(crate) fn own_acceptor(&self) -> TlsAcceptor {
        acceptor(self.0.der().to_vec().into(), self.0.key(), &[])
    }
    /// Returns a server for `names` with these ALPN protocols.
    pub(crate) fn acceptor(&self, names: &[&str], alpn: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.acceptor_for(&CertificateParams::new(names).unwrap(), alpn)
    }
    /// Returns a server for `127.0.0.1` that demands a client certificate of this authority, with one version of TLS.
    pub(crate) fn demanding_acceptor(
        &self,
        version: &'static SupportedProtocolVersion,
        alpn: &[&str],
    ) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap());
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        finished(builder, certificate.der().clone(), &key, alpn)
    }
    /// Returns a client certificate of this authority and its key, as PEM.
    pub(crate) fn client(&self) -> (String, String) {
        let params = CertificateParams::new(Vec::new()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
    pub(crate) fn acceptor_for(&self, params: &CertificateParams, alpn: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        acceptor(certificate.der().clone(), &key, alpn)
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    finished(builder, certificate, key, alpn)
}

fn finished(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    alpn: &[&str],
) -> TlsAcceptor {
    let mut config = builder
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
