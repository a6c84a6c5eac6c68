//! Kinds of failure, by the reaction of a program.

use std::fmt;
use std::str::FromStr;

use crate::quote::quoted;

/// Kinds of failure that callers distinguish.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// 404 or an equivalent answer.
    NotFound,
    /// 401 after all attempts to authorize, or a token server that refuses the credential.
    Unauthorized,
    /// 403.
    Denied,
    /// 429.
    RateLimited,
    /// No connection: the name does not resolve, no process listens, or the proxy refuses.
    Connect,
    /// The certificate is not trusted, or the port does not speak TLS.
    Tls,
    /// No byte within the stall time, or no answer within its limit.
    Stalled,
    /// The connection broke during the exchange.
    Broken,
    /// 5xx, and statuses of proxies that mean "later".
    Server,
    /// The manifest names blobs or children that are missing in the repository; see [`Error::missing`](crate::Error::missing).
    MissingContent,
    /// The registry refuses the content and would refuse it again (400, 405, 409, 412, 413, 415, 422).
    Rejected,
    /// The upload session is lost or out of step. A new one may succeed.
    UploadLost,
    /// The bytes do not match their digest or size.
    Corrupt,
    /// The answer is invalid: not from a registry, an unknown document, or beyond a limit.
    Protocol,
    /// An unsafe redirect, realm or downgrade was refused.
    Refused,
    /// A credential file or helper failed.
    Credentials,
    /// The work was cancelled.
    Cancelled,
}

impl ErrorKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the name: lower-case words, joined by dashes. Names never change.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ErrorKind {
    type Err = UnknownName;
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found
            .copied()
            .ok_or_else(|| UnknownName::new(name, "a kind of error"))
    }
}

/// Error of a text that is not the name of an [`ErrorKind`] or of a [`Cause`](crate::Cause).
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{} is not the name of {noun}", quoted(.name))]
pub struct UnknownName {
    name: String,
    noun: &'static str,
}

impl UnknownName {
    /// Creates the error for `name`, which is not the name of `noun`.
    pub(super) fn new(name: &str, noun: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            noun,
        }
    }
}
