//! Certificates for a test.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority made for one test, which signs the certificates of servers. A clone is the same authority, so that one
/// CA file is enough for several registries.
#[derive(Clone)]
pub struct Tls {
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    http2: bool,
    other_names: Option<Vec<String>>,
    fault: Option<CertificateFault>,
    demands_clients: bool,
}

/// Defects of the certificates of servers, besides their [names](Tls::for_names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// They expired on 4 March 2002.
    Expired,
    /// They are not valid before 3 February 2090.
    NotYetValid,
    /// They are self-signed and marked as authorities, as `openssl req -x509` makes them.
    SelfSigned,
    /// They are only valid for clients.
    NotForServers,
}

/// A server's certificate.
pub(crate) struct Certified {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

/// A server's certificate and key as PEM, for servers that read files.
#[derive(Clone)]
pub struct Pem {
    /// The certificate, followed by that of its authority.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl Tls {
    /// Creates an authority.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn new() -> Self {
        let authority = authority().expect("a key can be made and a certificate signed");
        Self {
            authority: Arc::new(authority),
            http2: true,
            other_names: None,
            fault: None,
            demands_clients: false,
        }
    }

    /// Does not offer HTTP/2.
    pub fn http1_only(mut self) -> Self {
        self.http2 = false;
        self
    }

    /// Gives servers a certificate for these names instead of their own: clients that verify refuse it.
    pub fn for_names(mut self, names: &[&str]) -> Self {
        self.other_names = Some(names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Gives servers a certificate with a defect: clients that verify refuse it.
    pub fn with_fault(mut self, fault: CertificateFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Lets servers demand a client certificate of the same authority: see [`Tls::client_pem`].
    pub fn demanding_clients(mut self) -> Self {
        self.demands_clients = true;
        self
    }

    pub(crate) fn demands_clients(&self) -> bool {
        self.demands_clients
    }

    /// Returns a client certificate, as PEM.
    pub fn client_pem(&self) -> io::Result<Pem> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "testkit client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &*self.authority);
        Ok(Pem {
            certificate: certificate.map_err(io::Error::other)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Certificate of the authority, as PEM.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// Returns a certificate for these names (and addresses), as PEM.
    pub fn pem(&self, names: &[&str]) -> io::Result<Pem> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let (certificate, key) = self.sign(&names).map_err(io::Error::other)?;
        Ok(Pem {
            certificate: certificate.pem() + &self.ca_pem(),
            key: key.serialize_pem(),
        })
    }

    pub(crate) fn certify(&self, names: &[String]) -> io::Result<Certified> {
        let names = self.other_names.as_deref().unwrap_or(names);
        let (certificate, key) = self.sign(names).map_err(io::Error::other)?;
        let mut chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        if self.fault != Some(CertificateFault::SelfSigned) {
            chain.push(self.authority.der().clone());
        }
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = if self.demands_clients {
            let mut roots = RootCertStore::empty();
            roots
                .add(self.authority.der().clone())
                .map_err(io::Error::other)?;
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(io::Error::other)?
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let builder = builder.with_client_cert_verifier(clients);
                builder.with_single_cert(chain, key)
            })
            .map_err(io::Error::other)?;
        if self.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Certified {
            config: Arc::new(config),
            ca_pem: self.ca_pem(),
        })
    }

    fn sign(&self, names: &[String]) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "testkit server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match self.fault {
            Some(CertificateFault::Expired) => {
                params.not_before = date_time_ymd(2001, 2, 3);
                params.not_after = date_time_ymd(2002, 3, 4);
            }
            Some(CertificateFault::NotYetValid) => {
                params.not_before = date_time_ymd(2090, 2, 3);
                params.not_after = date_time_ymd(2091, 3, 4);
            }
            Some(CertificateFault::SelfSigned) => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                return Ok((params.self_signed(&key)?, key));
            }
            Some(CertificateFault::NotForServers) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
            None => {}
        }
        let certificate = params.signed_by(&key, &*self.authority)?;
        Ok((certificate, key))
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "testkit authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    CertifiedIssuer::self_signed(params, key)
}
