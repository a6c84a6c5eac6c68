//! Settings of the service: the key `service` of native files.

use std::path::PathBuf;
use std::time::Duration;

use image_syncer_registry::auth::{Secret, SecretFile, SecretSource};

/// Settings of the service, as they are written. Secrets are not looked up yet.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// Addresses with ports; empty for the default.
    pub listen: Vec<String>,
    /// Tokens of clients.
    pub tokens: Vec<TokenConfig>,
    /// True if clients without a token may read.
    pub anonymous_reads: bool,
    /// Maximum number of runs at a time.
    pub runs: Option<usize>,
    /// Certificate of the service.
    pub tls: Option<TlsFiles>,
    /// Address of the service for people, without a slash at its end, for links in messages.
    pub url: Option<String>,
    /// Hooks that registries call, each kind once.
    pub hooks: Vec<HookConfig>,
    /// Receivers of events.
    pub notify: Vec<NotifyConfig>,
}

/// Server that several machines share their runs on: the key `share` of native files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareConfig {
    /// URL of the `PostgreSQL` database, with or without a password.
    pub url: SecretPlace,
    /// Maximum time without the database; `None` for the default.
    pub timeout: Option<Duration>,
}

/// Token of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenConfig {
    /// Name in logs; unique.
    pub name: String,
    /// The token.
    pub secret: SecretPlace,
    /// Rights of the client.
    pub scope: TokenScope,
}

/// Rights of a client. The later one includes the earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenScope {
    /// Reads.
    #[default]
    Read,
    /// Reads, and starts and cancels runs.
    Sync,
}

/// Files of a certificate, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with its chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A hook that a registry calls.
#[derive(Clone, Debug, PartialEq)]
pub struct HookConfig {
    /// Kind, as in the path of the hook.
    pub kind: String,
    /// Secret of the caller.
    pub secret: SecretPlace,
}

/// Names of the events that receivers may choose.
pub const NOTIFY_EVENTS: [&str; 7] = [
    "rule.failing",
    "rule.recovered",
    "run.failed",
    "run.succeeded",
    "run.cancelled",
    "config.failed",
    "config.recovered",
];

/// Receiver of events.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyConfig {
    /// Form of the messages.
    pub kind: NotifyKind,
    /// URL of the receiver.
    pub url: SecretPlace,
    /// Secret of the signature in a header.
    pub secret: Option<SecretPlace>,
    /// Names of events; empty for the default.
    pub on: Vec<String>,
}

/// Form of messages to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyKind {
    /// `CloudEvents` 1.0 in JSON.
    CloudEvents,
    /// Slack, and Mattermost.
    Slack,
    /// Feishu, and Lark.
    Feishu,
    /// `DingTalk`.
    DingTalk,
}

/// Place of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// The file itself.
    Text(Secret),
    /// A variable of the environment.
    Variable(String),
    /// A file with the secret and nothing else.
    File(PathBuf),
}

impl SecretPlace {
    /// Looks up the secret.
    ///
    /// # Errors
    /// A clause, if the variable or the file cannot be read or is empty.
    pub fn resolve(
        &self,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<SecretSource, String> {
        match self {
            Self::Text(secret) => Ok(SecretSource::Text(secret.clone())),
            Self::Variable(name) => SecretSource::from_variable(name, environment),
            Self::File(path) => SecretFile::read(path).map(SecretSource::File),
        }
    }
}
