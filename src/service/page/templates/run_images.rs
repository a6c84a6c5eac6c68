//! The images of a run that were not unchanged, page by page.

use maud::{Markup, html};

use crate::service::page::format::{bytes, link, short_digest, time};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;
use crate::service::page::text::Texts;
use crate::service::page::view::run::{ImageList, ImageRow};
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
                            th.number scope="col" { (t.size) }
                            th scope="col" { (t.time) }
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

fn row(t: &Texts, image: &ImageRow) -> Markup {
    html! {
        tr data-row {
            th scope="row" { (parts::outcome(t, &image.outcome)) }
            td data-label=(t.image) {
                div.route {
                    (parts::reference(&image.source, ""))
                    @if let Some(destination) = &image.destination {
                        span.arrow { "→" }
                        a.plain href=(link("/image", &[("destination", destination)])) { (parts::reference(destination, "")) }
                    }
                }
                @if let Some(why) = &image.why { div.reason { (parts::foreign(why)) } }
            }
            td data-label=(t.digest) {
                @if let Some(digest) = &image.digest { code title=(digest) translate="no" { (short_digest(digest)) } } @else { "–" }
            }
            td.number data-label=(t.size) { @if let Some(number) = image.bytes { (bytes(number)) } @else { "–" } }
            td data-label=(t.time) { @if let Some(at) = image.at { (time(at)) } @else { "–" } }
        }
    }
}
