//! TLS profiles and trusted roots.
//!
//! Roots are read for the first verified connection: a run over plain http never opens the file, and all connections
//! share one store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert as _, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::digest::Digest;
use crate::lock::lock;
use crate::transport::certificates::{contains, read_certificates};
use crate::transport::certs_d::{CertificateSet, ClientCertificates, RegistryCertificates};
use crate::transport::classify::{is_authority_as_server, other_key};
use crate::transport::{HttpError, HttpErrorKind, Trust, crypto};

/// Creates the TLS configurations of a run.
pub(super) struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
    registries: Arc<RegistryCertificates>,
    /// One for each profile, so that sessions are resumed.
    configs: Mutex<HashMap<Profile, Arc<ClientConfig>>>,
    /// Certificates that are trusted for all hosts, once they are read.
    roots: Mutex<Option<Arc<Roots>>>,
}

/// Everything that distinguishes TLS configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    pub(super) trust: Trust,
    pub(super) alpn: Alpn,
    pub(super) certificates: Option<CertificateSet>,
}

/// Trusted certificates.
#[derive(Clone)]
struct Roots {
    store: RootCertStore,
    /// Digests of the certificates that were configured as such.
    named: HashSet<Digest>,
}

/// Protocols offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Alpn {
    /// No ALPN, as for a proxy.
    None,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, else HTTP/1.1.
    Http2,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::None => Vec::new(),
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

impl TlsConfigs {
    /// Trusts `extra` certificates (each PEM, with any number in it, or DER) in addition to the system's.
    pub(super) fn new(
        extra: &[Vec<u8>],
        registries: Arc<RegistryCertificates>,
    ) -> Result<Self, String> {
        let mut certificates = Vec::new();
        for (index, bytes) in extra.iter().enumerate() {
            let before = certificates.len();
            read_certificates(bytes, &mut certificates)
                .map_err(|why| format!("additional certificate {}: {why}", index + 1))?;
            if certificates.len() == before {
                return Err(format!(
                    "additional certificate {}: no certificate in it",
                    index + 1
                ));
            }
        }
        Ok(Self {
            provider: crypto::provider(),
            extra: certificates,
            registries,
            configs: Mutex::default(),
            roots: Mutex::default(),
        })
    }
    /// Returns the configuration of a profile.
    pub(super) fn config(&self, profile: Profile) -> Result<Arc<ClientConfig>, HttpError> {
        let mut configs = lock(&self.configs);
        if let Some(config) = configs.get(&profile) {
            return Ok(config.clone());
        }
        let config = self
            .build(profile)
            .map_err(|message| HttpError::new(HttpErrorKind::Handshake, message))?;
        configs.insert(profile, config.clone());
        Ok(config)
    }
    fn build(&self, profile: Profile) -> Result<Arc<ClientConfig>, String> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous();
        let set = profile.certificates;
        let certificates = set.map(|set| self.registries.get(set)).unwrap_or_default();
        let verifier: Arc<dyn ServerCertVerifier> = match profile.trust {
            Trust::Verified => self.verifier(&certificates.authorities)?,
            Trust::Anything => Arc::new(AcceptAnything {
                provider: self.provider.clone(),
            }),
        };
        let builder = builder.with_custom_certificate_verifier(verifier);
        let clients = ClientCertificates(certificates.clients.clone());
        let mut config = if set.is_some_and(CertificateSet::is_own) && clients.has_certs() {
            builder.with_client_cert_resolver(Arc::new(clients))
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = profile.alpn.names();
        Ok(Arc::new(config))
    }
    /// Returns a verifier that trusts `authorities` in addition to the common roots.
    fn verifier(&self, authorities: &[CertificateDer<'static>]) -> Result<Arc<TrustNamed>, String> {
        let mut roots = self.roots()?;
        if !authorities.is_empty() {
            let own = Arc::make_mut(&mut roots);
            own.named
                .extend(authorities.iter().map(|der| Digest::sha256(der)));
            let (_, ignored) = own
                .store
                .add_parsable_certificates(authorities.iter().cloned());
            if ignored > 0 {
                tracing::warn!("{ignored} certificates of certs.d cannot be used");
            }
        }
        let store = Arc::new(roots.store.clone());
        let by_roots = WebPkiServerVerifier::builder_with_provider(store, self.provider.clone())
            .build()
            .map_err(|error| format!("the trusted certificates cannot be used: {error}"))?;
        Ok(Arc::new(TrustNamed { by_roots, roots }))
    }
    /// Returns the system's roots, or the built-in ones if the system has none, and the additional ones.
    fn roots(&self) -> Result<Arc<Roots>, String> {
        let mut slot = lock(&self.roots);
        if let Some(roots) = &*slot {
            return Ok(roots.clone());
        }
        let mut store = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "a trusted certificate of the system cannot be read");
        }
        let given = native.certs.iter().chain(&self.extra);
        let named = given.map(|der| Digest::sha256(der)).collect();
        store.add_parsable_certificates(native.certs);
        if store.is_empty() {
            tracing::debug!("the system has no trusted certificates, the built-in ones are used");
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for certificate in &self.extra {
            store
                .add(certificate.clone())
                .map_err(|error| format!("an additional certificate cannot be used: {error}"))?;
        }
        let roots = Arc::new(Roots { store, named });
        *slot = Some(roots.clone());
        Ok(roots)
    }
}

/// Returns true if a public key is RSA with fewer bits than are accepted.
fn is_weak_key(info: &[u8]) -> bool {
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    // 2048 bits of modulus, and the encoding around them.
    contains(info, &RSA) && info.len() < 2048 / 8
}

/// Verifies by the roots, and also accepts a server's own certificate that is among the trusted ones, with a valid name
/// and dates. Many registries have a certificate made by `openssl req -x509`, which is marked as an authority; a user
/// who adds it to the trusted ones means this server.
struct TrustNamed {
    by_roots: Arc<WebPkiServerVerifier>,
    roots: Arc<Roots>,
}

impl std::fmt::Debug for TrustNamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustNamed").finish_non_exhaustive()
    }
}

impl TrustNamed {
    /// Returns true if a signature in a chain may have failed because a key is too short.
    fn is_weak_chain(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
        let is_weak = |der: &CertificateDer<'_>| {
            ParsedCertificate::try_from(der)
                .is_ok_and(|parsed| is_weak_key(&parsed.subject_public_key_info()))
        };
        let names = |name: &[u8]| {
            let mut chain = std::iter::once(own).chain(others);
            chain.any(|der| contains(der, name))
        };
        let mut anchors = self.roots.store.roots.iter();
        others.iter().any(is_weak)
            || anchors.any(|anchor| {
                is_weak_key(&anchor.subject_public_key_info) && names(&anchor.subject)
            })
    }
}

impl ServerCertVerifier for TrustNamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.by_roots.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match judged {
            Err(Error::InvalidCertificate(error))
                if is_authority_as_server(&error)
                    && self.roots.named.contains(&Digest::sha256(end_entity)) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(Error::InvalidCertificate(CertificateError::BadSignature))
                if !self.is_weak_chain(end_entity, intermediates) =>
            {
                Err(Error::InvalidCertificate(other_key()))
            }
            judged => judged,
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots
            .verify_tls12_signature(message, certificate, signature)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots
            .verify_tls13_signature(message, certificate, signature)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

/// Accepts every certificate. The handshake's signature is not checked either: with any certificate accepted it proves
/// nothing, and old ones (version 1, RSA keys of 1024 bits) have keys that cannot be checked here.
#[derive(Debug)]
struct AcceptAnything {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
