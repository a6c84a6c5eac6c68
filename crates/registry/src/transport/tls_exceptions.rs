//! Protection that the connections to a registry may do without.

/// Exceptions from https with a valid certificate, which the user permits for a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsExceptions {
    /// Permits every certificate.
    pub any_certificate: bool,
    /// Permits http. Without [`any_certificate`](Self::any_certificate), the registry itself is reached by http alone.
    pub plain_http: bool,
}

impl TlsExceptions {
    /// Both exceptions: https with any certificate, or else http (`insecure: true` of classic files).
    pub const ALL: Self = Self {
        any_certificate: true,
        plain_http: true,
    };
    /// No exception.
    pub const NONE: Self = Self {
        any_certificate: false,
        plain_http: false,
    };
    /// Returns true if nothing proves who answers.
    pub fn is_unverified(self) -> bool {
        self != Self::NONE
    }
    /// Returns the exceptions that are in one of the two.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            any_certificate: self.any_certificate || other.any_certificate,
            plain_http: self.plain_http || other.plain_http,
        }
    }
}
