//! The handle of a registry.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use crate::auth::Auth;
use crate::fault::{Action, Fault, Handle};
use crate::image::{Image, Manifest};
use crate::lock::lock;
use crate::log::{Log, Request, Totals};
use crate::profile::Profile;
use crate::state::State;

/// A registry in this process, over real HTTP on loopback. When it is dropped, it stops: connections are closed, and
/// requests that a fault has stalled end.
pub struct Registry {
    shared: Arc<Shared>,
    address: SocketAddr,
    ca: Option<String>,
    connections: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: Option<DropGuard>,
}

impl Registry {
    pub(super) fn new(
        shared: Arc<Shared>,
        address: SocketAddr,
        ca: Option<String>,
        connections: Arc<AtomicU64>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            shared,
            address,
            ca,
            connections,
            tasks,
            stop: None,
        }
    }

    pub(super) fn owning(mut self, stop: CancellationToken) -> Self {
        self.stop = Some(stop.drop_guard());
        self
    }

    /// `host:port`, as in references.
    pub fn host(&self) -> String {
        host_of(&self.shared.bases().registry)
    }

    /// `http://host:port` or `https://host:port`.
    pub fn url(&self) -> String {
        self.shared.bases().registry
    }

    /// `host:port` of the token server, if it has its own port.
    pub fn token_host(&self) -> String {
        host_of(&self.shared.bases().token)
    }

    /// URL of the token server; empty without bearer tokens.
    pub fn realm(&self) -> String {
        self.shared.realm()
    }

    /// `host:port` of the storage host.
    pub fn storage_host(&self) -> String {
        host_of(&self.shared.bases().storage)
    }

    /// The address and port that the registry listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Certificate of the authority that signed the registry's certificate, as PEM; only with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// All requests at the registry's port since the start or the last clearing, in order of arrival. Token requests
    /// are listed separately, even if they arrive at the same port.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.logs.registry.requests()
    }

    /// All requests for tokens.
    pub fn token_requests(&self) -> Vec<Request> {
        self.shared.logs.token.requests()
    }

    /// All requests at the storage host.
    pub fn storage_requests(&self) -> Vec<Request> {
        self.shared.logs.storage.requests()
    }

    /// Number of requests at the registry's port for which `test` returns true.
    pub fn count(&self, test: impl Fn(&Request) -> bool) -> usize {
        self.requests()
            .iter()
            .filter(|request| test(request))
            .count()
    }

    /// Clears all requests, with their byte counts.
    pub fn clear_requests(&self) {
        for log in self.logs() {
            log.clear();
        }
    }

    /// Blob bytes received in bodies of POST, PATCH and PUT of uploads, whatever their result.
    pub fn bytes_received(&self) -> u64 {
        self.sum(|r| {
            if r.kind.takes_blob() {
                r.request_bytes
            } else {
                0
            }
        })
    }

    /// Blob bytes sent in successful answers, including those of the storage host. Counted when they are handed to the
    /// connection.
    pub fn bytes_sent(&self) -> u64 {
        self.sum(|r| {
            if r.kind.gives_blob() && r.succeeded() {
                r.response_bytes
            } else {
                0
            }
        })
    }

    /// Sums over all requests since the start or the last clearing. Also available if the registry keeps no requests
    /// ([`counts_only`](crate::RegistryBuilder::counts_only)).
    pub fn totals(&self) -> Totals {
        let logs = &self.shared.logs;
        let mut totals = Totals {
            token_requests: logs.token.totals().requests,
            ..Totals::default()
        };
        for log in self.logs() {
            let of_log = log.totals();
            totals.requests += of_log.requests;
            totals.too_many_requests += of_log.too_many_requests;
            totals.bytes_received += of_log.bytes_received;
            totals.bytes_sent += of_log.bytes_sent;
        }
        totals
    }

    /// Maximum number of concurrent requests at the registry's port since the requests were cleared. A request runs
    /// from its arrival until the last byte of its answer was handed to the connection.
    pub fn peak_requests(&self) -> usize {
        self.shared.logs.registry.peak()
    }

    /// Number of connections accepted by the registry's port so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until no request runs on any port.
    pub async fn quiet(&self) {
        for log in self.logs() {
            log.quiet().await;
        }
    }

    /// Stops and waits until every socket is closed, so that another registry can use the port.
    pub async fn stop(mut self) {
        self.tasks.close();
        self.stop = None;
        self.tasks.wait().await;
    }

    /// The contents.
    pub fn state(&self) -> State {
        self.shared.state.clone()
    }

    /// Stores an image without HTTP. Returns the digest of its root.
    pub fn push(&self, repository: &str, tag: Option<&str>, image: &Image) -> String {
        self.shared.state.put_image(repository, tag, image)
    }

    /// Checks that an image is complete: every manifest and every blob below the tag or digest exists and hashes to its
    /// digest, and sizes match the descriptors. Foreign layers may be missing. The error names the first problem.
    pub fn verify_complete(&self, repository: &str, reference: &str) -> Result<(), String> {
        super::verify::complete(&self.shared.state, repository, reference)
    }

    /// Things that clients did and a correct client never does: see the crate's documentation. Should be empty.
    pub fn problems(&self) -> Vec<String> {
        lock(&self.shared.problems).clone()
    }

    /// Installs a fault.
    pub fn fault(&self, fault: Fault, action: impl Into<Action>) -> Handle {
        self.shared.faults.arm(fault, action.into())
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Waits this long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        let mut conditions = lock(&self.shared.conditions);
        conditions.latency = latency;
    }

    /// Limits each connection to this many bytes a second from now on; `None` removes the limit.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        let mut conditions = lock(&self.shared.conditions);
        conditions.bandwidth = bytes_per_second;
    }

    /// Changes the behaviour from now on.
    pub fn change_profile(&self, change: impl FnOnce(&mut Profile)) {
        let mut profile = (*self.shared.profile()).clone();
        change(&mut profile);
        *self
            .shared
            .profile
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(profile);
    }

    /// Changes users and rules from now on. Granted tokens stay valid.
    pub fn set_auth(&self, auth: Auth) {
        *self
            .shared
            .auth
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(auth);
    }

    /// Revokes all granted bearer tokens.
    pub fn expire_tokens(&self) {
        self.shared.tokens.expire();
    }

    /// Stores a manifest unchanged, without HTTP and without checks.
    pub fn put_manifest(&self, repository: &str, tag: Option<&str>, manifest: &Manifest) {
        self.shared.state.put_manifest(repository, tag, manifest);
    }

    fn logs(&self) -> [&Arc<Log>; 3] {
        let logs = &self.shared.logs;
        [&logs.registry, &logs.token, &logs.storage]
    }

    fn sum(&self, of: impl Fn(&Request) -> u64) -> u64 {
        self.logs().iter().map(|log| log.sum(&of)).sum()
    }
}

fn host_of(base: &str) -> String {
    base.split_once("//")
        .map_or(String::new(), |(_, host)| host.to_owned())
}
