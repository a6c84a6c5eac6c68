//! Files with certificates and keys.

use std::fs::File;
use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustls::Error as TlsError;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::text::io_clause;
use crate::transport::crypto;

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Certificates for a registry.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    /// Authorities that are trusted in addition to the common ones.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Client certificates with their keys.
    pub(super) clients: Vec<Arc<CertifiedKey>>,
}

/// Reads certificates, any number of them as PEM or one as DER.
pub(super) fn read_certificates(
    bytes: &[u8],
    certificates: &mut Vec<CertificateDer<'static>>,
) -> Result<(), String> {
    // DER starts with the tag of a sequence; PEM never does.
    if bytes.first() == Some(&0x30) {
        certificates.push(CertificateDer::from(bytes.to_vec()));
        return Ok(());
    }
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        certificates.push(certificate.map_err(|error| format!("not PEM: {error}"))?);
    }
    Ok(())
}

/// Returns true if the certificate `der` contains `part`, a name in DER.
pub(super) fn contains(der: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && der.windows(part.len()).any(|window| window == part)
}

/// Reads a file with certificates, and returns their number.
///
/// # Errors
/// If the file cannot be read or is not PEM.
pub(super) fn read_certificate_file(
    path: &Path,
    found: &mut Vec<CertificateDer<'static>>,
) -> Result<usize, CertificateFileError> {
    let before = found.len();
    let bytes = read_file(path).map_err(|error| CertificateFileError {
        is_missing: error.kind() == IoErrorKind::NotFound,
        why: io_clause(&error),
    })?;
    read_certificates(&bytes, found).map_err(|why| CertificateFileError {
        is_missing: false,
        why,
    })?;
    Ok(found.len() - before)
}

/// Failure to read a file with certificates.
pub(super) struct CertificateFileError {
    pub(super) is_missing: bool,
    pub(super) why: String,
}

/// Clause about a file without a certificate.
pub(super) const NO_CERTIFICATE: &str = "there is no certificate in it";

/// Reads a client certificate with the certificates that it was issued by, and its key.
///
/// # Errors
/// A clause that names the invalid file, without any of its content.
pub(super) fn read_client(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let mut chain = Vec::new();
    let found = read_certificate_file(certificate, &mut chain)
        .map_err(|error| unreadable(certificate, &error.why))?;
    if found == 0 {
        return Err(unreadable(certificate, NO_CERTIFICATE));
    }
    let bytes = read_file(key).map_err(|error| unreadable(key, &io_clause(&error)))?;
    // The parser's message may contain a part of the key.
    let no_key =
        "there is no private key in it that is not encrypted (PEM, PKCS #8, PKCS #1 or SEC 1)";
    let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| unreadable(key, no_key))?;
    CertifiedKey::from_der(chain, private, &crypto::provider()).map_err(|error| match error {
        TlsError::InconsistentKeys(_) => format!(
            "the key {} is not the one of the client certificate {}",
            key.display(),
            certificate.display()
        ),
        _ => unreadable(key, "it is of a kind that is not supported"),
    })
}

pub(super) fn unreadable(path: &Path, why: &str) -> String {
    format!("the file {} cannot be used: {why}", path.display())
}

/// Reads a file of bounded size. Pipes are skipped, since they may never end.
fn read_file(path: &Path) -> Result<Vec<u8>, IoError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(IoError::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(IoError::other(format!(
            "it is larger than {} KiB",
            MAX_FILE / 1024
        )));
    }
    Ok(bytes)
}
