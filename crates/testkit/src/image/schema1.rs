//! Schema 1 with a signature that registries verify, as Docker's libtrust made it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::document::Layout;
use super::{Image, Layer, Manifest, media};

impl Image {
    /// Returns a schema 1 manifest with a signature, whose digest is that of its payload. The key is new each time, so
    /// the bytes differ from call to call; the digest does not.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn signed_schema1(name: &str, tag: &str, layers: impl IntoIterator<Item = Layer>) -> Self {
        let unsigned = Self::schema1(name, tag, layers);
        let payload = Layout::Pretty.write(&unsigned.root().json());
        let root = Manifest::new(media::DOCKER_SCHEMA1_SIGNED, sign(&payload));
        Self::of_parts(unsigned.blobs().to_vec(), Vec::new(), root)
    }
}

/// Returns the signed payload, which is hashed for the digest of a signed manifest, or `None` without a signature.
pub(super) fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let decode = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str()?).ok();
    let protected = decode(document.pointer("/signatures/0/protected")?)?;
    let protected: Value = serde_json::from_slice(&protected).ok()?;
    let length = usize::try_from(protected.get("formatLength")?.as_u64()?).ok()?;
    let mut payload = bytes.get(..length)?.to_vec();
    payload.extend(decode(protected.get("formatTail")?)?);
    Some(payload)
}

/// Returns `payload`, a JSON object in many lines, with its signature before the closing brace.
fn sign(payload: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(payload);
    let head = text.trim_end_matches('}').trim_end();
    let tail = text.get(head.len()..).unwrap_or_default();
    let protected = json!({
        "formatLength": head.len(),
        "formatTail": URL_SAFE_NO_PAD.encode(tail),
        "time": "2015-01-01T00:00:00Z",
    });
    let protected = URL_SAFE_NO_PAD.encode(protected.to_string());
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made");
    let signed = format!("{protected}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = key
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a fresh key signs");
    let signatures = json!([{
        "header": {"jwk": jwk(&key), "alg": "ES256"},
        "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
        "protected": protected,
    }]);
    format!("{head},\n   \"signatures\": {signatures}{tail}").into_bytes()
}

/// Returns the public key, with its fingerprint in libtrust's form.
fn jwk(key: &EcdsaKeyPair) -> Value {
    // An uncompressed point: a marker byte, then both coordinates.
    let point = key.public_key().as_ref();
    let coordinate =
        |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    let der = key
        .public_key()
        .as_der()
        .expect("a public key can be written");
    let hash = digest(&SHA256, der.as_ref());
    json!({
        "crv": "P-256", "kty": "EC",
        "kid": fingerprint(hash.as_ref().get(..30).unwrap_or_default()),
        "x": coordinate(1), "y": coordinate(33),
    })
}

/// Formats 30 bytes as twelve groups of four letters (RFC 4648, base32).
fn fingerprint(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut groups = Vec::new();
    for five in bytes.chunks(5) {
        let bits = five
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let letter = |at: u32| {
            let value = usize::try_from(bits >> (35 - 5 * at) & 31).unwrap_or_default();
            LETTERS.get(value).map(|&letter| char::from(letter))
        };
        groups.push((0..4).filter_map(letter).collect::<String>());
        groups.push((4..8).filter_map(letter).collect());
    }
    groups.join(":")
}
