//! State of the registries, for the API and the pages.
//!
//! Latency is the time from a request to the head of its answer. The percentiles are those of the last
//! [`SAMPLES`] answers, by the nearest rank.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::StatusCode;
use image_syncer_registry::auth::KeychainEntry;
use image_syncer_registry::transport::{Observer, PauseReason, RequestRecord};
use image_syncer_registry::{Registry, clean_text};
use image_syncer_sync::Session;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::lock::lock;
use crate::login::{self, LoginIdentity};
use crate::metrics::status_class;
use crate::service::observer::RunObserver;
use crate::service::rule_book::RuleBook;

/// Maximum number of registries. Requests to others are not shown.
const NAMED: usize = 1_000;
/// Number of the last answers whose latency counts.
const SAMPLES: usize = 1_000;
/// Maximum number of characters of an error.
const LONGEST_ERROR: usize = 500;

/// State of the registries. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct RegistryStats(Arc<Shared>);

#[derive(Default)]
struct Shared {
    registries: Mutex<BTreeMap<String, Stats>>,
    session: Mutex<Option<Session>>,
    logins: Mutex<Vec<(Option<Registry>, RegistryLogin)>>,
}

/// State of one registry.
#[derive(Debug, Default)]
struct Stats {
    requests: u64,
    statuses: BTreeMap<&'static str, u64>,
    retries: u64,
    rate_limited: u64,
    pauses: u64,
    paused: Duration,
    /// End of the last pause, and its reason.
    pause: Option<(Timestamp, PauseReason)>,
    reachable: Option<bool>,
    last_answer: Option<Timestamp>,
    last_error: Option<RegistryError>,
    /// Latencies of the last answers, the oldest first.
    latencies: VecDeque<Duration>,
}

/// State of a registry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryRow {
    /// Its name.
    pub(crate) registry: String,
    /// False if the last request had no answer; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reachable: Option<bool>,
    /// Requests that were tried, answered or not.
    pub(crate) requests: u64,
    /// Number of requests by the class of the answer's status, such as `2xx`; `none` without an answer.
    pub(crate) statuses: BTreeMap<&'static str, u64>,
    /// Requests that failed and were tried again.
    pub(crate) retries: u64,
    /// Answers with the status 429.
    pub(crate) rate_limited: u64,
    /// Number of pauses.
    pub(crate) pauses: u64,
    /// Total time of the pauses, in seconds.
    pub(crate) paused_seconds: f64,
    /// The present pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pause: Option<RegistryPause>,
    /// Limits on requests in flight.
    pub(crate) window: RegistryWindow,
    /// Pulls that the registry has left for us, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pulls_remaining: Option<u64>,
    /// Time of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = Option<String>, format = DateTime))]
    pub(crate) last_answer: Option<Timestamp>,
    /// The last request without an answer, or with 403, 429 or a status of the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<RegistryError>,
    /// Latency of the last answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<RegistryLatency>,
    /// Logins of the registry, and of parts of it.
    pub(crate) logins: Vec<RegistryLogin>,
}

/// Time without requests to a registry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryPause {
    /// Its end.
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    pub(crate) until: Timestamp,
    /// `rate-limit` or `overload`.
    pub(crate) why: &'static str,
}

/// Maximum numbers of requests in flight, which adjust themselves; absent before the first request of the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryWindow {
    /// Small requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<usize>,
    /// Downloads of blobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) downloads: Option<usize>,
    /// Uploads of blobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uploads: Option<usize>,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryError {
    /// The request and its failure.
    pub(crate) text: String,
    /// Its time.
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    pub(crate) at: Timestamp,
}

/// Latency of the last answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryLatency {
    /// Median, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Number of answers.
    pub(crate) samples: usize,
}

/// A login, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct RegistryLogin {
    /// The registry, or a part of it.
    pub(crate) prefix: String,
    /// Kind of the login, and the user.
    #[cfg_attr(test, schema(value_type = String))]
    pub(crate) login: LoginIdentity,
    /// Place of the entry in the files; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
}

impl RegistryStats {
    /// Uses the limits of `session` from now on.
    pub(crate) fn set_session(&self, session: &Session) {
        *lock(&self.0.session) = Some(session.clone());
    }

    /// Uses the logins of the files.
    pub(crate) fn set_logins<'a>(&self, entries: impl Iterator<Item = &'a KeychainEntry>) {
        let logins = entries.map(|entry| {
            let prefix = entry.prefix.trim_end_matches('/');
            let registry = prefix.split('/').next().unwrap_or(prefix);
            let login = RegistryLogin {
                prefix: prefix.to_owned(),
                login: login::identity(&entry.login),
                origin: Some(entry.origin.clone()),
            };
            (Registry::parse(registry).ok(), login)
        });
        let mut logins: Vec<_> = logins.collect();
        logins.sort_by(|(_, a), (_, b)| a.prefix.cmp(&b.prefix));
        *lock(&self.0.logins) = logins;
    }

    /// Returns the state of each registry, by name.
    pub(crate) fn rows(&self) -> Vec<RegistryRow> {
        let session = lock(&self.0.session).clone();
        let now = Timestamp::now();
        let mut rows: Vec<RegistryRow> = {
            let registries = self.registries();
            let rows = registries.iter().map(|(name, stats)| stats.row(name, now));
            rows.collect()
        };
        let logins = lock(&self.0.logins);
        for row in &mut rows {
            let registry = Registry::parse(&row.registry).ok();
            if let (Some(session), Some(registry)) = (&session, &registry) {
                let limits = session.registry_limits(registry);
                row.window = RegistryWindow {
                    calls: limits.calls,
                    downloads: limits.downloads,
                    uploads: limits.uploads,
                };
                row.pulls_remaining = limits.pulls_remaining;
            }
            row.logins = logins_of(&row.registry, registry.as_ref(), &logins);
        }
        rows
    }

    fn record(&self, registry: &str, record: impl FnOnce(&mut Stats)) {
        let mut registries = self.registries();
        if let Some(stats) = registries.get_mut(registry) {
            record(stats);
        } else if registries.len() < NAMED {
            record(registries.entry(registry.to_owned()).or_default());
        }
    }

    fn registries(&self) -> MutexGuard<'_, BTreeMap<String, Stats>> {
        lock(&self.0.registries)
    }
}

/// Returns the logins of a registry. Without an entry for the whole registry, docker or podman may have a login.
fn logins_of(
    name: &str,
    registry: Option<&Registry>,
    all: &[(Option<Registry>, RegistryLogin)],
) -> Vec<RegistryLogin> {
    let own = all.iter().filter(|(of, _)| of.as_ref() == registry);
    let mut logins: Vec<RegistryLogin> = own.map(|(_, login)| login.clone()).collect();
    if logins.iter().all(|login| login.prefix.contains('/')) {
        let login = RegistryLogin {
            prefix: name.to_owned(),
            login: login::identity(&image_syncer_registry::auth::LoginChoice::Auto),
            origin: None,
        };
        logins.insert(0, login);
    }
    logins
}

impl Stats {
    fn row(&self, name: &str, now: Timestamp) -> RegistryRow {
        let pause = self.pause.filter(|(until, _)| *until > now);
        RegistryRow {
            registry: name.to_owned(),
            reachable: self.reachable,
            requests: self.requests,
            statuses: self.statuses.clone(),
            retries: self.retries,
            rate_limited: self.rate_limited,
            pauses: self.pauses,
            paused_seconds: self.paused.as_secs_f64(),
            pause: pause.map(|(until, why)| RegistryPause {
                until,
                why: match why {
                    PauseReason::RateLimit => "rate-limit",
                    PauseReason::Overload => "overload",
                },
            }),
            window: RegistryWindow::default(),
            pulls_remaining: None,
            last_answer: self.last_answer,
            last_error: self.last_error.clone(),
            latency: self.latency(),
            logins: Vec::new(),
        }
    }

    fn count(&mut self, status: Option<StatusCode>, elapsed: Duration, now: Timestamp) {
        self.requests += 1;
        let class = status_class(status.map(|status| status.as_u16()));
        *self.statuses.entry(class).or_default() += 1;
        self.reachable = Some(status.is_some());
        if status == Some(StatusCode::TOO_MANY_REQUESTS) {
            self.rate_limited += 1;
        }
        if status.is_some() {
            self.last_answer = Some(now);
            if self.latencies.len() >= SAMPLES {
                self.latencies.pop_front();
            }
            self.latencies.push_back(elapsed);
        }
    }

    fn fail(&mut self, text: &str, at: Timestamp) {
        let text = clean_text(text, LONGEST_ERROR);
        self.last_error = Some(RegistryError { text, at });
    }

    fn latency(&self) -> Option<RegistryLatency> {
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        Some(RegistryLatency {
            p50_ms: milliseconds(percentile(50)?),
            p99_ms: milliseconds(percentile(99)?),
            samples: sorted.len(),
        })
    }
}

/// Returns a time in milliseconds, with a resolution of a tenth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Returns true if an answer is a failure that its registry's operator may want to know about. A 401 begins a login,
/// and a 404 answers the question whether something exists.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        )
}

impl Observer for RegistryStats {
    fn request(&self, record: &RequestRecord<'_>) {
        let now = Timestamp::now();
        let failure = match record.status {
            None => Some(format!(
                "cannot {}: no answer from {}",
                record.action,
                record.host()
            )),
            Some(status) if is_failure(status) => {
                let host = record.host();
                Some(format!(
                    "cannot {}: {host} answered {status}",
                    record.action
                ))
            }
            Some(_) => None,
        };
        self.record(record.registry, |stats| {
            stats.count(record.status, record.elapsed, now);
            if let Some(failure) = failure {
                stats.fail(&failure, now);
            }
        });
    }

    fn retry(&self, registry: &str, error: &str, _tries: u32, _delay: Duration) {
        let now = Timestamp::now();
        self.record(registry, |stats| {
            stats.retries += 1;
            stats.fail(error, now);
        });
    }

    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        let until = SignedDuration::try_from(delay).ok();
        let until = until.and_then(|delay| Timestamp::now().checked_add(delay).ok());
        self.record(host, |stats| {
            stats.pauses += 1;
            stats.paused = stats.paused.saturating_add(delay);
            stats.pause = until.map(|until| (until, why));
        });
    }
}

impl RunObserver for RegistryStats {
    /// Adds the registries of the rules, and removes those without a rule or a request.
    fn rules(&self, rules: &Arc<RuleBook>) {
        let sets = rules.rules().iter().map(|rule| &rule.set);
        let named: HashSet<String> = sets
            .flat_map(|set| set.endpoints().collect::<Vec<_>>())
            .filter_map(|endpoint| {
                endpoint
                    .registry()
                    .map(|registry| registry.as_str().to_owned())
            })
            .collect();
        let mut registries = self.registries();
        registries.retain(|name, stats| stats.requests > 0 || named.contains(name));
        for name in named {
            if registries.len() < NAMED {
                registries.entry(name).or_default();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use image_syncer_registry::auth::{LoginChoice, Secret, SecretSource};

    use super::*;

    fn count(stats: &RegistryStats, registry: &str, status: u16, milliseconds: u64) {
        let status = StatusCode::from_u16(status).ok();
        let elapsed = Duration::from_millis(milliseconds);
        stats.record(registry, |stats| {
            stats.count(status, elapsed, Timestamp::UNIX_EPOCH);
        });
    }

    #[test]
    fn a_row_has_the_numbers_of_its_registry() {
        let stats = RegistryStats::default();
        for milliseconds in 1..=100 {
            count(&stats, "a.example", 200, milliseconds);
        }
        count(&stats, "a.example", 429, 1_000);
        count(&stats, "b.example", 0, 1);
        stats.retry(
            "b.example",
            "cannot fetch x:\u{1b}[31m refused",
            1,
            Duration::ZERO,
        );
        stats.pause(
            "a.example",
            Duration::from_secs(600),
            PauseReason::RateLimit,
        );
        let rows = stats.rows();
        let names: Vec<&str> = rows.iter().map(|row| &*row.registry).collect();
        assert_eq!(names, ["a.example", "b.example"]);
        let (a, b) = (&rows[0], &rows[1]);
        assert_eq!((a.requests, a.rate_limited, a.pauses), (101, 1, 1));
        assert_eq!(a.statuses, BTreeMap::from([("2xx", 100), ("4xx", 1)]));
        assert_eq!((a.reachable, b.reachable), (Some(true), Some(false)));
        let latency = a.latency.unwrap();
        assert_eq!(
            (latency.p50_ms, latency.p99_ms, latency.samples),
            (51.0, 100.0, 101)
        );
        let pause = a.pause.as_ref().unwrap();
        assert_eq!(pause.why, "rate-limit");
        let left = pause.until.duration_since(Timestamp::now()).as_secs();
        assert!((590..=600).contains(&left), "{left}");
        assert_eq!(b.latency, None);
        let error = b.last_error.as_ref().unwrap();
        assert!(!error.text.contains('\u{1b}'), "{}", error.text);
    }

    #[test]
    fn samples_and_registries_are_bounded() {
        let stats = RegistryStats::default();
        for number in 0..3 * SAMPLES as u64 {
            count(&stats, "a.example", 200, number);
        }
        for number in 0..2 * NAMED {
            count(&stats, &format!("{number}.example"), 200, 1);
        }
        let rows = stats.rows();
        assert_eq!(rows.len(), NAMED);
        let row = rows.iter().find(|row| row.registry == "a.example").unwrap();
        let latency = row.latency.unwrap();
        assert_eq!((latency.samples, latency.p50_ms), (SAMPLES, 2_499.0));
    }

    #[test]
    fn a_row_says_where_the_login_came_from_and_never_the_secret() {
        let stats = RegistryStats::default();
        let secret = || SecretSource::Text(Secret::new("hunter2"));
        let robot = LoginChoice::password("robot", secret());
        let entries = [
            KeychainEntry::new("a.example/team/", LoginChoice::Anonymous, "auth.yaml:5"),
            KeychainEntry::new("a.example", robot, "auth.yaml:3"),
        ];
        stats.set_logins(entries.iter());
        count(&stats, "a.example", 200, 1);
        count(&stats, "b.example", 200, 1);
        let logins: Vec<_> = stats.rows().into_iter().map(|row| row.logins).collect();
        let text = serde_json::to_string(&logins).unwrap();
        assert_eq!(
            text,
            r#"[[{"prefix":"a.example","login":"as robot","origin":"auth.yaml:3"},{"prefix":"a.example/team","login":"anonymous","origin":"auth.yaml:5"}],[{"prefix":"b.example","login":"the login of docker or podman, if there is one, else anonymous"}]]"#
        );
    }
}
