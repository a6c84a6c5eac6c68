//! Messages to addresses that are no registries.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::error::{Cause, Error, ErrorKind};
use crate::reference::Registry;
use crate::transport::{
    AnswerLimit, Call, Endpoint, Lane, RequestBody, TlsExceptions, Transport, authority,
};

/// Maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Answer to a message.
#[doc(hidden)]
#[derive(Debug)]
pub struct MessageAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Transport {
    /// Sends a message to `url` once, by https or http. Redirects are not followed. The address must be public, unless
    /// its host is one of [`TransportOptions::private_hosts`](crate::transport::TransportOptions::private_hosts).
    ///
    /// # Errors
    /// No answer, or one of more than 64 KiB. The error names the host, and nothing else of the URL.
    #[doc(hidden)]
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<MessageAnswer, Error> {
        let action: Arc<str> = Arc::from("send a message");
        let refused = |why: String| Error::new(ErrorKind::Refused, &*action, authority(url), why);
        let port = url.port_or_known_default().unwrap_or(443);
        let registry = Registry::parse(&format!("{}:{port}", url.host_str().unwrap_or_default()));
        let endpoint = Endpoint {
            registry: registry.map_err(|_| refused("its URL has no valid host".to_owned()))?,
            exceptions: TlsExceptions {
                plain_http: url.scheme() == "http",
                ..TlsExceptions::NONE
            },
        };
        if self.lies_inside(&endpoint, url).await {
            let host = url.host_str().unwrap_or_default();
            let why = format!(
                "its address is in a private network. To allow it, add --allow-private {host}."
            );
            return Err(refused(why).with_cause(Cause::PrivateAddress));
        }
        let call = Call {
            action: Arc::clone(&action),
            endpoint,
            method: Method::POST,
            url: url.clone(),
            headers,
            body: RequestBody::Bytes(body),
            lane: Lane::Calls,
            answer: AnswerLimit::Normal,
            follow_redirects: false,
            public_only: true,
            weight: 0,
            tries: 1,
            guard: None,
        };
        let answer = self.send(call).await?;
        Ok(MessageAnswer {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.bytes(MAX_ANSWER).await?,
        })
    }
}
