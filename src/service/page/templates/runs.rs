//! The page of the runs.

use maud::{Markup, html};
use strum::VariantArray as _;

use crate::service::page::format::{between, link, time_and_distance};
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;
use crate::service::page::view::runs::RunsView;
use crate::service::run::{Run, RunState};

/// Returns the page.
pub(crate) fn page(reader: &Reader, view: &RunsView) -> Page {
    let t = reader.texts();
    let content = html! {
        div.head { h1 { (t.runs) } }
        form.filter role="search" method="get" action="/runs" data-filter="runs" {
            label.grow {
                span.sr { (t.rule) }
                input type="search" name="rule" value=(view.rule) placeholder=(t.name_of_rule) autocomplete="off" data-search;
            }
            label {
                span.sr { (t.state) }
                select name="state" {
                    option value="" { (t.all_states) }
                    @for state in RunState::VARIANTS {
                        option value=(state) selected[view.state == Some(*state)] { (parts::state_word(t, *state)) }
                    }
                }
            }
            button type="submit" { (t.filter) }
        }
        (part(reader, view))
    };
    Page {
        place: Place::Runs,
        title: t.runs.to_owned(),
        is_live: view.before.is_empty(),
        content,
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, view: &RunsView) -> Markup {
    let t = reader.texts();
    let state = view
        .state
        .map(|state| state.to_string())
        .unwrap_or_default();
    let fields = |before, part| {
        link(
            "/runs",
            &[
                ("rule", &view.rule),
                ("state", &state),
                ("before", before),
                ("part", part),
            ],
        )
    };
    let live = view.before.is_empty().then(|| fields("", "runs"));
    let last = view
        .runs
        .last()
        .map(|run| run.id.to_string())
        .unwrap_or_default();
    html! {
        div #runs data-live=[live] data-on="run progress" data-every="2000" {
            @if view.runs.is_empty() {
                (parts::empty(if view.rule.is_empty() && view.state.is_none() { t.no_runs } else { t.nothing_found }))
            } @else {
                (table(reader, &view.runs, true))
                @if !view.before.is_empty() || view.has_older {
                    nav.pager aria-label=(t.pages) {
                        @if !view.before.is_empty() { a.button href=(fields("", "")) { "⇤ " (t.newest) } }
                        @if view.has_older { a.button rel="next" href=(fields(&last, "")) { (t.older) " →" } }
                    }
                }
            }
        }
    }
}

/// Returns runs as a table.
pub(crate) fn table(reader: &Reader, runs: &[Run], with_rule: bool) -> Markup {
    let t = reader.texts();
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { (t.state) }
                    @if with_rule { th scope="col" { (t.rule) } }
                    th scope="col" { (t.began) }
                    th scope="col" { (t.duration) }
                    th scope="col" { (t.images) }
                    th.number scope="col" { (t.sent) }
                    th scope="col" { (t.cause) }
                }
            }
            tbody { @for run in runs { (row(reader, run, with_rule)) } }
        }
    }
}

fn row(reader: &Reader, run: &Run, with_rule: bool) -> Markup {
    let t = reader.texts();
    let end = run.ended.unwrap_or(reader.now);
    html! {
        tr #(format!("run-{}", run.id)) data-row {
            th scope="row" { a.name.plain href=(parts::run_path(run)) { (parts::state(t, run.state)) } }
            @if with_rule {
                td data-label=(t.rule) { a href=(parts::rule_path(&run.rule)) { (parts::foreign(&run.rule)) } }
            }
            td data-label=(t.began) { (time_and_distance(reader, run.started.unwrap_or(run.requested))) }
            td data-label=(t.duration) {
                @if let Some(from) = run.started { span.nowrap { (between(t, from, end)) } } @else { "–" }
            }
            td data-label=(t.images) {
                (parts::counts(t, run))
                @if let Some(failure) = &run.failure { div.reason.clip { (parts::foreign(failure)) } }
            }
            td.number data-label=(t.sent) { (parts::volume(t, run)) }
            td data-label=(t.cause) {
                (parts::cause_word(t, run.cause))
                @if run.purpose != crate::service::run::RunPurpose::Sync { (t.comma) (parts::purpose_word(t, run.purpose)) }
            }
        }
    }
}
