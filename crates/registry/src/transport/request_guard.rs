//! Requests that must not be sent late.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::stream;

use crate::transport::request_body::{BodyAborted, RequestBody};

/// Permission to send a request, which may end while the request waits: for a permit, a pause of its host, a retry, or a
/// connection.
pub trait RequestGuard: Debug + Send + Sync {
    /// Returns the reason, as a clause, if the request must not be sent. Called right before the request and right
    /// before its body, so that it must not block.
    fn refusal(&self) -> Option<String>;
}

/// Returns a body that is not sent if `guard` refuses when the connection is ready for it. A body that is a stream stays
/// as it is: its producer knows when to stop.
pub(super) fn guarded_body(body: RequestBody, guard: &Arc<dyn RequestGuard>) -> RequestBody {
    let RequestBody::Bytes(bytes) = body else {
        return body;
    };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let guard = Arc::clone(guard);
    let send = async move {
        let refused = guard.refusal().is_some();
        (!refused).then_some(bytes).ok_or(BodyAborted)
    };
    let stream = Box::pin(stream::once(send));
    RequestBody::Stream { length, stream }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;
    use futures_util::TryStreamExt;

    use super::*;

    #[derive(Debug, Default)]
    struct Switch(AtomicBool);

    impl RequestGuard for Switch {
        fn refusal(&self) -> Option<String> {
            let refuses = self.0.load(Ordering::Acquire);
            refuses.then(|| "too late".to_owned())
        }
    }

    async fn sent(body: RequestBody) -> Result<Vec<Bytes>, BodyAborted> {
        match body {
            RequestBody::Stream { length: 5, stream } => stream.try_collect().await,
            _ => Ok(Vec::new()),
        }
    }

    #[tokio::test]
    async fn a_body_is_checked_when_it_is_sent() {
        let switch = Arc::new(Switch::default());
        let guard: Arc<dyn RequestGuard> = switch.clone();
        let body = || guarded_body(RequestBody::Bytes(Bytes::from_static(b"index")), &guard);
        let (early, late) = (body(), body());
        assert_eq!(sent(early).await.unwrap(), ["index"]);
        switch.0.store(true, Ordering::Release);
        assert!(sent(late).await.is_err());
        let empty = guarded_body(RequestBody::Empty, &guard);
        assert!(matches!(empty, RequestBody::Empty));
    }
}
