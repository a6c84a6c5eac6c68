//! The page of an image: where a tag or a digest is and was, since when, and by which run.

use maud::{Markup, html};

use crate::service::history::{PastTag, TagRecord};
use crate::service::page::format::{link, time_and_distance};
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::differences::{digest, search, tag_state};
use crate::service::page::templates::parts;
use crate::service::page::view::differences::ImageView;
use crate::service::run::RunId;

/// Returns the page.
pub(crate) fn page(reader: &Reader, view: &ImageView) -> Page {
    let t = reader.texts();
    let content = html! {
        nav.crumbs aria-label=(t.path) { a href="/differences" { (t.differences) } }
        div.head { h1 { @if view.q.is_empty() { (t.where_is) } @else { (parts::foreign(&view.q)) } } }
        (search(t, &view.q))
        @if view.tags.is_empty() && view.past.is_empty() {
            (parts::empty(if view.q.is_empty() { t.where_is_help } else { t.image_unknown }))
        }
        @if !view.tags.is_empty() { (now(reader, &view.tags)) }
        @if !view.past.is_empty() { (before(reader, &view.past)) }
    };
    Page {
        place: Place::Differences,
        title: if view.q.is_empty() {
            t.image.to_owned()
        } else {
            view.q.clone()
        },
        is_live: false,
        content,
    }
}

fn now(reader: &Reader, tags: &[TagRecord]) -> Markup {
    let t = reader.texts();
    html! {
        section aria-labelledby="now" {
            h2 #now { (t.there_now) }
            table.cards {
                thead {
                    tr {
                        th scope="col" { (t.at_destination) }
                        th scope="col" { (t.digest) }
                        th scope="col" { (t.state) }
                        th scope="col" { (t.at_source) }
                        th scope="col" { (t.since) }
                        th scope="col" { (t.run) }
                    }
                }
                tbody {
                    @for tag in tags {
                        tr data-row {
                            th scope="row" { a.plain href=(link("/image", &[("q", &tag.destination)])) { (parts::reference(&tag.destination, "")) } }
                            td data-label=(t.digest) { (digest(tag.digest.as_ref(), t)) }
                            td data-label=(t.state) { (tag_state(t, tag.state)) }
                            td data-label=(t.at_source) { a.plain href=(link("/image", &[("q", &tag.source)])) { (parts::reference(&tag.source, "")) } }
                            td data-label=(t.since) { (time_and_distance(reader, tag.at)) }
                            td data-label=(t.run) { (by(reader, tag.run, tag.copied)) }
                        }
                    }
                }
            }
        }
    }
}

fn before(reader: &Reader, past: &[PastTag]) -> Markup {
    let t = reader.texts();
    html! {
        section aria-labelledby="before" {
            h2 #before { (t.there_before) }
            table.cards {
                thead {
                    tr {
                        th scope="col" { (t.at_destination) }
                        th scope="col" { (t.digest) }
                        th scope="col" { (t.from_time) }
                        th scope="col" { (t.until) }
                        th scope="col" { (t.run) }
                    }
                }
                tbody {
                    @for tag in past {
                        tr data-row {
                            th scope="row" { (parts::reference(&tag.destination, "")) }
                            td data-label=(t.digest) { (digest(Some(&tag.digest), t)) }
                            td data-label=(t.from_time) { (time_and_distance(reader, tag.at)) }
                            td data-label=(t.until) { (time_and_distance(reader, tag.until)) }
                            td data-label=(t.run) { (by(reader, tag.run, tag.copied)) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the run that copied or found an image.
fn by(reader: &Reader, run: RunId, copied: bool) -> Markup {
    let t = reader.texts();
    html! {
        (if copied { t.copied_by } else { t.found_by }) " "
        a href=(format!("/runs/{run}")) { code translate="no" { (run) } }
    }
}
