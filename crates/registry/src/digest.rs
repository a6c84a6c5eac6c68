//! Digests: the names of content (image-spec, descriptor.md, "Digests").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::quote::quoted;

/// The longest digest that is read. The longest registered one has 135 characters; the rest is room for algorithms
/// that merely pass through.
const MAX_LENGTH: usize = 512;

/// A digest algorithm that this crate can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, which every registry supports.
    Sha256,
    /// SHA-512, registered, seldom supported.
    Sha512,
}

/// A digest as it is written: `algorithm:encoded`.
///
/// Registered algorithms are checked for length and lower-case hex. A well-formed digest of another algorithm is
/// kept as it is, since it may merely pass through; what cannot be computed cannot be verified, and
/// [`Hasher::new`] says so.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

/// Error of a text that is not a digest. Reads as a sentence that names the text.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct DigestError(String);

/// Computes a digest over bytes as they flow.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: digest::Context,
}

impl Algorithm {
    /// The name that stands before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl Digest {
    /// Reads `algorithm:encoded`.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let refuse = |why: &str| {
            Err(DigestError(format!(
                "{} is not a digest: {why}",
                quoted(text)
            )))
        };
        if text.len() > MAX_LENGTH {
            return refuse(&format!("it is longer than {MAX_LENGTH} characters"));
        }
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return refuse(
                "write it as `algorithm:encoded`, for example `sha256:` and 64 hexadecimal digits",
            );
        };
        if !is_algorithm(algorithm) {
            return refuse("what stands before the colon is not the name of an algorithm");
        }
        if encoded.is_empty() {
            return refuse("nothing follows the colon");
        }
        let checked = match algorithm {
            // blake3 cannot be computed here, but its form is registered.
            "sha256" | "blake3" => check_hex(encoded, 64),
            "sha512" => check_hex(encoded, 128),
            _ if encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b)) => Ok(()),
            _ => Err("what follows the colon has a character other than letters, digits, `=`, `_` and `-`".to_owned()),
        };
        match checked {
            Ok(()) => Ok(Self(Arc::from(text))),
            Err(why) => refuse(&why),
        }
    }
    /// The digest of `bytes`.
    pub fn compute(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self::from_value(
            algorithm,
            &digest::digest(algorithm.implementation(), bytes),
        )
    }
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::compute(Algorithm::Sha256, bytes)
    }
    /// Returns the digest whose value is `bytes`, a SHA-256.
    pub fn from_sha256(bytes: &[u8; 32]) -> Self {
        Self::from_bytes(Algorithm::Sha256, bytes)
    }
    /// Returns the value of a SHA-256 digest, or `None` for other algorithms.
    pub fn to_sha256(&self) -> Option<[u8; 32]> {
        let ("sha256", encoded) = self.split() else {
            return None;
        };
        let mut value = [0; 32];
        let mut digits = encoded.chars().filter_map(|digit| digit.to_digit(16));
        for byte in &mut value {
            let (high, low) = (digits.next()?, digits.next()?);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(value)
    }
    fn from_value(algorithm: Algorithm, value: &digest::Digest) -> Self {
        Self::from_bytes(algorithm, value.as_ref())
    }
    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let name = algorithm.as_str();
        let mut text = String::with_capacity(name.len() + 1 + 2 * bytes.len());
        text.push_str(name);
        text.push(':');
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        Self(Arc::from(text))
    }
    /// The algorithm, or `None` where this crate cannot compute it.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self.split().0 {
            "sha256" => Some(Algorithm::Sha256),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }
    /// `algorithm:encoded`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Returns the part after the colon.
    pub fn encoded(&self) -> &str {
        self.split().1
    }
    fn split(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }
}

/// `1*[a-z0-9] *( [+._-] 1*[a-z0-9] )`
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn check_hex(encoded: &str, length: usize) -> Result<(), String> {
    if encoded.len() != length {
        return Err(format!(
            "{length} hexadecimal digits follow the colon, not {} characters",
            encoded.len()
        ));
    }
    if !encoded
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(
            "only the hexadecimal digits 0-9 and a-f, in lower case, follow the colon".to_owned(),
        );
    }
    Ok(())
}

impl Hasher {
    /// A hasher for the algorithm of `digest`.
    ///
    /// # Errors
    /// If the algorithm is not one that this crate computes.
    pub fn new(digest: &Digest) -> Result<Self, DigestError> {
        digest.algorithm().map(Self::with_algorithm).ok_or_else(|| {
            DigestError(format!(
                "{digest} cannot be verified: only sha256 and sha512 can"
            ))
        })
    }
    /// A hasher for `algorithm`, where no digest is known beforehand.
    pub fn with_algorithm(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            context: digest::Context::new(algorithm.implementation()),
        }
    }
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }
    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        Digest::from_value(self.algorithm, &self.context.finish())
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}
impl FromStr for Algorithm {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| {
                DigestError(format!(
                    "{} is not a digest algorithm that is computed here: sha256 and sha512 are",
                    quoted(text)
                ))
            })
    }
}
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_values() {
        assert_eq!(Digest::sha256(b"").as_str(), EMPTY);
        assert_eq!(
            Digest::sha256(b"{}").as_str(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(
            Digest::compute(Algorithm::Sha512, b"abc").as_str(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn registered_algorithms_are_checked() {
        let hex = "f".repeat(64);
        let good = Digest::parse(&format!("sha256:{hex}")).unwrap();
        assert_eq!(good.algorithm(), Some(Algorithm::Sha256));
        assert_eq!(good.encoded(), hex);
        assert_eq!(
            Digest::parse(&format!("sha512:{hex}{hex}"))
                .unwrap()
                .algorithm(),
            Some(Algorithm::Sha512)
        );
        for bad in [
            "sha256:abc".to_owned(),
            format!("sha256:{}", "F".repeat(64)),
            format!("sha256:{}", "g".repeat(64)),
            format!("sha512:{hex}"),
            format!("sha256:{hex}{hex}"),
            format!("blake3:{}", "F".repeat(64)),
        ] {
            assert!(Digest::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_algorithms_pass_through() {
        for text in [
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g",
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        ] {
            let digest = Digest::parse(text).unwrap();
            assert_eq!(digest.to_string(), text);
            assert_eq!(digest.algorithm(), None);
            assert_eq!(
                Hasher::new(&digest).unwrap_err().to_string(),
                format!("{text} cannot be verified: only sha256 and sha512 can")
            );
        }
    }

    #[test]
    fn a_sha256_has_a_value_of_32_bytes() {
        let digest = Digest::sha256(b"x");
        let value = digest.to_sha256().unwrap();
        assert_eq!((value[0], value[31]), (0x2d, 0x81));
        assert_eq!(Digest::from_sha256(&value), digest);
        assert_eq!(Digest::compute(Algorithm::Sha512, b"x").to_sha256(), None);
    }

    #[test]
    fn malformed_ones_are_refused_by_name() {
        for bad in [
            "",
            ":",
            "sha256",
            "sha256:",
            ":abc",
            "+a:b",
            "a..b:c",
            "SHA256:abc",
            "a:b/c",
            "a:b:c",
            "a:b c",
            "a: ",
            "ä:b",
        ] {
            let error = Digest::parse(bad).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{bad}` is not a digest: ")),
                "{error}"
            );
        }
        assert_eq!(
            Digest::parse("sha256:abc").unwrap_err().to_string(),
            "`sha256:abc` is not a digest: 64 hexadecimal digits follow the colon, not 3 characters"
        );
        assert!(Digest::parse(&format!("a:{}", "b".repeat(MAX_LENGTH))).is_err());
    }

    proptest! {
        #[test]
        fn pieces_hash_like_the_whole(bytes: Vec<u8>, cut in 0usize..64) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let whole = Digest::compute(algorithm, &bytes);
                let mut hasher = Hasher::new(&whole).unwrap();
                let (left, right) = bytes.split_at(cut.min(bytes.len()));
                hasher.update(left);
                hasher.update(right);
                prop_assert_eq!(hasher.finish(), whole.clone());
                prop_assert_eq!(Digest::parse(whole.as_str()).unwrap(), whole);
            }
        }

        #[test]
        fn what_parses_is_kept(text in "\\PC{0,80}") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.as_str(), &text);
            }
        }
    }
}
