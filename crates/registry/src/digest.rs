//! Digests: the names of content (image-spec, descriptor.md, "Digests").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A digest algorithm that this crate can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// Why a text is not a digest. Reads as a sentence that names the text.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct DigestError(String);

/// Computes a digest over bytes as they flow.
pub struct Hasher {
    #[allow(dead_code)]
    algorithm: Algorithm,
}

impl Digest {
    /// Reads `algorithm:encoded`.
    pub fn parse(_text: &str) -> Result<Self, DigestError> {
        todo!()
    }
    /// The digest of `bytes`.
    pub fn of(_algorithm: Algorithm, _bytes: &[u8]) -> Self {
        todo!()
    }
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }
    /// The algorithm, or `None` where this crate cannot compute it.
    pub fn algorithm(&self) -> Option<Algorithm> {
        todo!()
    }
    /// `algorithm:encoded`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// What stands behind the colon.
    pub fn encoded(&self) -> &str {
        todo!()
    }
}

impl Hasher {
    /// A hasher for the algorithm of `digest`.
    ///
    /// # Errors
    /// When the algorithm is not one that this crate computes.
    pub fn new(_digest: &Digest) -> Result<Self, DigestError> {
        todo!()
    }
    /// Takes the next bytes.
    pub fn update(&mut self, _bytes: &[u8]) {
        todo!()
    }
    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        todo!()
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
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
