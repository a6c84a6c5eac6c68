//! Certificates as bytes.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

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
