//! Rules.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::service::history::RunFilter;
use crate::service::http::api::{Problem, flush};
use crate::service::rule_book::ServiceRule;
use crate::service::rule_health::RuleHealths;
use crate::service::run::Run;
use crate::service::schedule::Schedules;
use crate::service::state::ServiceState;

/// Number of the newest runs of a rule among which is one that is over: at most one of each purpose waits, and one is in
/// progress.
const LOOKED_AT: usize = 4;

/// Rules of the files.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct RuleList {
    /// The rules, in the order of the files.
    rules: Vec<RuleEntry>,
}

/// A rule with its runs.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::service::http) struct RuleEntry {
    /// Its name, which no other rule has.
    name: Arc<str>,
    /// Its source repositories and patterns.
    sources: Vec<String>,
    /// Its destination repositories and templates.
    destinations: Vec<String>,
    /// Its schedule, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// Time of its next run by the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
    /// Time since which it fails: the end of the first run that failed, until what failed is copied. A part that a person
    /// named never makes it fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    /// Its run that waits or is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Run>,
    /// Its last run that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Run>,
}

/// Selection of rules.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(in crate::service::http) struct RuleQuery {
    /// Text in the name, a source or a destination; upper and lower case are the same.
    q: Option<String>,
}

/// Lists the rules.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/rules", tag = "rules", params(RuleQuery),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the rules", body = RuleList),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn list(
    State(state): State<Arc<ServiceState>>,
    Query(query): Query<RuleQuery>,
) -> Result<Json<RuleList>, Problem> {
    let text = query.q.unwrap_or_default().to_lowercase();
    flush(&state).await;
    let last = state.history.last_runs(LOOKED_AT).await?;
    let facts = RuleFacts::new(&state, last);
    let book = state.runs.rules();
    let rules = book.rules().iter().filter(|rule| matches(rule, &text));
    Ok(Json(RuleList {
        rules: rules.map(|rule| facts.entry(rule)).collect(),
    }))
}

/// Shows a rule.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/v1/rules/{name}", tag = "rules",
    params(("name" = String, Path, description = "name of the rule, percent-encoded")),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the rule", body = RuleEntry),
        (status = 404, description = "there is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
))]
pub(in crate::service::http) async fn show(
    State(state): State<Arc<ServiceState>>,
    Path(name): Path<String>,
) -> Result<Json<RuleEntry>, Problem> {
    let book = state.runs.rules();
    let rule = book.get(&name);
    let rule =
        rule.ok_or_else(|| Problem::not_found(format!("there is no rule called `{name}`")))?;
    flush(&state).await;
    let last = state.history.runs(RunFilter {
        rules: vec![Arc::clone(&rule.name)],
        limit: LOOKED_AT,
        ..RunFilter::default()
    });
    let last = HashMap::from([(Arc::clone(&rule.name), last.await?)]);
    Ok(Json(RuleFacts::new(&state, last).entry(rule)))
}

fn matches(rule: &ServiceRule, text: &str) -> bool {
    let mut texts = std::iter::once(&*rule.name)
        .chain(rule.sources())
        .chain(rule.destinations());
    texts.any(|own| own.to_lowercase().contains(text))
}

/// Facts about the runs of all rules.
struct RuleFacts {
    schedules: Schedules,
    health: RuleHealths,
    current: HashMap<Arc<str>, Run>,
    /// The newest runs of each rule.
    last: HashMap<Arc<str>, Vec<Run>>,
}

impl RuleFacts {
    fn new(state: &ServiceState, last: HashMap<Arc<str>, Vec<Run>>) -> Self {
        let unfinished = state.runs.unfinished().into_iter();
        Self {
            schedules: state.schedules.clone(),
            health: state.rule_health.clone(),
            last,
            // The oldest one of a rule is in progress, or is the next one.
            current: unfinished
                .rev()
                .map(|run| (Arc::clone(&run.rule), run))
                .collect(),
        }
    }

    fn entry(&self, rule: &ServiceRule) -> RuleEntry {
        let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        RuleEntry {
            name: Arc::clone(&rule.name),
            sources: texts(rule.sources()),
            destinations: texts(rule.destinations()),
            schedule: rule.schedule_text(),
            next: self.schedules.next(&rule.name),
            failing_since: self.health.failing_since(&rule.name),
            current: self.current.get(&rule.name).cloned(),
            last: self.last(&rule.name),
        }
    }

    fn last(&self, rule: &str) -> Option<Run> {
        let mut runs = self.last.get(rule)?.iter();
        runs.find(|run| run.state.is_over()).cloned()
    }
}
