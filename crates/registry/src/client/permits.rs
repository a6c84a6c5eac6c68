//! Permits of the host, and requests that are sent with one.

use std::time::Duration;

use crate::client::Client;
use crate::client::authorization::RequestAuth;
use crate::client::request::RequestSpec;
use crate::client::request_context::RequestContext;
use crate::error::Error;
use crate::transport::{PauseReason, RequestBody, ReservedPermit, Response};

impl Client {
    /// Waits until the host is ready for `request`. With `going_on`, the caller holds a permit of a source that others in
    /// the queue may wait for, so it does not join the queue.
    pub(super) async fn reserve(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        going_on: bool,
    ) -> Result<ReservedPermit, Error> {
        let base = self.base(context, &request.action).await?;
        let url = request.address(&base)?.url;
        let transport = &self.inner.transport;
        let (endpoint, lane) = (&context.endpoint, request.lane);
        if going_on {
            return transport
                .reserve_on(endpoint, &url, lane, &request.action)
                .await;
        }
        transport
            .reserve(endpoint, &url, lane, request.weight, &request.action)
            .await
    }

    /// Returns a permit of the host for `request`, if one is free at once.
    pub(super) async fn try_reserve(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
    ) -> Option<ReservedPermit> {
        let base = self.base(context, &request.action).await.ok()?;
        let url = request.address(&base).ok()?.url;
        let transport = &self.inner.transport;
        transport.try_reserve(&context.endpoint, &url, request.lane)
    }

    /// Pauses the host for `delay`, unless that exceeds the maximum wait.
    pub(super) fn pause_host(&self, context: &RequestContext, delay: Duration, why: PauseReason) {
        if delay <= self.inner.retry.max_retry_after {
            self.inner.transport.pause(&context.endpoint, delay, why);
        }
    }

    /// Sends `request` with a permit and a body that can be produced only once. The caller handles a 401 with
    /// [`Client::refused`].
    pub(super) async fn send_once(
        &self,
        context: &RequestContext,
        request: &RequestSpec,
        reserved: ReservedPermit,
        pass: &RequestAuth,
        body: RequestBody,
    ) -> Result<Response, Error> {
        let base = self.base(context, &request.action).await?;
        let mut address = request.address(&base)?;
        let (client, context, request) = match &pass.target {
            Some(target) => {
                address.home = true;
                (&target.client, &target.context, &target.request)
            }
            None => (self, context, request),
        };
        let call = request.call(context, &address, pass.header(), body);
        let response = self.inner.transport.send_reserved(call, reserved).await?;
        client.is_authorized(context, request, &address, pass, &response);
        Ok(response)
    }
}
