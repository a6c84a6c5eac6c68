//! Views for tests: everything that pages can show, with text from outside that must be escaped.

mod tags;

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::config::Times;
use jiff::Timestamp;

use crate::service::history::{
    DifferencePage, ImageOutcome, ImageRecord, PastTag, RepositoryTags, RuleTags, SourceTag,
    TagCounts, TagPage, TagRecord, TagState,
};
use crate::service::page::plot;
use crate::service::page::reader::{PageAccess, Reader, Theme};
use crate::service::page::text::Lang;
use crate::service::page::view::differences::{ImageView, RepositoryView, RuleDifferences};
use crate::service::page::view::rules::{RuleFilter, RuleRow, RulesView};
use crate::service::page::view::run::{
    FailureCard, ImageList, Pause, RunView, TransferLine, Waiting,
};
use crate::service::page::view::runs::RunsView;
use crate::service::registries::{
    RegistryError, RegistryLatency, RegistryLogin, RegistryPause, RegistryRow, RegistryWindow,
};
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};
use crate::service::throughput::Sample;

pub(super) use tags::{image, registries, repository, rule_differences, rule_tags, workers};

/// Text from outside that would be a script if it were not escaped.
pub(super) const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}";

/// Returns a time, in seconds after the first.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_796_076_000 + seconds).unwrap()
}

/// Returns a reader.
pub(super) fn reader(lang: Lang) -> Reader {
    Reader {
        lang,
        theme: Theme::Auto,
        access: PageAccess {
            may_sync: true,
            login: Some("ops".to_owned()),
            can_log_in: true,
        },
        here: "/rules?q=a".to_owned(),
        now: at(0),
    }
}

/// Returns a run.
pub(super) fn run(number: i64, rule: &str, state: RunState) -> Run {
    let id = RunId::from_number(at(-number * 3_600).as_millisecond() * 1_000);
    let ended = state.is_over().then(|| at(-number * 3_600 + 200));
    Run {
        id: id.unwrap(),
        rule: rule.into(),
        cause: [Cause::Schedule, Cause::Api, Cause::Hook, Cause::Start]
            .into_iter()
            .cycle()
            .nth(usize::try_from(number).unwrap())
            .unwrap(),
        purpose: if number % 5 == 4 {
            RunPurpose::Check
        } else {
            RunPurpose::Sync
        },
        scope: Scope::default(),
        state,
        requested: at(-number * 3_600 - 3),
        started: (state != RunState::Queued).then(|| at(-number * 3_600)),
        ended,
        counts: RunCounts {
            images: 1_240,
            copied: 31 + number as u64,
            unchanged: 1_000,
            skipped: 2,
            failed: if state == RunState::Failed { 12 } else { 0 },
            interrupted: if state == RunState::Interrupted { 4 } else { 0 },
            fetched_bytes: 9_345_678_901,
            sent_bytes: 12_345_678_901,
            saved_bytes: 45_678_901_234,
            ..RunCounts::default()
        },
        failure: (state == RunState::Failed)
            .then(|| format!("registry.example.com/library/nginx:1.27: denied (403) {HOSTILE}")),
    }
}

/// Returns the last runs of a rule.
fn last(rule: &str, failing: bool) -> Vec<Run> {
    let runs = (1..=30).map(|number| {
        let state = match number {
            1 | 2 if failing => RunState::Failed,
            11 => RunState::Interrupted,
            17 => RunState::Failed,
            23 => RunState::Cancelled,
            _ => RunState::Succeeded,
        };
        let mut run = run(number, rule, state);
        if number % 3 == 0 {
            run.counts.copied = 0;
        }
        run
    });
    runs.collect()
}

/// Returns a schedule in the form of the files.
fn schedule(written: &str) -> Times {
    let line = format!("{{name: a, from: \"a.example/**\", schedule: {written}}}");
    let book = crate::service::testing::rules(&[&line]);
    book.rules()[0].schedule.times.clone()
}

/// Returns a rule.
fn rule(name: &str, from: &[&str], to: &[&str]) -> RuleRow {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    RuleRow {
        name: name.into(),
        from: owned(from),
        to: owned(to),
        location: Some("images.yaml:12".to_owned()),
        active: Vec::new(),
        last: last(name, name.contains("base")),
        failing_since: name.contains("base").then(|| at(0)),
        next: Some(at(1_260)),
        schedule: schedule("{cron: [\"15 */4 * * *\", \"0 3 * * *\"], zone: Europe/Berlin}"),
    }
}

/// Returns the page of the rules.
pub(super) fn rules() -> RulesView {
    let mut rules = vec![
        rule(
            "base-images",
            &[
                "docker.io/library/nginx",
                "docker.io/library/redis",
                "docker.io/library/alpine",
            ],
            &["registry.example.com/mirror"],
        ),
        rule(
            "kubernetes",
            &["registry.k8s.io/{kube-*,pause,etcd}"],
            &["harbor.fra.example.com/k8s", "harbor.sgp.example.com/k8s"],
        ),
        rule(
            "monitoring",
            &["quay.io/prometheus/*"],
            &["registry.example.com/prometheus"],
        ),
        rule(
            "charts",
            &["ghcr.io/acme/charts/*"],
            &["registry.example.com/charts"],
        ),
        rule(HOSTILE, &[HOSTILE], &[HOSTILE]),
        rule(
            "release",
            &["build.example.com/team/app"],
            &["oci:/srv/layouts/app"],
        ),
    ];
    rules[1].active = vec![running(), run(0, "kubernetes", RunState::Queued)];
    rules[3].last.clear();
    rules[3].next = None;
    rules[3].schedule = Times::Never;
    rules[5].schedule = schedule("{every: 6h}");
    RulesView::new("", RuleFilter::All, 0, rules)
}

/// Returns one rule.
pub(super) fn one_rule() -> RuleRow {
    rules().rules.rows[0].clone()
}

fn running() -> Run {
    let mut run = run(0, "kubernetes", RunState::Running);
    run.started = Some(at(-190));
    run.counts.failed = 14;
    run.counts.copied = 320;
    run.counts.unchanged = 410;
    run
}

/// Returns a run in progress.
pub(super) fn live_run() -> RunView {
    let samples: Vec<Sample> = (1..=190).map(sample).collect();
    let mut run = running();
    run.scope.repository = Some("registry.k8s.io/kube-proxy".to_owned());
    run.scope.tags = (0..12).map(|minor| format!("v1.{minor}.0")).collect();
    run.scope.force = true;
    run.scope.verify = true;
    RunView {
        run,
        waiting: None,
        points: plot::points(&samples),
        speed: Some(61_234_567),
        left: Some(Duration::from_secs(135)),
        transfers: (0..6).map(transfer).collect(),
        in_flight: 14,
        pauses: vec![
            Pause {
                host: "docker.io".to_owned(),
                is_rate_limit: true,
                until: at(42),
            },
            Pause {
                host: "harbor.sgp.example.com".to_owned(),
                is_rate_limit: false,
                until: at(7),
            },
        ],
        failures: failures(),
        warnings: vec![format!(
            "the clock of harbor.sgp.example.com is 3 min late {HOSTILE}"
        )],
        images: images(),
        has_report: true,
    }
}

fn sample(second: u64) -> Sample {
    let angle = second as f64 / 14.0;
    let wave = |second: f64| (second * 52.0e6 - 360.0e6 * (angle.cos() - 1.0)) as u64;
    Sample {
        second,
        fetched_bytes: wave(second as f64) * 3 / 4,
        sent_bytes: wave(second as f64),
        ended_images: second * 4,
        uploads: 8,
    }
}

fn transfer(number: u64) -> TransferLine {
    let size = 640_000_000 / (number + 1);
    TransferLine {
        number,
        digest: format!(
            "sha256:{:064x}",
            0x3f5a_91c2_77de_u128 << 76 | u128::from(number * 7_919) << 80
        ),
        size: (number != 4).then_some(size),
        done: (number != 5).then_some(size / 7 * (6 - number)),
        source: "registry.k8s.io/kube-apiserver".to_owned(),
        destination: format!(
            "harbor.{}.example.com/k8s/kube-apiserver",
            ["fra", "sgp"][number as usize % 2]
        ),
    }
}

fn failures() -> Vec<FailureCard> {
    let example = |number: usize| {
        (
            format!("registry.k8s.io/etcd:3.5.{number}-0"),
            Some(format!("harbor.sgp.example.com/k8s/etcd:3.5.{number}-0")),
        )
    };
    vec![
        FailureCard {
            cause: "no-push-right".to_owned(),
            host: "harbor.sgp.example.com".to_owned(),
            number: 12,
            hint: Some(
                "give the account push access to the project k8s: Projects, k8s, Members"
                    .to_owned(),
            ),
            reason: format!("cannot push manifest k8s/etcd:3.5.1-0: denied (403) {HOSTILE}"),
            examples: (0..3).map(example).collect(),
        },
        FailureCard {
            cause: "not-found".to_owned(),
            host: "registry.k8s.io".to_owned(),
            number: 1,
            hint: None,
            reason: "cannot list the tags of registry.k8s.io/gone: not found (404)".to_owned(),
            examples: vec![(HOSTILE.to_owned(), None)],
        },
    ]
}

fn digest(number: usize) -> Digest {
    Digest::sha256(&[u8::try_from(number).unwrap()])
}

/// Returns images of a run.
pub(super) fn images() -> ImageList {
    let outcomes = [
        ImageOutcome::Copied,
        ImageOutcome::Failed,
        ImageOutcome::Different,
        ImageOutcome::Skipped,
        ImageOutcome::Interrupted,
    ];
    let rows = outcomes
        .iter()
        .enumerate()
        .map(|(number, outcome)| ImageRecord {
            number: number as i64,
            source: format!("registry.k8s.io/kube-proxy:v1.3{number}.0"),
            destination: (number != 3)
                .then(|| format!("harbor.fra.example.com/k8s/kube-proxy:v1.3{number}.0")),
            outcome: *outcome,
            digest: Some(digest(number)),
            replaced: None,
            bytes: if number == 0 { 81_234_567 } else { 0 },
            change: None,
            failure: None,
            reason: (number == 1 || number == 3).then(|| HOSTILE.to_owned()),
            hint: None,
            elapsed_ms: 812 + number as u64 * 2_000,
        });
    ImageList {
        rows: rows.collect(),
        next: Some("700".to_owned()),
        ..ImageList::default()
    }
}

/// Returns a run that waits.
pub(super) fn queued_run(waiting: Waiting) -> RunView {
    RunView {
        run: run(0, "kubernetes", RunState::Queued),
        waiting: Some(waiting),
        points: Vec::new(),
        speed: None,
        left: None,
        transfers: Vec::new(),
        in_flight: 0,
        pauses: Vec::new(),
        failures: Vec::new(),
        warnings: Vec::new(),
        images: ImageList::default(),
        has_report: false,
    }
}

/// Returns a run that ended.
pub(super) fn ended_run() -> RunView {
    RunView {
        run: run(2, "base-images", RunState::Failed),
        pauses: Vec::new(),
        transfers: Vec::new(),
        in_flight: 0,
        ..live_run()
    }
}

/// Returns the page of the runs.
pub(super) fn runs() -> RunsView {
    let states = [
        RunState::Queued,
        RunState::Running,
        RunState::Succeeded,
        RunState::Failed,
        RunState::Cancelled,
        RunState::Interrupted,
    ];
    let names: [Arc<str>; 2] = ["base-images".into(), HOSTILE.into()];
    let runs = states.iter().enumerate();
    RunsView {
        rule: String::new(),
        state: None,
        before: String::new(),
        runs: runs
            .map(|(number, state)| run(number as i64, &names[number % 2], *state))
            .collect(),
        has_older: true,
    }
}
