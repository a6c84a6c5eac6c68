//! Addresses that a registry hands out (upload locations, next pages), resolved and checked.
//!
//! Credentials and access to the local network are limited to the registry itself: an address on another host is used
//! without `Authorization`, and only if a redirect may lead there as well (docs/protocol.md#requests-and-redirects,
//! docs/protocol.md#uploads).

use url::Url;

use crate::client::Client;
use crate::client::request_context::RequestContext;
use crate::error::Cause;
use crate::transport::ForbiddenRedirect;

/// A checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckedUrl {
    /// The address. If it belongs to the registry, it has the scheme and port by which the registry is reached.
    pub(super) url: Url,
    /// True if the address belongs to the registry, so that credentials may be sent there.
    pub(super) home: bool,
    /// True if a host of the public internet led to the address, so that it must be public, wherever the registry is.
    pub(super) public_only: bool,
}

impl CheckedUrl {
    /// Returns an address of the registry itself.
    pub(super) fn at_registry(url: Url) -> Self {
        Self {
            url,
            home: true,
            public_only: false,
        }
    }
    /// Returns an address on another host.
    pub(super) fn elsewhere(url: Url) -> Self {
        Self {
            url,
            home: false,
            public_only: false,
        }
    }
}

impl Client {
    /// Returns the address `text` of the answer to `request`, if it may be used.
    ///
    /// # Errors
    /// A clause with the reason and the remedy.
    pub(super) async fn address(
        &self,
        context: &RequestContext,
        base: &Url,
        request: &Url,
        text: &str,
    ) -> Result<CheckedUrl, ForbiddenRedirect> {
        let mut address = resolve(base, request, text).map_err(|why| ForbiddenRedirect {
            cause: Cause::NotUnderstood,
            why,
        })?;
        if !address.home {
            let transport = &self.inner.transport;
            address.public_only = !transport.is_url_inside(request);
            transport
                .may_lead(&context.endpoint, request, &address.url)
                .await
                .map_err(|ForbiddenRedirect { cause, why }| ForbiddenRedirect {
                    cause,
                    why: format!("the registry leads {why}"),
                })?;
        }
        Ok(address)
    }
}

/// Resolves `text` against the URL of the `request` that it came with; `base` is the registry's own URL.
pub(super) fn resolve(base: &Url, request: &Url, text: &str) -> Result<CheckedUrl, String> {
    let mut url = request
        .join(text.trim())
        .map_err(|error| format!("the registry named an address that is none ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("the registry named an address that is neither http nor https".to_owned());
    }
    url.set_fragment(None);
    // Credentials in an address come from the registry, and would be sent as Basic.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(if rewrite_to_base(base, &mut url) {
        CheckedUrl::at_registry(url)
    } else {
        CheckedUrl::elsewhere(url)
    })
}

/// Returns whether `url` is on the host of `base`. A proxy that hides TLS from the registry makes it write `http`
/// instead of https, and drop the port or the explicit `:443`. For the same host and the same port, the default port or
/// none, the address gets the scheme and port of `base`.
fn rewrite_to_base(base: &Url, url: &mut Url) -> bool {
    if base.host() != url.host() {
        return false;
    }
    let same_port = base.port_or_known_default() == url.port_or_known_default();
    if base.scheme() == url.scheme() {
        return same_port;
    }
    let misnamed = match url.port() {
        // `http://host/` for `https://host[:port]/`; the other way round it is another service, on 443.
        None => base.scheme() == "https",
        Some(port) => Some(port) == base.port_or_known_default(),
    };
    // Both schemes are special, so these cannot fail.
    misnamed && url.set_scheme(base.scheme()).is_ok() && url.set_port(base.port()).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn go(base: &str, text: &str) -> Result<(String, bool), String> {
        let base = Url::parse(base).unwrap();
        let request = base.join("v2/a/b/blobs/uploads/?mount=x").unwrap();
        resolve(&base, &request, text).map(|found| (found.url.to_string(), found.home))
    }

    #[test]
    fn resolves_every_form_at_home() {
        for (base, text, expected) in [
            (
                "https://r.io/",
                "https://r.io/u/1?_state=a%2Fb==",
                "https://r.io/u/1?_state=a%2Fb==",
            ),
            ("https://r.io/", "//r.io/u/1", "https://r.io/u/1"),
            (
                "https://r.io/",
                "/u/1?x=%41&y='+z",
                "https://r.io/u/1?x=%41&y=%27+z",
            ),
            (
                "https://r.io/",
                "1?s",
                "https://r.io/v2/a/b/blobs/uploads/1?s",
            ),
            ("https://r.io/", "https://r.io:443/u", "https://r.io/u"),
            ("https://r.io:443/", "https://r.io/u", "https://r.io/u"),
            ("https://r.io/", "https://R.IO/u", "https://r.io/u"),
            ("https://r.io/", "http://r.io/u", "https://r.io/u"),
            ("https://r.io/", "http://r.io:443/u", "https://r.io/u"),
            ("https://r.io:8443/", "http://r.io/u", "https://r.io:8443/u"),
            (
                "https://r.io:8443/",
                "http://r.io:8443/u",
                "https://r.io:8443/u",
            ),
            (
                "http://r.io:5000/",
                "https://r.io:5000/u",
                "http://r.io:5000/u",
            ),
            (
                "https://r.io/",
                "https://user:pw@r.io/u#f",
                "https://r.io/u",
            ),
        ] {
            assert_eq!(
                go(base, text),
                Ok((expected.to_owned(), true)),
                "{base} {text}"
            );
        }
    }

    #[test]
    fn knows_other_hosts() {
        for (base, text) in [
            ("https://r.io/", "https://store.example/u?sig=a%2Bb"),
            ("https://r.io/", "https://r.io:8443/u"),
            ("http://r.io:5000/", "https://r.io/u"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:6000/u"),
            ("http://127.0.0.1:5000/", "http://store.example/u"),
            ("https://harbor/", "https://10.0.0.1/u"),
            ("https://r.io/", "http://r.io:8080/u"),
            ("https://r.io/", "http://store.example/u"),
        ] {
            assert_eq!(
                go(base, text),
                Ok((text.to_owned(), false)),
                "{base} {text}"
            );
        }
    }

    #[test]
    fn refuses_invalid_addresses() {
        for (text, said) in [
            ("ftp://r.io/u", "neither http nor https"),
            ("https://", "none"),
            ("http://[::1", "none"),
        ] {
            let error = go("https://r.io/", text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
