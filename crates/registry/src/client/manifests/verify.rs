//! Comparison of the digest of a manifest's bytes with the promised one (docs/protocol.md#manifests).

use std::borrow::Cow;

use crate::digest::{Algorithm, Digest};
use crate::manifest::digested_bytes;
use crate::reference::Target;

/// Fault of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ManifestFault {
    /// They have another digest than the requested one.
    Mismatch {
        /// Digest of the bytes.
        found: Digest,
    },
    /// The algorithm of the requested digest is not supported.
    Unknown,
}

/// Result of a verification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VerifiedDigest {
    /// Digest of the bytes; for signed schema 1 manifests, of the payload.
    pub(super) digest: Digest,
    /// True if the header of the registry states another digest.
    pub(super) contradicted: bool,
}

/// Returns the digest of `bytes`, the answer to a request for `target`, with the type and the digest of its headers.
///
/// The bytes decide. A header that contradicts them is worth a warning if a tag was requested, since many registries
/// are wrong there. The algorithm of the header is used if it is supported, so that a registry may name its content by
/// sha512.
pub(super) fn verify_digest(
    bytes: &[u8],
    content_type: Option<&str>,
    target: &Target,
    header: Option<&Digest>,
) -> Result<VerifiedDigest, ManifestFault> {
    match target {
        Target::Digest(expected) => {
            let algorithm = expected.algorithm().ok_or(ManifestFault::Unknown)?;
            if Digest::compute(algorithm, bytes) == *expected
                || payload(bytes, content_type, algorithm).as_ref() == Some(expected)
            {
                return Ok(VerifiedDigest {
                    digest: expected.clone(),
                    contradicted: false,
                });
            }
            Err(ManifestFault::Mismatch {
                found: Digest::compute(algorithm, bytes),
            })
        }
        Target::Tag(_) => Ok(by_tag(bytes, content_type, header)),
    }
}

fn by_tag(bytes: &[u8], content_type: Option<&str>, header: Option<&Digest>) -> VerifiedDigest {
    let claimed = header.and_then(|digest| Some((digest, digest.algorithm()?)));
    let algorithm = claimed.map_or(Algorithm::Sha256, |(_, algorithm)| algorithm);
    let digest = Digest::compute(algorithm, bytes);
    let contradicted = |digest: &Digest| claimed.is_some_and(|(claimed, _)| claimed != digest);
    let digest = if contradicted(&digest) || claimed.is_none() {
        // The algorithm of a wrong header is not trusted.
        payload(bytes, content_type, algorithm).unwrap_or_else(|| Digest::sha256(bytes))
    } else {
        digest
    };
    VerifiedDigest {
        contradicted: contradicted(&digest),
        digest,
    }
}

/// Returns the digest of the payload of a signed schema 1 manifest. Other documents have none; malformed ones are
/// reported where they are parsed.
fn payload(bytes: &[u8], content_type: Option<&str>, algorithm: Algorithm) -> Option<Digest> {
    match digested_bytes(bytes, content_type) {
        Ok(Cow::Owned(payload)) => Some(Digest::compute(algorithm, &payload)),
        Ok(Cow::Borrowed(_)) | Err(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reference::Tag;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const BYTES: &[u8] = b"{\"schemaVersion\":2}";

    /// Returns the payload of a schema 1 manifest, and the same document signed (the signature itself is not checked).
    fn signed() -> (String, String) {
        let head = "{\n   \"schemaVersion\": 1,\n   \"name\": \"a/b\",\n   \"fsLayers\": []";
        let tail = "\n}";
        let protected = format!(
            r#"{{"formatLength":{},"formatTail":"{}","time":"2015-01-01T00:00:00Z"}}"#,
            head.len(),
            URL_SAFE_NO_PAD.encode(tail)
        );
        let document = format!(
            "{head},\n   \"signatures\": [{{\"header\":{{}},\"signature\":\"x\",\"protected\":\"{}\"}}]\n}}",
            URL_SAFE_NO_PAD.encode(protected)
        );
        (format!("{head}{tail}"), document)
    }

    fn tag() -> Target {
        Target::Tag(Tag::parse("v1").unwrap())
    }

    fn settled(digest: Digest, contradicted: bool) -> VerifiedDigest {
        VerifiedDigest {
            digest,
            contradicted,
        }
    }

    #[test]
    fn by_tag_the_bytes_decide() {
        let sha256 = Digest::sha256(BYTES);
        let sha512 = Digest::compute(Algorithm::Sha512, BYTES);
        let foreign = Digest::parse("md5:abc").unwrap();
        let wrong = Digest::sha256(b"other");
        for (header, digest, contradicted) in [
            (None, &sha256, false),
            (Some(&sha256), &sha256, false),
            (Some(&sha512), &sha512, false),
            (Some(&foreign), &sha256, false),
            (Some(&wrong), &sha256, true),
        ] {
            assert_eq!(
                verify_digest(BYTES, None, &tag(), header),
                Ok(settled(digest.clone(), contradicted)),
                "{header:?}"
            );
        }
    }

    #[test]
    fn by_digest_they_must_agree() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let right = Digest::compute(algorithm, BYTES);
            let target = Target::Digest(right.clone());
            // A wrong header does not matter if a digest was requested.
            let header = Digest::sha256(b"other");
            assert_eq!(
                verify_digest(BYTES, None, &target, Some(&header)),
                Ok(settled(right.clone(), false))
            );
            let found = Digest::compute(algorithm, b"other");
            assert_eq!(
                verify_digest(b"other", None, &target, Some(&right)),
                Err(ManifestFault::Mismatch { found })
            );
        }
        let target = Target::Digest(Digest::parse("md5:abc").unwrap());
        assert_eq!(
            verify_digest(BYTES, None, &target, None),
            Err(ManifestFault::Unknown)
        );
    }

    #[test]
    fn a_signed_schema_1_manifest_is_named_by_its_payload() {
        let (payload, document) = signed();
        let digest = Digest::sha256(payload.as_bytes());
        let document = document.as_bytes();
        assert_eq!(
            verify_digest(document, None, &tag(), None),
            Ok(settled(digest.clone(), false))
        );
        assert_eq!(
            verify_digest(document, None, &tag(), Some(&digest)),
            Ok(settled(digest.clone(), false))
        );
        let target = Target::Digest(digest.clone());
        assert_eq!(
            verify_digest(document, None, &target, None),
            Ok(settled(digest.clone(), false))
        );
        // Some registries name it by all of its bytes, and hold it under that digest.
        let whole = Digest::sha256(document);
        assert_eq!(
            verify_digest(document, None, &tag(), Some(&whole)),
            Ok(settled(whole.clone(), false))
        );
        assert_eq!(
            verify_digest(document, None, &Target::Digest(whole.clone()), None),
            Ok(settled(whole, false))
        );
        let wrong = Digest::sha256(b"other");
        assert_eq!(
            verify_digest(document, None, &tag(), Some(&wrong)),
            Ok(settled(digest, true))
        );
    }
}
