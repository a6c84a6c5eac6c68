//! Scheme and port of an insecure registry (docs/files.md#credentials).
//!
//! The program tries https first, with any certificate. It tries plain http if the port does not speak TLS, and, for a
//! host without a port, on port 80 if port 443 refuses or does not answer. A result is kept for the run; after a
//! failure the next request probes again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use http::Method;
use tokio::time::Instant;
use url::Url;

use crate::error::{Cause, Error, ErrorKind};
use crate::lock::lock;
use crate::reference::Registry;
use crate::transport::observer::RequestRecord;
use crate::transport::{
    Endpoint, HttpError, HttpErrorKind, HttpService, Lane, Reach, Route, TlsExceptions, Transport,
    Trust, request_base,
};

/// Time limit for port 443 before port 80 is tried, and for port 80.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Results of the probes in this run.
pub(super) struct SchemeCache {
    service: Arc<dyn HttpService>,
    slots: Mutex<HashMap<Registry, SchemeSlot>>,
    /// Base URLs by https, each of which is parsed once.
    https: Mutex<HashMap<Registry, Url>>,
}

type SchemeProbe = BoxFuture<'static, Result<Url, HttpError>>;

enum SchemeSlot {
    Found(Url),
    /// A probe in progress. It ends if no caller waits for it any more.
    Probing(WeakShared<SchemeProbe>),
}

impl SchemeCache {
    pub(super) fn new(service: Arc<dyn HttpService>) -> Self {
        Self {
            service,
            slots: Mutex::default(),
            https: Mutex::default(),
        }
    }
    /// Returns the base URL of `registry` by https, or `None` if its name is not a valid host name.
    fn https(&self, registry: &Registry) -> Option<Url> {
        let mut known = lock(&self.https);
        if let Some(url) = known.get(registry) {
            return Some(url.clone());
        }
        let url = base_url(registry, "https")?;
        known.insert(registry.clone(), url.clone());
        Some(url)
    }
    /// Returns the base URL of the insecure `registry`, if it is known.
    pub(super) fn found(&self, registry: &Registry) -> Option<Url> {
        let slots = lock(&self.slots);
        match slots.get(registry) {
            Some(SchemeSlot::Found(url)) => Some(url.clone()),
            _ => None,
        }
    }
    /// Returns the base URL of the insecure `registry`, after a probe by `route` if it is unknown.
    pub(super) async fn find(&self, registry: &Registry, route: Route) -> Result<Url, HttpError> {
        let probe = match self.begin(registry, route)? {
            StartedProbe::Found(url) => return Ok(url),
            StartedProbe::Probing(probe) => probe,
        };
        let found = probe.clone().await;
        let mut slots = lock(&self.slots);
        if let Ok(url) = &found {
            slots.insert(registry.clone(), SchemeSlot::Found(url.clone()));
        } else if let Some(SchemeSlot::Probing(weak)) = slots.get(registry)
            && weak.upgrade().is_some_and(|other| other.ptr_eq(&probe))
        {
            slots.remove(registry);
        }
        found
    }
    fn begin(&self, registry: &Registry, route: Route) -> Result<StartedProbe, HttpError> {
        let mut slots = lock(&self.slots);
        match slots.get(registry) {
            Some(SchemeSlot::Found(url)) => return Ok(StartedProbe::Found(url.clone())),
            Some(SchemeSlot::Probing(weak)) => {
                if let Some(probe) = weak.upgrade() {
                    return Ok(StartedProbe::Probing(probe));
                }
            }
            None => {}
        }
        let https = self.https(registry).ok_or_else(|| {
            HttpError::new(HttpErrorKind::Connect, "its name is not a valid host name")
        })?;
        let service = self.service.clone();
        let port_given = registry.port().is_some();
        let probe: SchemeProbe =
            Box::pin(async move { probe(&*service, https, port_given, route).await });
        let probe = probe.shared();
        if let Some(weak) = probe.downgrade() {
            slots.insert(registry.clone(), SchemeSlot::Probing(weak));
        }
        Ok(StartedProbe::Probing(probe))
    }
}

impl Transport {
    /// Returns the base URL of `endpoint`, ending in `/`. For an endpoint with all exceptions, the first call probes which scheme
    /// and port answer (docs/files.md#credentials) and remembers them for the run; concurrent callers share one probe.
    /// A probe without an answer is reported as a request, since it is the try of one.
    #[doc(hidden)]
    pub async fn base_url(&self, endpoint: &Endpoint, action: &str) -> Result<Url, Error> {
        let registry = &endpoint.registry;
        let https = self.schemes.https(registry).ok_or_else(|| {
            let why = "its name is not a valid host name";
            Error::new(ErrorKind::Connect, action, registry.as_str(), why)
        })?;
        match endpoint.exceptions {
            TlsExceptions::ALL => {}
            TlsExceptions {
                plain_http: true, ..
            } => {
                let port = registry.port().unwrap_or(80);
                return Ok(over_http(&https, port));
            }
            _ => return Ok(https),
        }
        if let Some(url) = self.schemes.found(registry) {
            return Ok(url);
        }
        let route = Route {
            trust: Trust::Anything,
            lane: Lane::Calls,
            http2: true,
            reach: Reach::Own(self.network.set(registry)),
            proxy: self.proxies.choose(registry, &https),
            certificates: self.certificates.find(registry, true).map_err(|why| {
                Error::new(ErrorKind::Tls, action, registry.as_str(), why)
                    .with_cause(Cause::ClientCertificate)
            })?,
        };
        let key = (registry.name(), true);
        let contact = self.wait_for_host(key, true, action).await?;
        let start = Instant::now();
        let why = match self.schemes.find(registry, route).await {
            Ok(url) => {
                contact.ended(None);
                return Ok(url);
            }
            Err(why) => why,
        };
        if contact.is_first() {
            self.observer().request(&RequestRecord {
                action,
                registry: registry.as_str(),
                method: &Method::GET,
                status: None,
                elapsed: start.elapsed(),
                tries: contact.tries(),
                sent: 0,
                length: None,
                url: &https.join("v2/").unwrap_or(https),
                headers: None,
                redactor: &self.redactor,
            });
        }
        let cause = why.cause();
        let error = Error::new(why.kind.into(), action, registry.as_str(), why.message);
        let error = error.with_cause(cause);
        contact.ended(Some(&error));
        Err(error)
    }
}

enum StartedProbe {
    Found(Url),
    Probing(Shared<SchemeProbe>),
}

/// Returns `scheme://host[:port]/` of `registry`.
pub(super) fn base_url(registry: &Registry, scheme: &str) -> Option<Url> {
    let host = registry.api_host();
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let url = match registry.port() {
        Some(port) => Url::parse(&format!("{scheme}://{host}:{port}/")),
        None => Url::parse(&format!("{scheme}://{host}/")),
    };
    url.ok().filter(Url::has_host)
}

async fn probe(
    service: &dyn HttpService,
    https: Url,
    port_given: bool,
    route: Route,
) -> Result<Url, HttpError> {
    let first = match with_time_limit(service.probe(&https, route), port_given).await {
        Ok(()) => return Ok(https),
        Err(error) => error,
    };
    let port = https.port_or_known_default().unwrap_or(443);
    let same_port = over_http(&https, port);
    let (http, second) = match first.kind {
        // The host answered, but not in TLS.
        HttpErrorKind::NotTls => return Ok(same_port),
        // The port accepts connections and may wait for a request, or be overloaded: only an answer shows which.
        HttpErrorKind::Broken if port_given => {
            let answer = with_time_limit(request_base(service, &same_port, route), false).await;
            (same_port, answer)
        }
        HttpErrorKind::Connect | HttpErrorKind::ConnectTimeout | HttpErrorKind::Broken
            if !port_given =>
        {
            let http = over_http(&https, 80);
            let answer = with_time_limit(service.probe(&http, route), false).await;
            (http, answer)
        }
        _ => return Err(first),
    };
    let Err(second) = second else {
        return Ok(http);
    };
    let other_port = http.port_or_known_default().unwrap_or(80);
    let message = if second.message == first.message {
        format!(
            "{}, over https on port {port} and over http on port {other_port}",
            first.message
        )
    } else {
        format!(
            "https on port {port}: {}; http on port {other_port}: {}",
            first.message, second.message
        )
    };
    Err(HttpError { message, ..first })
}

/// Returns the same host over plain http.
fn over_http(https: &Url, port: u16) -> Url {
    let mut url = https.clone();
    // Neither can fail for a URL with a host. The port is dropped if it is the scheme's default.
    url.set_scheme("http").ok();
    url.set_port(Some(port)).ok();
    url
}

/// Limits the time of `probe`. With an explicit port there is no alternative, so the service's own limit is enough.
async fn with_time_limit(
    probe: impl Future<Output = Result<(), HttpError>>,
    patient: bool,
) -> Result<(), HttpError> {
    if patient {
        return probe.await;
    }
    tokio::time::timeout(ANSWERS_WITHIN, probe)
        .await
        .unwrap_or_else(|_| {
            Err(HttpError::new(
                HttpErrorKind::ConnectTimeout,
                format!("no answer within {} s", ANSWERS_WITHIN.as_secs()),
            ))
        })
}
