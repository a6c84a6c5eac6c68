//! The images of a run that were not unchanged, page by page.

use jiff::SignedDuration;
use maud::{Markup, html};

use crate::service::history::ImageRecord;
use crate::service::page::format::{bytes, duration, link, short_digest};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;
use crate::service::page::text::Texts;
use crate::service::page::view::run::ImageList;
use crate::service::run::{Run, RunState};

/// Outcomes of the filter.
const OUTCOMES: [&str; 5] = ["failed", "copied", "different", "skipped", "interrupted"];

/// Returns the section.
pub(crate) fn section(reader: &Reader, run: &Run, images: &ImageList) -> Markup {
    let t = reader.texts();
    let path = parts::run_path(run);
    html! {
        @if run.state != RunState::Queued {
            section aria-labelledby="images-title" {
                h2 #images-title { (t.images_of_run) }
                p.soft.small { (t.without_unchanged) }
                form.filter method="get" action=(path) data-filter="images" {
                    label.grow {
                        span.sr { (t.filter) }
                        input type="search" name="q" value=(images.q) placeholder=(t.filter_images) autocomplete="off" data-search;
                    }
                    label {
                        span.sr { (t.outcome) }
                        select name="outcome" {
                            option value="" { (t.all_outcomes) }
                            @for outcome in OUTCOMES {
                                option value=(outcome) selected[images.outcome == outcome] { (parts::outcome_word(t, outcome)) }
                            }
                        }
                    }
                    button type="submit" { (t.filter) }
                }
                (part(reader, run, images))
            }
        }
    }
}

/// Returns the part of the page that follows the events: the first page of a run in progress.
pub(crate) fn part(reader: &Reader, run: &Run, images: &ImageList) -> Markup {
    let t = reader.texts();
    let path = parts::run_path(run);
    let to = |after: &str, part: &str| {
        link(
            &path,
            &[
                ("q", &images.q),
                ("outcome", &images.outcome),
                ("after", after),
                ("part", part),
            ],
        )
    };
    let is_live = images.after.is_empty() && !run.state.is_over();
    let live = is_live.then(|| to("", "images"));
    html! {
        div #images data-live=[live] data-on="run progress" data-run=(run.id) data-every="3000" {
            @if images.rows.is_empty() {
                (parts::empty(if images.q.is_empty() && images.outcome.is_empty() { t.no_images } else { t.nothing_found }))
            } @else {
                table.cards.images {
                    thead {
                        tr {
                            th scope="col" { (t.outcome) }
                            th scope="col" { (t.image) }
                            th scope="col" { (t.digest) }
                            th.number scope="col" { (t.sent) }
                            th.number scope="col" { (t.duration) }
                        }
                    }
                    tbody { @for image in &images.rows { (row(t, image)) } }
                }
                @if !images.after.is_empty() || images.next.is_some() {
                    nav.pager aria-label=(t.pages) {
                        @if !images.after.is_empty() { a.button href=(format!("{}#images-title", to("", ""))) { "⇤ " (t.first_page) } }
                        @if let Some(next) = &images.next {
                            a.button rel="next" href=(format!("{}#images-title", to(next, ""))) { (t.next) " →" }
                        }
                    }
                }
            }
        }
    }
}

fn row(t: &Texts, image: &ImageRecord) -> Markup {
    let digest = image.digest.as_ref().map(ToString::to_string);
    let elapsed = SignedDuration::from_millis(i64::try_from(image.elapsed_ms).unwrap_or(i64::MAX));
    html! {
        tr data-row {
            th scope="row" { (parts::outcome(t, &image.outcome.to_string())) }
            td data-label=(t.image) {
                div.route {
                    (parts::reference(&image.source, ""))
                    @if let Some(destination) = &image.destination {
                        span.arrow { "→" }
                        a.plain href=(link("/image", &[("q", destination)])) { (parts::reference(destination, "")) }
                    }
                }
                @if let Some(why) = &image.reason { div.reason { (parts::foreign(why)) } }
            }
            td data-label=(t.digest) {
                @if let Some(digest) = &digest { code title=(digest) translate="no" { (short_digest(digest)) } } @else { "–" }
            }
            td.number data-label=(t.sent) { @if image.bytes > 0 { (bytes(image.bytes)) } @else { "–" } }
            td.number data-label=(t.duration) { span.nowrap { (duration(t, elapsed)) } }
        }
    }
}
