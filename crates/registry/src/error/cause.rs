//! Causes of failures, by the action that a person has to take.
//!
//! An [`ErrorKind`](crate::ErrorKind) tells a program what to do about an error; a [`Cause`] tells its user. A cause
//! never decides anything. It is derived where the error is made, from status and code or else from known texts of
//! known registries. A wrong guess only leads to a hint that does not fit.

use std::fmt;
use std::str::FromStr;

use crate::error::{ErrorKind, UnknownName};

/// Cause of a failure.
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
pub enum Cause {
    /// The login or token was refused.
    LoginRefused,
    /// A login is required, and none is configured.
    NoLogin,
    /// The login was withheld from a token server of another domain.
    LoginWithheld,
    /// The token server answers neither with a token nor with a refused login.
    TokenServer,
    /// A credential helper failed.
    CredentialHelper,
    /// A credential file cannot be read or parsed.
    CredentialFile,
    /// The login lacks read access.
    NoPullRight,
    /// The login lacks write access.
    NoPushRight,
    /// The tag, digest or document does not exist.
    NotFound,
    /// The repository does not exist, and the registry does not create it.
    RepositoryMissing,
    /// The project, namespace or organisation does not exist.
    ProjectMissing,
    /// The registry does not accept the repository's name: too many components, or characters that it does not allow.
    NameRefused,
    /// The tag exists, and cannot be moved or pushed again.
    ImmutableTag,
    /// The storage quota is used up.
    QuotaExceeded,
    /// The registry's storage is full.
    StorageFull,
    /// The registry, repository or project is read-only.
    ReadOnly,
    /// A policy of the registry forbids the request, such as one about vulnerabilities.
    Policy,
    /// The issuer of the certificate is unknown.
    CertificateUnknownIssuer,
    /// The certificate signed itself.
    CertificateSelfSigned,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not valid yet, or this machine's clock is wrong.
    CertificateNotYetValid,
    /// The certificate is for other hosts.
    CertificateWrongName,
    /// The certificate is refused for another reason.
    CertificateRefused,
    /// The server requires a client certificate.
    ClientCertificate,
    /// Client and server support no common TLS version or cipher.
    TlsRefused,
    /// The port speaks plain http instead of https.
    PlainHttp,
    /// The port speaks https instead of plain http.
    HttpsOnly,
    /// The name of the host does not resolve.
    NameNotResolved,
    /// No process listens on the port.
    ConnectionRefused,
    /// The connection failed for another reason.
    Unreachable,
    /// No connection, no answer or no byte within the time limit.
    TimedOut,
    /// The connection broke.
    ConnectionBroken,
    /// The proxy refuses to connect to the host.
    ProxyRefused,
    /// The proxy requires a login.
    ProxyLogin,
    /// 429, or a pull quota that is used up.
    RateLimited,
    /// 5xx without further information.
    ServerError,
    /// The registry does not accept this type of manifest or blob.
    MediaTypeRefused,
    /// The registry does not accept the attestations that builders add to an image.
    AttestationsRefused,
    /// The registry does not accept an index without all of its children.
    SparseRefused,
    /// The registry requires a foreign layer that was not copied.
    ForeignLayerRequired,
    /// The registry does not accept a signature, attestation or other referrer of an image.
    ReferrerRefused,
    /// A request body exceeds the limit of the registry or of a proxy in front of it.
    TooLarge,
    /// The registry refuses an upload, or loses it again and again.
    UploadInvalid,
    /// The registry refuses a manifest.
    ManifestInvalid,
    /// Content that a manifest names is missing.
    ContentMissing,
    /// The bytes do not match their digest or size.
    Corrupt,
    /// A public registry refers to an address in a private network.
    PrivateAddress,
    /// A registry with https refers to plain http.
    Downgrade,
    /// The server requested something else that is unsafe.
    Unsafe,
    /// The answer does not come from a registry, or has an unknown form.
    NotUnderstood,
    /// The registry refuses the request for an unknown reason.
    Rejected,
    /// Two rules write different images to one tag.
    TagConflict,
    /// The tag exists at the destination with another digest, and the rules keep it.
    TagExists,
    /// The run was interrupted.
    Interrupted,
    /// A defect of this program.
    Defect,
    /// None of these.
    Other,
}

impl Cause {
    /// All causes, in the order of their declaration.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the name in reports: lower-case words, joined by dashes. Names never change, so a variant must keep its own.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cause {
    type Err = UnknownName;
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|cause| cause.name() == name);
        found
            .copied()
            .ok_or_else(|| UnknownName::new(name, "a cause of failure"))
    }
}

/// Returns the cause of errors whose kind alone is known.
impl From<ErrorKind> for Cause {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unauthorized => Self::LoginRefused,
            ErrorKind::Denied => Self::NoPullRight,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Connect => Self::Unreachable,
            ErrorKind::Tls => Self::TlsRefused,
            ErrorKind::Stalled => Self::TimedOut,
            ErrorKind::Broken => Self::ConnectionBroken,
            ErrorKind::Server => Self::ServerError,
            ErrorKind::MissingContent => Self::ContentMissing,
            ErrorKind::Rejected => Self::Rejected,
            ErrorKind::UploadLost => Self::UploadInvalid,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Protocol => Self::NotUnderstood,
            ErrorKind::Refused => Self::Unsafe,
            ErrorKind::Credentials => Self::CredentialFile,
            ErrorKind::Cancelled => Self::Interrupted,
        }
    }
}
