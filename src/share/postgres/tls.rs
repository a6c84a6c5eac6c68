//! TLS to the server, by rustls.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_syncer_registry::io_clause;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// Check of the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verification {
    /// No check: the connection is encrypted, as with libpq's `require`.
    #[default]
    None,
    /// The authority alone, as with `verify-ca`.
    Authority,
    /// The authority and the name, as with `verify-full`.
    Full,
}

/// Files of TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsFiles {
    /// Check of the server's certificate.
    pub(super) verification: Verification,
    /// Trusted authorities. `None` for those of the system.
    pub(super) roots: Option<PathBuf>,
    /// Certificate of this client.
    pub(super) certificate: Option<PathBuf>,
    /// Key of this client.
    pub(super) key: Option<PathBuf>,
}

/// Creates TLS connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence, if one cannot be used.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new(files, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let key_of_client = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("cannot use the key {}: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(chain, key_of_client)
                    .map_err(|error| {
                        format!(
                            "cannot use the certificate {}: {error}",
                            certificate.display()
                        )
                    })?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Self(Arc::new(config)))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |why: &str| format!("cannot use the certificates in {}: {why}", file.display());
    let bytes = std::fs::read(file).map_err(|error| failed(&io_clause(&error)))?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| failed(&error.to_string()))?;
    if found.is_empty() {
        return Err(failed("there is none in it"));
    }
    Ok(found)
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.0)),
            // Sockets of Unix have none, and make no handshake.
            name: ServerName::try_from(domain.to_owned()).ok(),
        })
    }
}

/// Begins the TLS of one connection.
pub(super) struct Handshake {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Encrypted>>;

    fn connect(self, stream: Socket) -> Self::Future {
        async move {
            let invalid = || io::Error::other("the host is no name that a certificate can have");
            let name = self.name.ok_or_else(invalid)?;
            let stream = self.connector.connect(name, stream).await?;
            Ok(Encrypted(Box::new(stream)))
        }
        .boxed()
    }
}

/// An encrypted connection.
pub(super) struct Encrypted(Box<tokio_rustls::client::TlsStream<Socket>>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Verifies as much as the mode demands.
#[derive(Debug)]
struct Verifier {
    verification: Verification,
    /// `None` if nothing is verified.
    by_roots: Option<Arc<WebPkiServerVerifier>>,
    /// The trusted certificates of the user's own file. One of them may be the server's own.
    named: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(files: &TlsFiles, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut named = Vec::new();
        if let Some(file) = &files.roots {
            named = certificates(file)?;
        }
        let by_roots = if files.verification == Verification::None {
            None
        } else {
            let mut store = RootCertStore::empty();
            if files.roots.is_some() {
                for certificate in &named {
                    store.add(certificate.clone()).map_err(|error| {
                        format!("a certificate of `sslrootcert` cannot be used: {error}")
                    })?;
                }
            } else {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
            Some(verifier.build().map_err(|error| {
                format!("no certificate is trusted: {error}. Name a file with `sslrootcert`.")
            })?)
        };
        Ok(Self {
            verification: files.verification,
            by_roots,
            named,
            provider: provider.clone(),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(by_roots) = &self.by_roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let judged =
            by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match judged {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verification == Verification::Authority => {
                Ok(ServerCertVerified::assertion())
            }
            // A certificate of `openssl req -x509` is marked as an authority, and is its own. Its dates were checked.
            Err(Error::InvalidCertificate(CertificateError::Other(error)))
                if error.to_string().contains("CaUsedAsEndEntity")
                    && self.named.iter().any(|it| it == end_entity) =>
            {
                if self.verification == Verification::Full {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
