//! Digests as the OCI specification writes them: `sha256:` and 64 lower-case hexadecimal digits.

use aws_lc_rs::digest::{Algorithm, Context, Digest, SHA256, SHA512, digest};

/// The digest of the empty JSON object `{}`, the OCI empty descriptor.
pub const EMPTY_JSON: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// The digest of zero bytes.
pub const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Returns the sha256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    text("sha256", digest(&SHA256, bytes))
}

/// Returns the sha512 digest of `bytes`.
pub fn sha512(bytes: &[u8]) -> String {
    text("sha512", digest(&SHA512, bytes))
}

/// Returns the digest of `bytes` with the algorithm of `like`, or `None` if `like` is not a digest.
pub fn same_algorithm(like: &str, bytes: &[u8]) -> Option<String> {
    Some(Hasher::new(algorithm(like)?).update(bytes).finish())
}

/// Returns the algorithm of a well-formed digest: `sha256` or `sha512`.
pub fn algorithm(digest: &str) -> Option<&'static str> {
    let (algorithm, hex) = digest.split_once(':')?;
    let (name, digits) = match algorithm {
        "sha256" => ("sha256", 64),
        "sha512" => ("sha512", 128),
        _ => return None,
    };
    let well_formed =
        hex.len() == digits && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then_some(name)
}

/// A digest that is computed incrementally.
pub struct Hasher {
    name: &'static str,
    context: Context,
}

impl Hasher {
    /// Starts a digest. Any name except `sha512` means sha256.
    pub fn new(algorithm: &str) -> Self {
        let (name, algorithm): (_, &'static Algorithm) = match algorithm {
            "sha512" => ("sha512", &SHA512),
            _ => ("sha256", &SHA256),
        };
        Self {
            name,
            context: Context::new(algorithm),
        }
    }

    /// Name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        self.name
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.context.update(bytes);
        self
    }

    /// Returns the digest of all bytes so far; more may follow.
    pub fn finish(&self) -> String {
        text(self.name, self.context.clone().finish())
    }
}

fn text(name: &str, digest: Digest) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(name.len() + 1 + digest.as_ref().len() * 2);
    out.push_str(name);
    out.push(':');
    for byte in digest.as_ref() {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(HEX.get(usize::from(nibble)).map(|&digit| char::from(digit)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(sha256(b"{}"), EMPTY_JSON);
        assert_eq!(sha256(b""), EMPTY);
        assert_eq!(algorithm(&sha512(b"x")), Some("sha512"));
    }

    #[test]
    fn only_well_formed_digests_have_an_algorithm() {
        assert_eq!(algorithm(EMPTY), Some("sha256"));
        for wrong in ["", "sha256", "sha256:", "sha256:44", "md5:00", "latest"] {
            assert_eq!(algorithm(wrong), None, "{wrong}");
        }
        assert_eq!(algorithm(&EMPTY.to_uppercase()), None);
    }

    #[test]
    fn streaming_equals_at_once() {
        let mut hasher = Hasher::new("sha256");
        hasher.update(b"ab").update(b"c");
        assert_eq!(hasher.finish(), sha256(b"abc"));
    }
}
