//! Last part of the report, which is known at the end of a run.

use std::collections::BTreeMap;

use image_syncer_sync::event::{RuleDescription, Volume};
use image_syncer_sync::report::{RuleSummary, Summary};
use jiff::Timestamp;
use serde::Serialize;

use crate::host_counts::HostCounts;
use crate::report::image::{FailureRecord, class};
use crate::report::seconds;
use crate::run_summary::{RunSummary, ShardRecord, Traffic};

/// Last fields of the document.
#[derive(Debug, Serialize)]
pub(super) struct ClosingFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardFields<'a>>,
    rules: Vec<RuleRecord<'a>>,
    hosts: Vec<HostRecord<'a>>,
    warnings: &'a [String],
    summary: SummaryRecord,
    finished: String,
    elapsed_seconds: f64,
    complete: bool,
    exit_code: u8,
}

/// Part of a run that several processes share, and its repositories.
#[derive(Debug, Serialize)]
struct ShardFields<'a> {
    #[serde(flatten)]
    shard: &'a ShardRecord,
    /// Repositories of which this part copies images.
    repositories: u64,
    /// Repositories that the rules select, in all parts together.
    selected_repositories: u64,
}

#[derive(Debug, Serialize)]
struct RuleRecord<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    empty: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureRecord<'a>>,
    /// Repositories of a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<RepositoryRecord>,
    copied: u64,
    unchanged: u64,
    planned: u64,
    skipped: u64,
    failed: u64,
    interrupted: u64,
}

/// Repositories of a pattern: those that it selected, and those whose images could not all be listed.
#[derive(Debug, Serialize)]
struct RepositoryRecord {
    found: u64,
    failed: u64,
    interrupted: u64,
}

#[derive(Debug, Serialize)]
struct HostRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    requests: u64,
    retries: u64,
    rate_limit_pauses: u64,
    rate_limit_seconds: f64,
    overload_pauses: u64,
    overload_seconds: f64,
}

#[derive(Debug, Serialize)]
struct SummaryRecord {
    rules: u64,
    failed_rules: u64,
    interrupted_rules: u64,
    failed_repositories: u64,
    interrupted_repositories: u64,
    images: u64,
    copied: u64,
    repaired: u64,
    updated: u64,
    unchanged: u64,
    verified: u64,
    recorded: u64,
    planned: u64,
    planned_new: u64,
    planned_moved: u64,
    planned_referrers: u64,
    planned_repairs: u64,
    planned_again: u64,
    skipped: u64,
    failed: u64,
    interrupted: u64,
    volume: Volume,
    referrers: u64,
    only_referrers: u64,
    contended: u64,
    losses: u64,
    fetched_bytes: u64,
    sent_bytes: u64,
    spared_bytes: u64,
    failures_by_class: BTreeMap<&'static str, u64>,
    warnings: u64,
}

impl<'a> ClosingFields<'a> {
    /// Creates the fields of a run that ended at `finished`.
    pub(super) fn new(ending: &RunSummary<'a>, finished: Timestamp) -> Self {
        let summary = ending.summary;
        Self {
            shard: ending.shard.map(|shard| ShardFields::new(shard, summary)),
            rules: rules(ending),
            hosts: ending.hosts.iter().map(HostRecord::new).collect(),
            warnings: &summary.warnings,
            summary: SummaryRecord::new(summary, ending.traffic),
            finished: finished.to_string(),
            elapsed_seconds: seconds(ending.elapsed),
            complete: !summary.was_interrupted() && summary.is_complete(),
            exit_code: ending.exit_code,
        }
    }
}

impl<'a> ShardFields<'a> {
    fn new(shard: &'a ShardRecord, summary: &Summary) -> Self {
        Self {
            shard,
            repositories: summary.shard.map_or(0, |shard| shard.own),
            selected_repositories: summary.shard.map_or(0, |shard| shard.selected),
        }
    }
}

/// Returns every rule, in the order of the files. A rule that was not started was interrupted.
fn rules<'a>(ending: &RunSummary<'a>) -> Vec<RuleRecord<'a>> {
    let begun = ending.summary.rules_by_id();
    let rules = ending.rules.iter();
    rules
        .map(|rule| RuleRecord::new(rule, begun.get(&rule.id).copied()))
        .collect()
}

impl<'a> RuleRecord<'a> {
    fn new(rule: &'a RuleDescription, begun: Option<&'a RuleSummary>) -> Self {
        let location = rule.location.as_ref();
        let failure = begun.and_then(|entry| entry.failure.as_ref());
        let found = begun.and_then(|entry| entry.discovered);
        let state = match failure {
            Some(failure) if !failure.interrupted => "failed",
            None if found.is_some() => "listed",
            None if rule.elsewhere => "elsewhere",
            _ => "interrupted",
        };
        let count = |of: fn(&RuleSummary) -> u64| begun.map_or(0, of);
        Self {
            name: &rule.name,
            file: location.map(|at| at.file.to_string_lossy().into_owned()),
            line: location.map(|at| at.line),
            state,
            found,
            empty: begun.and_then(|entry| entry.empty.as_deref()),
            failure: failure.map(FailureRecord::new),
            repositories: rule.is_pattern.then(|| RepositoryRecord {
                found: count(|entry| entry.repositories),
                failed: count(|entry| entry.failed_repositories),
                interrupted: count(|entry| entry.interrupted_repositories),
            }),
            copied: count(|entry| entry.copied),
            unchanged: count(|entry| entry.unchanged),
            planned: count(|entry| entry.planned),
            skipped: count(|entry| entry.skipped),
            failed: count(|entry| entry.failed),
            interrupted: count(|entry| entry.interrupted),
        }
    }
}

impl<'a> HostRecord<'a> {
    fn new((host, counts): &'a (Option<String>, HostCounts)) -> Self {
        Self {
            host: host.as_deref(),
            requests: counts.requests,
            retries: counts.retries,
            rate_limit_pauses: counts.rate_limit_pauses,
            rate_limit_seconds: seconds(counts.rate_limit_wait),
            overload_pauses: counts.overload_pauses,
            overload_seconds: seconds(counts.overload_wait),
        }
    }
}

impl SummaryRecord {
    fn new(summary: &Summary, traffic: Traffic) -> Self {
        let by_class = summary.by_class.iter();
        Self {
            rules: summary.rules,
            failed_rules: summary.failed_rules,
            interrupted_rules: summary.interrupted_rules,
            failed_repositories: summary.failed_repositories,
            interrupted_repositories: summary.interrupted_repositories,
            images: summary.finished(),
            copied: summary.copied,
            repaired: summary.repaired,
            updated: summary.updated,
            unchanged: summary.unchanged,
            verified: summary.verified,
            recorded: summary.recorded,
            planned: summary.planned,
            planned_new: summary.planned_new,
            planned_moved: summary.planned_moved,
            planned_referrers: summary.planned_referrers,
            planned_repairs: summary.planned_repairs,
            planned_again: summary.planned_again,
            skipped: summary.skipped,
            failed: summary.failed,
            interrupted: summary.interrupted,
            volume: summary.volume,
            referrers: summary.referrers,
            only_referrers: summary.only_referrers,
            contended: summary.contended,
            losses: summary.losses,
            fetched_bytes: traffic.fetched,
            sent_bytes: traffic.sent,
            spared_bytes: traffic.saved_source_bytes(),
            failures_by_class: by_class.map(|(of, number)| (class(*of), *number)).collect(),
            warnings: summary.warnings_given,
        }
    }
}
