//! Signed schema 1 manifests, whose digest leaves out their signatures.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::lenient::{self, BoundedList, LenientObject};
use super::shape::media_type_of;
use super::{ManifestError, media_type};

/// The signatures of a signed schema 1 manifest.
#[derive(Deserialize)]
struct Signed {
    #[serde(default)]
    signatures: BoundedList<LenientObject<Signature>>,
}

/// One of them.
#[derive(Deserialize)]
struct Signature {
    protected: String,
}

/// The part of a JWS header that says how to get back at what was signed.
#[derive(Deserialize)]
struct Protected {
    #[serde(rename = "formatLength")]
    length: usize,
    #[serde(rename = "formatTail")]
    tail: String,
}

/// Returns the bytes that the digest of a document covers: all of them, or, for a signed schema 1 manifest, the payload
/// without the signatures (distribution, manifest/schema1).
///
/// # Errors
/// If the document is no manifest at all, or its signatures do not lead back to a payload.
pub fn digested_bytes<'a>(
    bytes: &'a [u8],
    content_type: Option<&str>,
) -> Result<Cow<'a, [u8]>, ManifestError> {
    if media_type_of(bytes, content_type)? != media_type::DOCKER_SCHEMA1_SIGNED {
        return Ok(Cow::Borrowed(bytes));
    }
    let signed: Signed = lenient::read(bytes, "schema 1 manifest")?;
    let Some(LenientObject(signature)) = signed.signatures.0.first() else {
        return Ok(Cow::Borrowed(bytes));
    };
    payload(bytes, &signature.protected)
        .map(Cow::Owned)
        .ok_or_else(|| {
            ManifestError("the signature of the schema 1 manifest does not fit it".to_owned())
        })
}

fn payload(bytes: &[u8], protected: &str) -> Option<Vec<u8>> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let protected: Protected = serde_json::from_slice(&decode(protected)?).ok()?;
    let mut payload = bytes.get(..protected.length)?.to_vec();
    payload.extend(decode(&protected.tail)?);
    Some(payload)
}
