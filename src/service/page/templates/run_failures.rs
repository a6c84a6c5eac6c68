//! The failures of a run: one card for each remedy.

use maud::{Markup, html};

use crate::service::page::format::{self, grouped, link};
use crate::service::page::icons::Icon;
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;
use crate::service::page::view::run::{FailureCard, RunView};

/// Returns the section; nothing if nothing failed.
pub(crate) fn section(reader: &Reader, view: &RunView) -> Markup {
    let t = reader.texts();
    let named: u64 = view.failures.iter().map(|card| card.number).sum();
    let failed = link(&parts::run_path(&view.run), &[("outcome", "failed")]);
    let all = format!("{failed}#images-title");
    let more = view.run.counts.failed.saturating_sub(named);
    html! {
        @if !view.failures.is_empty() {
            section.failures aria-labelledby="failures" {
                h2 #failures { (t.failures_by_cause) " " span.badge.fail { (grouped(view.run.counts.failed)) } }
                @for card in &view.failures { (failure(reader, card)) }
                @if more > 0 { p { a href=(all) { (format::fill(t.and_more, &[&grouped(more)])) } } }
            }
        }
    }
}

fn failure(reader: &Reader, card: &FailureCard) -> Markup {
    let t = reader.texts();
    let more = card.number.saturating_sub(card.examples.len() as u64);
    html! {
        article.failure {
            h3 {
                (Icon::Cross.svg())
                code translate="no" { (card.cause) }
                @if !card.host.is_empty() { " " (t.at_host) " " (parts::foreign(&card.host)) }
                span.badge.fail { (format::counted(t.one_failure, t.many_failures, card.number)) }
            }
            p.reason { (parts::foreign(&card.reason)) }
            @if let Some(hint) = &card.hint {
                p.hint { b { (t.what_to_do) } " " span lang="en" translate="no" { (format::visible(hint)) } }
            }
            ul.examples {
                @for (source, destination) in &card.examples {
                    li {
                        (parts::reference(source, ""))
                        @if let Some(destination) = destination { span.arrow { "→" } (parts::reference(destination, "")) }
                    }
                }
                @if more > 0 { li.soft { (format::fill(t.and_more, &[&grouped(more)])) } }
            }
        }
    }
}
