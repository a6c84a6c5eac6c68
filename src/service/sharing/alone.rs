//! A service that is built without the feature `share`: it is always on its own.

use anyhow::ensure;
use image_syncer_sync::rule::RuleSet;
use image_syncer_sync::{Config, Session};

use crate::run::{RegistryAccess, SessionParts, open_session};
use crate::service::runs::Runs;
use crate::service::spec::ServiceSpec;
use crate::service::state::ServiceState;
use crate::ui::LineWriter;

/// The only replica.
pub(super) struct Sharing;

#[allow(
    clippy::unused_self,
    clippy::unused_async,
    reason = "the interface of the other build"
)]
impl Sharing {
    pub(super) async fn open(
        _spec: &ServiceSpec,
        config: &Config,
        _runs: usize,
        _lines: &LineWriter,
    ) -> anyhow::Result<Self> {
        ensure!(
            config.share.is_none(),
            "the file has the key `share`, and this program was built without the feature `share`. Use a build with it, or remove the key."
        );
        Ok(Self)
    }

    pub(super) fn open_session(
        &self,
        access: RegistryAccess,
        parts: SessionParts,
    ) -> anyhow::Result<Session> {
        open_session(access, parts)
    }

    pub(super) fn join(&self, _runs: &Runs) {}

    pub(super) fn work(&self, _rules: &RuleSet, _session: &Session) {}

    pub(super) async fn drive(&self, _state: &ServiceState) {
        std::future::pending::<()>().await;
    }

    pub(super) async fn leave(&self) {}

    pub(super) fn stop(&self) {}

    pub(super) fn abandon(&self) {}
}
