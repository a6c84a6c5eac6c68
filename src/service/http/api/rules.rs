//! Rules.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::service::http::api::Problem;
use crate::service::rule_book::ServiceRule;
use crate::service::run::Run;
use crate::service::schedule::Schedules;
use crate::service::state::ServiceState;

/// Rules of the files.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::service::http) struct RuleList {
    /// The rules, in the order of the files.
    rules: Vec<RuleEntry>,
}

/// A rule with its runs.
#[derive(Serialize, utoipa::ToSchema)]
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
    /// Its run that waits or is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Run>,
}

/// Selection of rules.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::service::http) struct RuleQuery {
    /// Text in the name, a source or a destination; upper and lower case are the same.
    q: Option<String>,
}

/// Lists the rules.
#[utoipa::path(
    get, path = "/api/v1/rules", tag = "rules", params(RuleQuery),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the rules", body = RuleList),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::service::http) async fn list(
    State(state): State<Arc<ServiceState>>,
    Query(query): Query<RuleQuery>,
) -> Json<RuleList> {
    let text = query.q.unwrap_or_default().to_lowercase();
    let facts = RuleFacts::read(&state);
    let book = state.runs.rules();
    let rules = book.rules().iter().filter(|rule| matches(rule, &text));
    Json(RuleList {
        rules: rules.map(|rule| facts.entry(rule)).collect(),
    })
}

/// Shows a rule.
#[utoipa::path(
    get, path = "/api/v1/rules/{name}", tag = "rules",
    params(("name" = String, Path, description = "name of the rule, percent-encoded")),
    security((), ("token" = ["read"]), ("cookie" = ["read"])),
    responses(
        (status = 200, description = "the rule", body = RuleEntry),
        (status = 404, description = "there is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "an error", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(in crate::service::http) async fn show(
    State(state): State<Arc<ServiceState>>,
    Path(name): Path<String>,
) -> Result<Json<RuleEntry>, Problem> {
    let book = state.runs.rules();
    let rule = book.get(&name);
    let rule =
        rule.ok_or_else(|| Problem::not_found(format!("there is no rule called `{name}`")))?;
    Ok(Json(RuleFacts::read(&state).entry(rule)))
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
    current: HashMap<Arc<str>, Run>,
}

impl RuleFacts {
    fn read(state: &ServiceState) -> Self {
        let unfinished = state.runs.unfinished().into_iter();
        Self {
            schedules: state.schedules.clone(),
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
            current: self.current.get(&rule.name).cloned(),
        }
    }
}
