//! The page of a rule.

use maud::{Markup, html};

use crate::service::page::format::{link, schedule, time_and_distance};
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::{parts, runs};
use crate::service::page::view::rules::RuleRow;
use crate::service::run::Run;

/// Returns the page.
pub(crate) fn page(reader: &Reader, view: &RuleRow) -> Page {
    let t = reader.texts();
    let content = html! {
        nav.crumbs aria-label=(t.path) { a href="/rules" { (t.rules) } }
        div.head {
            h1 { (parts::foreign(&view.name)) }
            (parts::rule_actions(reader, &view.name))
        }
        section.card {
            dl.pairs {
                dt { (t.sources) } dd { (names(&view.from)) }
                dt { (t.destinations) } dd { (names(&view.to)) }
                dt { (t.schedule) }
                dd { @if let Some(schedule) = schedule(t, &view.schedule) { (schedule) } @else { (t.on_request) } }
                @if let Some(location) = &view.location { dt { (t.file) } dd { (parts::foreign(location)) } }
            }
        }
        (part(reader, view))
    };
    Page {
        place: Place::Rules,
        title: view.name.to_string(),
        is_live: true,
        content,
    }
}

/// Maximum number of sources, and of destinations.
const NAMES: usize = 100;

fn names(names: &[String]) -> Markup {
    html! {
        ul.plain-list {
            @for name in names.iter().take(NAMES) { li { (parts::reference(name, "")) } }
            @if names.len() > NAMES { li { "…" } }
        }
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, view: &RuleRow) -> Markup {
    let t = reader.texts();
    let runs: Vec<Run> = view.active.iter().chain(&view.last).cloned().collect();
    let path = link(&parts::rule_path(&view.name), &[("part", "rule")]);
    html! {
        section #rule data-live=(path) data-on="run progress" data-every="2000" aria-labelledby="recent" {
            div.head {
                h2 #recent { (t.recent_runs) }
                (parts::strip(t, &view.last))
                @if let Some(at) = view.next { span { (t.next_run) " " (time_and_distance(reader, at)) } }
            }
            @if runs.is_empty() { (parts::empty(t.no_runs)) }
            @else {
                (runs::table(reader, &runs, false))
                nav.pager {
                    a.button href=(link("/runs", &[("rule", &view.name)])) { (t.all_runs) }
                    a.button href=(link("/differences", &[("rule", &view.name)])) { (t.differences) }
                }
            }
        }
    }
}
