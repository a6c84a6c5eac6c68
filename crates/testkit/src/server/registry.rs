//! The handle that tests hold.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::builder::Builder;
use super::shared::Shared;
use crate::auth::Auth;
use crate::fault::{Action, Fault, Handle};
use crate::image::{Image, Manifest};
use crate::log::{Log, Request, Totals};
use crate::profile::Profile;
use crate::state::State;

/// A registry in this process, over real HTTP on loopback. It stops when it is dropped: connections are closed, and
/// what a fault has stalled ends.
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

    /// Starts a registry that is open to everybody.
    pub async fn start(profile: Profile) -> Self {
        Self::builder().profile(profile).start().await
    }

    /// Settings for a registry.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `host:port`, as it stands in references.
    pub fn host(&self) -> String {
        host_of(&self.shared.bases().registry)
    }

    /// `http://host:port` or `https://host:port`.
    pub fn url(&self) -> String {
        self.shared.bases().registry
    }

    /// `host:port` of the token server, where it has a port of its own.
    pub fn token_host(&self) -> String {
        host_of(&self.shared.bases().token)
    }

    /// The URL that callers are sent to for tokens; empty without bearer tokens.
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

    /// The certificate of the authority that signed the registry's certificate, as PEM; with TLS only.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// All requests at the registry's port since the start or the last clearing, in the order of their arrival;
    /// token requests are listed elsewhere even if they come to the same port.
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

    /// Number of requests at the registry's port that `test` selects.
    pub fn count(&self, test: impl Fn(&Request) -> bool) -> usize {
        self.requests()
            .iter()
            .filter(|request| test(request))
            .count()
    }

    /// Forgets all requests, with their bytes.
    pub fn clear_requests(&self) {
        for log in self.logs() {
            log.clear();
        }
    }

    /// Blob bytes that came in, in bodies of POST, PATCH and PUT of uploads, whatever became of them.
    pub fn bytes_received(&self) -> u64 {
        self.sum(|r| {
            if r.kind.takes_blob() {
                r.request_bytes
            } else {
                0
            }
        })
    }

    /// Blob bytes that went out in successful answers, at the storage host as well. Counted when they are handed to
    /// the connection.
    pub fn bytes_sent(&self) -> u64 {
        self.sum(|r| {
            if r.kind.gives_blob() && r.succeeded() {
                r.response_bytes
            } else {
                0
            }
        })
    }

    /// Sums over all requests since the start or the last clearing: they are there for a registry that keeps no
    /// requests, too ([`Builder::counts_only`]).
    pub fn totals(&self) -> Totals {
        let logs = &self.shared.logs;
        let mut totals = Totals {
            token_requests: logs.token.totals().0,
            ..Totals::default()
        };
        for log in self.logs() {
            let (requests, received, sent) = log.totals();
            totals.requests += requests;
            totals.bytes_received += received;
            totals.bytes_sent += sent;
        }
        totals
    }

    /// The most requests that ran at the same time at the registry's port since the requests were cleared. A request
    /// runs from its arrival until the last byte of its answer was handed to the connection.
    pub fn peak_requests(&self) -> usize {
        self.shared.logs.registry.peak()
    }

    /// Number of connections that the registry's port accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until no request runs on any port.
    pub async fn quiet(&self) {
        for log in self.logs() {
            log.quiet().await;
        }
    }

    /// Stops and waits until every socket is closed, so that another registry can have the port.
    pub async fn stop(mut self) {
        self.tasks.close();
        self.stop = None;
        self.tasks.wait().await;
    }

    /// The contents.
    pub fn state(&self) -> State {
        self.shared.state.clone()
    }

    /// Stores an image, without HTTP; returns the digest of its root.
    pub fn push(&self, repository: &str, tag: Option<&str>, image: &Image) -> String {
        self.shared.state.put_image(repository, tag, image)
    }

    /// Judges whether an image arrived whole: every manifest and every blob below the tag or digest is there and
    /// hashes to its digest, and sizes are as descriptors say. Foreign layers may be missing. The error names the
    /// first thing that is wrong.
    pub fn verify_complete(&self, repository: &str, reference: &str) -> Result<(), String> {
        super::verify::complete(&self.shared.state, repository, reference)
    }

    /// What clients did that a good client never does: see the crate's documentation. Empty is good.
    pub fn problems(&self) -> Vec<String> {
        self.shared
            .problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets requests go wrong from now on.
    pub fn fault(&self, fault: Fault, action: impl Into<Action>) -> Handle {
        self.shared.faults.arm(fault, action.into())
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Waits this long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        let mut conditions = self
            .shared
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        conditions.latency = latency;
    }

    /// Carries so many bytes a second on each connection from now on; `None` for no limit.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        let mut conditions = self
            .shared
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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

    /// Changes users and rules from now on; tokens that were granted stay good.
    pub fn set_auth(&self, auth: Auth) {
        *self
            .shared
            .auth
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(auth);
    }

    /// Ends all bearer tokens that were granted so far.
    pub fn expire_tokens(&self) {
        self.shared.tokens.expire();
    }

    /// Stores a manifest as it is, without HTTP and without checks.
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
