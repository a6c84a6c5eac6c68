//! Requests for manifests, which some registries limit by a quota.

use http::Method;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::transport::context::ErrorContext;
use crate::transport::limits::PullRefused;
use crate::transport::shutdown_deadline::OVER;
use crate::transport::{Call, Response, Transport};

impl Transport {
    /// Sends a GET or HEAD of a manifest as `user` (empty: anonymous) like [`Transport::send`], within the pull quota
    /// that a registry declares (Docker Hub): GETs wait until a pull is left.
    ///
    /// # Errors
    /// In addition to those of [`Transport::send`]: [`ErrorKind::RateLimited`], without further tries, if no pull is
    /// left for the rest of the run.
    #[doc(hidden)]
    pub async fn send_counted(&self, call: Call, user: &str) -> Result<Response, Error> {
        let registry = call.endpoint.registry.clone();
        let account = self.quotas.account(&registry, user);
        let pull = if call.method == Method::GET {
            let tell = |text: &str| self.observer().warning(registry.as_str(), text);
            let admitted = account.admit(&self.shutdown, tell).await;
            let context = || {
                ErrorContext::new(
                    &call.action,
                    &call.endpoint,
                    &call.url,
                    self.redactor.clone(),
                )
            };
            Some(admitted.map_err(|why| match why {
                PullRefused::DeadlineExceeded => context().error(ErrorKind::Cancelled, OVER),
                PullRefused::UsedUp(why) => context().error(ErrorKind::RateLimited, why).given_up(),
            })?)
        } else {
            None
        };
        let began = Instant::now();
        let response = self.send(call).await?;
        let news = account.record_answer(response.status, &response.headers, began);
        if let Some(news) = news {
            self.observer().warning(registry.as_str(), &news);
        }
        if let Some(pull) = pull {
            pull.complete();
        }
        Ok(response)
    }
}
