//! TLS settings of a single registry.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

use crate::transport::certificates::{
    Certificates, NO_CERTIFICATE, read_certificate_file, read_client, unreadable,
};
use crate::transport::tls_exceptions::TlsExceptions;

/// Settings of the connections to a registry. Certificates replace the folder of the registry in
/// [`certificate_directories`](crate::transport::certificate_directories).
#[derive(Clone, Default)]
pub struct TlsSettings {
    certificates: Arc<Certificates>,
    /// Accepts every certificate.
    pub insecure: bool,
    /// Uses http instead of https; with `insecure`, only if the registry does not speak https.
    pub plain_http: bool,
}

impl TlsSettings {
    /// Trusts the authorities in a file (PEM, with any number of certificates, or DER) in addition to the system's.
    ///
    /// # Errors
    /// A clause that names the file, if it cannot be read or has no certificate that can be used.
    pub fn add_authorities(&mut self, path: &Path) -> Result<(), String> {
        let mut found = Vec::new();
        let count = read_certificate_file(path, &mut found)
            .map_err(|error| unreadable(path, &error.why))?;
        if count == 0 {
            return Err(unreadable(path, NO_CERTIFICATE));
        }
        let mut store = RootCertStore::empty();
        for certificate in &found {
            store
                .add(certificate.clone())
                .map_err(|_| unreadable(path, "a certificate in it is invalid"))?;
        }
        Arc::make_mut(&mut self.certificates)
            .authorities
            .extend(found);
        Ok(())
    }
    /// Sets the client certificate that is sent to the registry, from a file with the certificate and those that it was
    /// issued by, and a file with its key (PEM, PKCS #8, PKCS #1 or SEC 1, not encrypted).
    ///
    /// # Errors
    /// A clause that names the invalid file, without any of its content.
    pub fn set_client_certificate(&mut self, certificate: &Path, key: &Path) -> Result<(), String> {
        let client = read_client(certificate, key)?;
        Arc::make_mut(&mut self.certificates).clients = vec![Arc::new(client)];
        Ok(())
    }
    /// Returns the exceptions.
    pub(super) fn exceptions(&self) -> TlsExceptions {
        TlsExceptions {
            any_certificate: self.insecure,
            plain_http: self.plain_http,
        }
    }
    /// Returns true if there are certificates of authorities or a client certificate.
    pub fn has_certificates(&self) -> bool {
        self.certificates().is_some()
    }
    /// Returns the certificates, unless there are none.
    pub(super) fn certificates(&self) -> Option<Arc<Certificates>> {
        let Certificates {
            authorities,
            clients,
        } = &*self.certificates;
        let is_empty = authorities.is_empty() && clients.is_empty();
        (!is_empty).then(|| Arc::clone(&self.certificates))
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("authorities", &self.certificates.authorities.len())
            .field("clients", &self.certificates.clients.len())
            .field("insecure", &self.insecure)
            .field("plain_http", &self.plain_http)
            .finish()
    }
}
