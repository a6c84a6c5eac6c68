//! Proxy of a single registry.

use std::fmt;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Address of a proxy, or the direct way.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySetting(Option<String>);

impl ProxySetting {
    /// Parses the address of a proxy (`http://`, `https://`, `socks4://`, `socks4a://`, `socks5://` or `socks5h://`, with
    /// a login if it requires one, or `host:port`), or `none` for the direct way.
    ///
    /// # Errors
    /// A clause without any of the text, which may contain a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        if !is_proxy(text) {
            return Err(
                "that is no address of a proxy: write http://HOST:PORT, or none for no proxy"
                    .to_owned(),
            );
        }
        Ok(Self(Some(text.to_owned())))
    }
    /// Returns true for the direct way.
    pub fn is_direct(&self) -> bool {
        self.0.is_none()
    }
    /// Returns the matcher of the proxy for every host; `None` for the direct way.
    pub(super) fn matcher(&self) -> Option<Matcher> {
        let address = self.0.as_deref()?;
        Some(Matcher::builder().all(address).build())
    }
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.0.is_some() { "***" } else { "none" };
        f.debug_tuple("ProxySetting").field(&shown).finish()
    }
}

/// Returns true if `value` is a valid address of a proxy.
pub(super) fn is_proxy(value: &str) -> bool {
    let matcher = Matcher::builder().all(value).build();
    matcher
        .intercept(&Uri::from_static("https://proxied.invalid/"))
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_addresses_are_refused_without_their_password() {
        for (value, good) in [
            ("proxy.example:3128", true),
            ("http://proxy.example", true),
            ("socks5h://ada:hunter22@proxy.example", true),
            ("none", true),
            ("", false),
            ("ftp://proxy.example", false),
            ("http://ada:hunt er@proxy.example", false),
            ("3128 proxy", false),
        ] {
            let parsed = ProxySetting::parse(value);
            assert_eq!(parsed.is_ok(), good, "{value}");
            assert!(!format!("{parsed:?}").contains("hunt"), "{parsed:?}");
        }
    }
}
