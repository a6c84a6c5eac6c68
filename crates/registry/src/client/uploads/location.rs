//! Address at which an upload continues: the `Location` of a session. Its query belongs to the registry.

use http::header::LOCATION;
use url::Url;

use crate::client::Client;
use crate::client::checked_url::CheckedUrl;
use crate::client::request::{RequestSpec, in_query};
use crate::client::request_context::RequestContext;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::transport::Response;

impl Client {
    /// Returns the `Location` of an answer to `request`, where the upload continues; `None` if it has none.
    pub(super) async fn location_of(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        response: &Response,
    ) -> Result<Option<CheckedUrl>, Error> {
        let Some(value) = response.headers.get(LOCATION) else {
            return Ok(None);
        };
        let text = value
            .to_str()
            .map_err(|_| request.error(ErrorKind::Protocol, "the upload's location is not text"))?;
        let base = self.base(context, &request.action).await?;
        self.address(context, &base, &response.url, text)
            .await
            .map(Some)
            .map_err(|astray| request.forbidden_redirect(astray))
    }
}

/// Returns the URL of the closing PUT: `location` with `digest=` added to its query, which is kept byte for byte, since
/// it may be signed or opaque state. The redirect of a closing PUT names the digest already.
pub(super) fn closing(location: &Url, digest: &Digest) -> Url {
    let mut url = location.clone();
    if location.query_pairs().any(|(name, _)| name == "digest") {
        return url;
    }
    let parameter = format!("digest={}", in_query(digest.as_str()));
    let query = match location.query() {
        None | Some("") => parameter,
        Some(query) if query.ends_with('&') => format!("{query}{parameter}"),
        Some(query) => format!("{query}&{parameter}"),
    };
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn appends_the_digest_and_keeps_the_query() {
        let digest = Digest::sha256(b"");
        let hex = digest.encoded();
        for (location, expected) in [
            (
                "https://r.io/u/1",
                format!("https://r.io/u/1?digest=sha256%3A{hex}"),
            ),
            (
                "https://r.io/u/1?",
                format!("https://r.io/u/1?digest=sha256%3A{hex}"),
            ),
            (
                "https://r.io/u/1?_state=a%2Fb%3d==&c=+",
                format!("https://r.io/u/1?_state=a%2Fb%3d==&c=+&digest=sha256%3A{hex}"),
            ),
            (
                "https://r.io/u/1?a&",
                format!("https://r.io/u/1?a&digest=sha256%3A{hex}"),
            ),
            (
                "https://r.io/u/1?digest=x",
                "https://r.io/u/1?digest=x".to_owned(),
            ),
        ] {
            let closing = closing(&Url::parse(location).unwrap(), &digest);
            assert_eq!(closing.as_str(), expected);
        }
    }
}
