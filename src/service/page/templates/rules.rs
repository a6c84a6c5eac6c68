//! The page of the rules.

use maud::{Markup, html};

use crate::service::page::format::{self, between, grouped, link, moment};
use crate::service::page::icons::Icon;
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::{parts, reload};
use crate::service::page::text::Texts;
use crate::service::page::view::rules::{RuleFilter, RuleRow, RulesView};
use crate::service::run::{Run, RunState};

/// Returns the page.
pub(crate) fn page(reader: &Reader, view: &RulesView) -> Page {
    let t = reader.texts();
    let content = html! {
        div.head { h1 { (t.rules) } div.actions { (reload::button(reader)) } }
        div #reload role="status" {}
        form.filter role="search" method="get" action="/rules" data-filter="rules" {
            label.grow {
                span.sr { (t.filter) }
                input type="search" name="q" value=(view.q) placeholder=(t.filter_rules) autocomplete="off" data-search;
            }
            input type="hidden" name="state" value=(view.filter);
            button type="submit" { (t.filter) }
        }
        (part(reader, view))
    };
    Page {
        place: Place::Rules,
        title: t.rules.to_owned(),
        is_live: true,
        content,
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, view: &RulesView) -> Markup {
    let t = reader.texts();
    let (state, number) = (view.filter.to_string(), view.rules.number.to_string());
    let fields = [
        ("q", &*view.q),
        ("state", &*state),
        ("page", &*number),
        ("part", "rules"),
    ];
    html! {
        div #rules data-live=(link("/rules", &fields)) data-on="run progress" data-every="2000" {
            @if let Some(mistakes) = &view.mistakes { (reload::result(t, mistakes)) }
            (chips(t, view))
            @if view.rules.rows.is_empty() {
                (parts::empty(if view.q.is_empty() && view.filter == RuleFilter::All { t.no_rules } else { t.nothing_found }))
            } @else {
                table.cards.rules {
                    thead {
                        tr {
                            th scope="col" { (t.rule) }
                            th scope="col" { (t.last_run) }
                            th scope="col" { (t.images) }
                            th scope="col" { (t.next_run) }
                            th scope="col" { (t.last_thirty) }
                            th scope="col" { span.sr { (t.actions) } }
                        }
                    }
                    tbody { @for rule in &view.rules.rows { (row(reader, rule)) } }
                }
                (parts::pager(t, &view.rules, |page| {
                    let page = page.to_string();
                    link("/rules", &[("q", &*view.q), ("state", &*state), ("page", &page)])
                }))
            }
        }
    }
}

/// Returns the states of rules with their numbers, as links that filter.
fn chips(t: &Texts, view: &RulesView) -> Markup {
    html! {
        nav.chips aria-label=(t.state) {
            @for (filter, number) in &view.numbers {
                @let state = filter.to_string();
                @let state = if *filter == RuleFilter::All { "" } else { &*state };
                a.chip href=(link("/rules", &[("q", &view.q), ("state", state)]))
                    aria-current=[(*filter == view.filter).then_some("true")] {
                    (filter_word(t, *filter)) " " b { (grouped(*number as u64)) }
                }
            }
        }
    }
}

fn filter_word(t: &Texts, filter: RuleFilter) -> &'static str {
    match filter {
        RuleFilter::All => t.all,
        RuleFilter::Failing => t.failing,
        RuleFilter::Active => t.active,
        RuleFilter::Never => t.never_ran,
    }
}

fn row(reader: &Reader, rule: &RuleRow) -> Markup {
    let t = reader.texts();
    let active = rule.active.first();
    let last = rule.last.first();
    html! {
        tr data-row {
            th scope="row" {
                a.name href=(parts::rule_path(&rule.name)) { (parts::foreign(&rule.name)) }
                (parts::route(&rule.from, &rule.to, t))
            }
            td data-label=(t.last_run) {
                @if let Some(run) = active { (in_progress(reader, run)) }
                @else if let Some(run) = last { (ended(reader, run)) }
                @else { (parts::status("soft", Icon::Circle, t.never_ran)) }
                // What failed may be another part than that of the last run.
                @if let Some(at) = rule.failing_since.filter(|_| last.is_none_or(|run| run.state != RunState::Failed)) {
                    div.small { span.fail { (t.failing) } " " (moment(reader, at)) }
                }
            }
            td data-label=(t.images) {
                @if let Some(run) = active.filter(|run| run.state == RunState::Running) { (progress(t, run)) }
                @else if let Some(run) = last { (parts::counts(t, run)) div.soft.small { (parts::volume(t, run)) } }
                @else { span.soft { "–" } }
            }
            td data-label=(t.next_run) {
                @if let Some(at) = rule.next { (moment(reader, at)) }
                @else { span.soft { (t.on_request) } }
                @if let Some(schedule) = format::schedule(t, &rule.schedule) {
                    div.schedule.soft.small { (schedule) }
                }
            }
            td data-label=(t.last_thirty) {
                a.strip-link href=(link("/runs", &[("rule", &rule.name)])) { (parts::strip(t, &rule.last)) }
            }
            td.act { (parts::rule_actions(reader, &rule.name)) }
        }
    }
}

fn in_progress(reader: &Reader, run: &Run) -> Markup {
    let t = reader.texts();
    html! {
        a.plain href=(parts::run_path(run)) { (parts::state(t, run.state)) }
        div.soft.small {
            (parts::purpose_word(t, run.purpose)) (t.comma)
            (moment(reader, run.started.unwrap_or(run.requested)))
        }
    }
}

fn ended(reader: &Reader, run: &Run) -> Markup {
    let t = reader.texts();
    html! {
        a.plain href=(parts::run_path(run)) { (parts::state(t, run.state)) }
        div.soft.small {
            (moment(reader, run.ended.unwrap_or(run.requested)))
            @if let (Some(from), Some(to)) = (run.started, run.ended) {
                (t.comma) span.nowrap { (format::fill(t.took, &[&between(t, from, to)])) }
            }
        }
        @if let Some(failure) = &run.failure { div.reason.clip { (parts::foreign(failure)) } }
    }
}

fn progress(t: &Texts, run: &Run) -> Markup {
    html! {
        (parts::images_bar(t, run))
        div.small {
            (format::fill(t.of, &[&grouped(run.counts.ended()), &grouped(run.counts.images)]))
            @if run.counts.failed > 0 { " · " span.fail { (grouped(run.counts.failed)) " " (t.failed) } }
            span.soft { " · " (format::bytes(run.counts.sent_bytes)) }
        }
    }
}
