//! What a failure is, in terms of what a person has to do about it.
//!
//! An [`ErrorKind`](crate::ErrorKind) says what a program does about an error; a [`Cause`] says what its user does. A
//! cause never decides anything: it is derived where the error is made, from statuses and codes where there are any and
//! from known texts of known registries where there is nothing else, and a wrong guess costs no more than a hint that
//! does not fit.

mod answer;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::error::ErrorKind;

pub(crate) use answer::{ErrorAnswer, from_answer, from_request};

/// What a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The user name and password, or the token, that were shown were refused.
    LoginRefused,
    /// Nobody is let in without a login, and none was given.
    NoLogin,
    /// A login there is, and it was kept from a token server of another domain.
    LoginWithheld,
    /// A credential helper failed, or is not installed.
    CredentialHelper,
    /// A file of credentials cannot be read, or holds something else.
    CredentialFile,
    /// Who is let in may not read here.
    NoPullRight,
    /// Who is let in may not write here.
    NoPushRight,
    /// The tag, digest or document is not there.
    NotFound,
    /// The repository is not there, and the registry makes none by itself.
    RepositoryMissing,
    /// The project, namespace or organisation is not there.
    ProjectMissing,
    /// The registry takes no repository of this name: too deep, or with characters that it does not know.
    NameRefused,
    /// The tag stands, and cannot be moved or pushed again.
    ImmutableTag,
    /// What one may store there is used up.
    QuotaExceeded,
    /// The registry's disk, or what stands for it, is full.
    StorageFull,
    /// The registry, repository or project takes no pushes at all for now.
    ReadOnly,
    /// A policy of the registry forbids it, such as one on vulnerabilities.
    Policy,
    /// The authority that issued the certificate is not known.
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
    /// The server demands a certificate of the client.
    ClientCertificate,
    /// Both sides speak TLS, and agree on none.
    TlsRefused,
    /// The port speaks plain http, where https was tried.
    PlainHttp,
    /// The port speaks https, where plain http was tried.
    HttpsOnly,
    /// The name of the host does not resolve.
    NameNotResolved,
    /// Nothing listens at the port.
    ConnectionRefused,
    /// No connection came about, for another reason.
    Unreachable,
    /// No connection or no answer came, or no byte moved, within the time limit.
    TimedOut,
    /// The connection broke.
    ConnectionBroken,
    /// The proxy does not lead to the host.
    ProxyRefused,
    /// The proxy wants a login.
    ProxyLogin,
    /// 429, or a quota of pulls that is used up.
    RateLimited,
    /// 5xx without more.
    ServerError,
    /// The registry does not take this type of manifest or blob.
    MediaTypeRefused,
    /// The registry does not take the attestations that builders add to an image.
    AttestationsRefused,
    /// The registry does not take an index without all of its children.
    SparseRefused,
    /// The registry does not take a signature, attestation or other referrer that comes with an image.
    ReferrerRefused,
    /// The body of one request is larger than the registry, or a proxy before it, takes.
    TooLarge,
    /// The registry refuses an upload, or loses it again and again.
    UploadInvalid,
    /// The registry refuses a manifest.
    ManifestInvalid,
    /// Something that a manifest names is not there.
    ContentMissing,
    /// The bytes are not those that their digest or size promises.
    Corrupt,
    /// A public registry leads to an address of a private network.
    PrivateAddress,
    /// A registry that is reached over https leads to plain http.
    Downgrade,
    /// Something else that is not safe was asked of us.
    Unsafe,
    /// The answer is no registry's, or of no known form.
    NotUnderstood,
    /// The registry refuses the request, and says no more that is known.
    Rejected,
    /// Two rules write different images to one tag.
    TagConflict,
    /// The run was interrupted first.
    Interrupted,
    /// A defect of this program.
    Defect,
    /// What is none of these.
    Other,
}

impl Cause {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 53] = [
        Self::LoginRefused,
        Self::NoLogin,
        Self::LoginWithheld,
        Self::CredentialHelper,
        Self::CredentialFile,
        Self::NoPullRight,
        Self::NoPushRight,
        Self::NotFound,
        Self::RepositoryMissing,
        Self::ProjectMissing,
        Self::NameRefused,
        Self::ImmutableTag,
        Self::QuotaExceeded,
        Self::StorageFull,
        Self::ReadOnly,
        Self::Policy,
        Self::CertificateUnknownIssuer,
        Self::CertificateSelfSigned,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateWrongName,
        Self::CertificateRefused,
        Self::ClientCertificate,
        Self::TlsRefused,
        Self::PlainHttp,
        Self::HttpsOnly,
        Self::NameNotResolved,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::TimedOut,
        Self::ConnectionBroken,
        Self::ProxyRefused,
        Self::ProxyLogin,
        Self::RateLimited,
        Self::ServerError,
        Self::MediaTypeRefused,
        Self::AttestationsRefused,
        Self::SparseRefused,
        Self::ReferrerRefused,
        Self::TooLarge,
        Self::UploadInvalid,
        Self::ManifestInvalid,
        Self::ContentMissing,
        Self::Corrupt,
        Self::PrivateAddress,
        Self::Downgrade,
        Self::Unsafe,
        Self::NotUnderstood,
        Self::Rejected,
        Self::TagConflict,
        Self::Interrupted,
        Self::Defect,
        Self::Other,
    ];

    /// Its name for reports: words in lower case, joined by dashes. Names never change, new ones may come.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoginRefused => "login-refused",
            Self::NoLogin => "no-login",
            Self::LoginWithheld => "login-withheld",
            Self::CredentialHelper => "credential-helper",
            Self::CredentialFile => "credential-file",
            Self::NoPullRight => "no-pull-right",
            Self::NoPushRight => "no-push-right",
            Self::NotFound => "not-found",
            Self::RepositoryMissing => "repository-missing",
            Self::ProjectMissing => "project-missing",
            Self::NameRefused => "name-refused",
            Self::ImmutableTag => "immutable-tag",
            Self::QuotaExceeded => "quota-exceeded",
            Self::StorageFull => "storage-full",
            Self::ReadOnly => "read-only",
            Self::Policy => "policy",
            Self::CertificateUnknownIssuer => "certificate-unknown-issuer",
            Self::CertificateSelfSigned => "certificate-self-signed",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::CertificateWrongName => "certificate-wrong-name",
            Self::CertificateRefused => "certificate-refused",
            Self::ClientCertificate => "client-certificate",
            Self::TlsRefused => "tls-refused",
            Self::PlainHttp => "plain-http",
            Self::HttpsOnly => "https-only",
            Self::NameNotResolved => "name-not-resolved",
            Self::ConnectionRefused => "connection-refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::ConnectionBroken => "connection-broken",
            Self::ProxyRefused => "proxy-refused",
            Self::ProxyLogin => "proxy-login",
            Self::RateLimited => "rate-limited",
            Self::ServerError => "server-error",
            Self::MediaTypeRefused => "media-type-refused",
            Self::AttestationsRefused => "attestations-refused",
            Self::SparseRefused => "sparse-refused",
            Self::ReferrerRefused => "referrer-refused",
            Self::TooLarge => "too-large",
            Self::UploadInvalid => "upload-invalid",
            Self::ManifestInvalid => "manifest-invalid",
            Self::ContentMissing => "content-missing",
            Self::Corrupt => "corrupt",
            Self::PrivateAddress => "private-address",
            Self::Downgrade => "downgrade",
            Self::Unsafe => "unsafe",
            Self::NotUnderstood => "not-understood",
            Self::Rejected => "rejected",
            Self::TagConflict => "tag-conflict",
            Self::Interrupted => "interrupted",
            Self::Defect => "defect",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an error of that kind is where nothing more is known.
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
