//! Sharing of runs with other replicas of the service, if the files name a server for it.

mod replica;

use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::{Config, Session};
use tokio::sync::Mutex;

use crate::run::{RegistryAccess, SessionParts, ShareSpec, open_session, open_shared_session};
use crate::service::runs::Runs;
use crate::service::spec::ServiceSpec;
use crate::service::state::ServiceState;
use crate::ui::LineWriter;
use replica::{Replica, ReplicaSettings, Requests};

/// This replica among others; empty for a service on its own.
pub(super) struct Sharing(Option<Shared>);

struct Shared {
    replica: Replica,
    /// Taken by [`Sharing::drive`].
    requests: Mutex<Option<Requests>>,
}

impl Sharing {
    /// Connects to the server of the flags or of the files, if there is one. At most `runs` runs are in progress at a time.
    ///
    /// # Errors
    /// The server cannot be used.
    pub(super) async fn open(
        spec: &ServiceSpec,
        config: &Config,
        runs: usize,
        lines: &LineWriter,
    ) -> anyhow::Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let from_files = || ShareSpec::from_config(config, environment).transpose();
        let server = spec.share.clone().map(Ok).or_else(from_files).transpose()?;
        let Some(server) = server else {
            return Ok(Self(None));
        };
        let settings = ReplicaSettings {
            runs,
            grace: spec.grace,
            listing: spec.listing,
        };
        let rules = config.rule_set();
        let (replica, requests) = Replica::connect(server, &rules, settings, lines).await?;
        Ok(Self(Some(Shared {
            replica,
            requests: Mutex::new(Some(requests)),
        })))
    }

    /// Opens a session, which shares limits and facts with the other replicas.
    ///
    /// # Errors
    /// The TLS configuration cannot be built.
    pub(super) fn open_session(
        &self,
        access: RegistryAccess,
        parts: SessionParts,
    ) -> anyhow::Result<Session> {
        match &self.0 {
            Some(shared) => open_shared_session(shared.replica.share(), access, parts),
            None => open_session(access, parts),
        }
    }

    /// Shares `runs`, which have not begun, with the other replicas.
    pub(super) fn join(&self, runs: &Runs) {
        if let Some(shared) = &self.0 {
            runs.share(std::sync::Arc::new(shared.replica.clone()));
        }
    }

    /// Puts `rules` into force for the units that this replica carries out.
    pub(super) fn work(&self, rules: &RuleSet, session: &Session) {
        if let Some(shared) = &self.0 {
            shared.replica.work(rules, session.clone());
        }
    }

    /// Exchanges runs with the server. Never returns.
    pub(super) async fn drive(&self, state: &ServiceState) {
        if let Some(shared) = &self.0
            && let Some(requests) = shared.requests.lock().await.take()
        {
            shared.replica.drive(requests, state).await;
        }
        std::future::pending::<()>().await;
    }

    /// Ends the work of this replica. What is left goes to the others.
    pub(super) async fn leave(&self) {
        if let Some(shared) = &self.0 {
            shared.replica.leave().await;
        }
    }

    /// Stops the work of this replica in order.
    pub(super) fn stop(&self) {
        if let Some(shared) = &self.0 {
            shared.replica.stop();
        }
    }

    /// Drops what this replica has in flight.
    pub(super) fn abandon(&self) {
        if let Some(shared) = &self.0 {
            shared.replica.abandon();
        }
    }
}
