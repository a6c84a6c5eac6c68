//! Foreign layers, fetched from the `urls` of their descriptors (image-spec, descriptor.md).
//!
//! Anyone who can push a manifest can write an address into it, so addresses are not trusted: no credential is sent
//! there, not even to the registry itself; addresses in private networks are refused in every network that the registry is
//! in; the scheme is https, unless the registry was marked insecure; and the bytes are hashed and measured like those
//! of every blob.

use url::Url;

use crate::client::checked_url::CheckedUrl;
use crate::client::{BlobReader, Client};
use crate::error::{Cause, Error, ErrorKind};
use crate::manifest::Descriptor;
use crate::reference::Repository;
use crate::transport::{Endpoint, ForbiddenRedirect};

use super::reader::{BlobFetch, fetch_request};

/// Maximum number of addresses of one layer that are tried. Real layers name one or two.
const MAX_URLS: usize = 4;

impl Client {
    /// Opens a foreign layer for reading from byte `offset`, at the first of its `urls` that has it. Reading resumes
    /// and verifies like [`Client::open_blob`].
    ///
    /// # Errors
    /// The error of the last address, or that the descriptor names none.
    pub async fn open_foreign(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<BlobReader, Error> {
        let request = fetch_request(repository, descriptor);
        let mut last = request.error(
            ErrorKind::NotFound,
            "it is a foreign layer that the registry does not have, and its descriptor names no URL to fetch it from",
        );
        for text in descriptor.urls.iter().take(MAX_URLS) {
            match self.open_at(repository, descriptor, text, offset).await {
                Ok(reader) => return Ok(reader),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_at(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        text: &str,
        offset: u64,
    ) -> Result<BlobReader, Error> {
        let digest = &descriptor.digest;
        let refuse = |host: &str, ForbiddenRedirect { cause, why }: ForbiddenRedirect| {
            let action = format!("fetch foreign layer {digest} of {}", repository.path());
            Error::new(ErrorKind::Refused, action, host, why)
                .with_cause(cause)
                .with_repository(repository)
        };
        let registry = self.registry().as_str();
        let Ok(mut url) = Url::parse(text) else {
            let why = "its descriptor names a URL that is none".to_owned();
            let cause = Cause::NotUnderstood;
            return Err(refuse(registry, ForbiddenRedirect { cause, why }));
        };
        // Credentials in an address come from the author of the manifest.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let fetch = BlobFetch::new(self, repository, descriptor).await?;
        let host = url.host_str().unwrap_or(registry).to_owned();
        self.may_fetch(fetch.endpoint(), &url)
            .await
            .map_err(|astray| refuse(&host, astray))?;
        let action = format!("fetch foreign layer {digest} of {}", repository.path());
        let fetch = fetch.at(CheckedUrl::elsewhere(url), action);
        // Ranges of this host say nothing about the registry.
        BlobReader::start(fetch, descriptor, offset, false).await
    }

    /// Checks that an address from a manifest may be fetched.
    ///
    /// # Errors
    /// The reason, and the remedy.
    async fn may_fetch(&self, endpoint: &Endpoint, url: &Url) -> Result<(), ForbiddenRedirect> {
        may_be_spoken(url, endpoint.exceptions.plain_http).map_err(|why| ForbiddenRedirect {
            cause: Cause::Downgrade,
            why: why.to_owned(),
        })?;
        let transport = &self.inner.transport;
        if transport.lies_inside(endpoint, url).await {
            let host = url.host_str().unwrap_or_default();
            return Err(ForbiddenRedirect {
                cause: Cause::PrivateAddress,
                why: format!(
                    "its URL leads to an address of a private network, which is not followed: to allow it, add \
                     --allow-private {host}"
                ),
            });
        }
        Ok(())
    }
}

/// Checks the scheme of an address.
fn may_be_spoken(url: &Url, plain_http: bool) -> Result<(), &'static str> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if plain_http => Ok(()),
        "http" => Err("its URL is plain http, which is fetched for insecure registries alone"),
        _ => Err("its URL is neither https nor http"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_insecure_registries_alone() {
        for (url, plain_http, good) in [
            ("https://a.example/x", false, true),
            ("http://a.example/x", false, false),
            ("http://a.example/x", true, true),
            ("file:///etc/passwd", true, false),
            ("ftp://a.example/x", true, false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(may_be_spoken(&url, plain_http).is_ok(), good, "{url}");
        }
    }
}
