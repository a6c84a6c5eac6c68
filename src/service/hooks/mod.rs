//! Hooks that registries call when an image is pushed.
//!
//! A call is a hint. Each kind has a pure parser (`distribution.rs` and its siblings), which returns pushes.
//! `matching.rs` finds the rules that copy what was pushed, and `gathering.rs` requests their runs. Nothing in a call is
//! ever requested: runs read what the rules name.

mod acr;
mod caller;
mod distribution;
mod gathering;
mod generic;
mod ghcr;
mod harbor;
mod hub;
mod matching;
mod push;
mod quay;
pub(in crate::service) mod routes;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use image_syncer_sync::config::HookConfig;

use self::gathering::Gatherer;
use self::push::{PayloadError, Push};
use crate::metrics::Metrics;
use crate::service::repeated_lines::RepeatedLines;
use crate::service::runs::Runs;
use crate::service::secret::SharedSecret;
use crate::ui::LineLabel;

/// Kind of a hook.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum HookKind {
    /// Notifications of the registry distribution.
    Distribution,
    /// Webhooks of Harbor.
    Harbor,
    /// Webhooks of Docker Hub.
    Hub,
    /// Webhooks of GitHub, for its container registry.
    Ghcr,
    /// Notifications of Quay.
    Quay,
    /// Webhooks of Azure Container Registry.
    Acr,
    /// Calls of anything else.
    Generic,
}

impl HookKind {
    /// Returns the pushes that a body reports.
    fn parse(self, body: &[u8]) -> Result<Vec<Push>, PayloadError> {
        match self {
            Self::Distribution => distribution::parse(body),
            Self::Harbor => harbor::parse(body),
            Self::Hub => hub::parse(body),
            Self::Ghcr => ghcr::parse(body),
            Self::Quay => quay::parse(body),
            Self::Acr => acr::parse(body),
            Self::Generic => generic::parse(body),
        }
    }
}

/// Parses a body as that of each kind, for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz(data: &[u8]) {
    for kind in <HookKind as strum::IntoEnumIterator>::iter() {
        match kind.parse(data) {
            Ok(pushes) => assert!((1..=push::MAX_EVENTS).contains(&pushes.len()), "{kind}"),
            Err(error) => assert!(error.to_string().len() <= 4096, "{kind}"),
        }
    }
}

/// Prints a line for people.
pub(crate) type Report = Arc<dyn Fn(LineLabel, &str) + Send + Sync>;

/// The hooks of the files, and the pushes that they reported. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hooks(Arc<Shared>);

struct Shared {
    runs: Runs,
    secrets: HashMap<HookKind, SharedSecret>,
    gatherer: Gatherer,
    metrics: Metrics,
    report: Report,
    repeated: RepeatedLines,
}

impl Hooks {
    /// Creates the hooks of `configs`, which request runs of `runs`. Each call is counted, and reported in a line.
    ///
    /// # Errors
    /// A clause, if a secret cannot be looked up.
    pub(crate) fn new(
        runs: Runs,
        configs: &[HookConfig],
        environment: &dyn Fn(&str) -> Option<String>,
        metrics: Metrics,
        report: Report,
    ) -> Result<Self, String> {
        let mut secrets = HashMap::new();
        for config in configs {
            let name = &config.kind;
            let kind = name
                .parse()
                .map_err(|_| format!("there is no hook `{name}`"))?;
            let secret = SharedSecret::resolve(&config.secret, environment)
                .map_err(|why| {
 format!("the secret of the hook `{name}` cannot be used: {why}. Correct `service.hooks`.") })?;
            secrets.insert(kind, secret);
        }
        Ok(Self(Arc::new(Shared {
            gatherer: Gatherer::new(runs.clone(), Arc::clone(&report)),
            runs,
            secrets,
            metrics,
            report,
            repeated: RepeatedLines::default(),
        })))
    }
}
