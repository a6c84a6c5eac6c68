//! The reload of the files: its button, and its result.

use std::sync::Arc;

use maud::{Markup, html};

use crate::service::page::format::counted;
use crate::service::page::icons::Icon;
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts;
use crate::service::page::text::Texts;
use crate::service::page::view::reload::ReloadView;

/// Path of the request.
pub(crate) const PATH: &str = "/reload";

/// Maximum number of names, and of mistakes.
const MOST: usize = 50;

/// Returns the button. The script shows its result on the page of the rules, which has the mistakes in any case.
pub(crate) fn button(reader: &Reader) -> Markup {
    html! {
        @if reader.access.may_sync {
            form method="post" action=(PATH) data-post data-result="reload" {
                button type="submit" { (Icon::Running.svg()) (reader.texts().reload) }
            }
        }
    }
}

/// Returns the page of the result.
pub(crate) fn page(reader: &Reader, view: &ReloadView) -> Page {
    let t = reader.texts();
    Page {
        place: Place::Rules,
        title: t.reload_title.to_owned(),
        is_live: false,
        content: html! {
            nav.crumbs aria-label=(t.path) { a href="/rules" { (t.rules) } }
            div.head { h1 { (t.reload_title) } div.actions { (button(reader)) } }
            div #reload { (result(t, view)) }
        },
    }
}

/// Returns the result in words.
pub(crate) fn result(t: &Texts, view: &ReloadView) -> Markup {
    match view {
        ReloadView::InForce {
            rules,
            added,
            removed,
            changed,
        } => {
            let sentence = counted(t.one_rule_in_force, t.many_rules_in_force, *rules as u64);
            html! {
                div.alert.info.result {
                    (Icon::Check.svg())
                    div {
                        p { (sentence) }
                        (names(t, t.new_rules, added, true))
                        (names(t, t.changed_rules, changed, true))
                        (names(t, t.removed_rules, removed, false))
                        @if added.is_empty() && removed.is_empty() && changed.is_empty() { p.soft { (t.same_rules) } }
                    }
                }
            }
        }
        ReloadView::Mistakes(lines) => html! {
            div.alert.fail.result {
                (Icon::Cross.svg())
                div {
                    p { (counted(t.one_mistake, t.many_mistakes, lines.len() as u64)) }
                    ul.mistakes lang="en" { @for line in lines.iter().take(MOST) { li { (parts::foreign(line)) } } }
                    (more(t, lines.len()))
                }
            }
        },
    }
}

fn names(t: &Texts, label: &str, names: &[Arc<str>], are_links: bool) -> Markup {
    html! {
        @if !names.is_empty() {
            p {
                (label)
                @for name in names.iter().take(MOST) {
                    " "
                    @if are_links { a.tag href=(parts::rule_path(name)) { (parts::foreign(name)) } }
                    @else { span.tag { (parts::foreign(name)) } }
                }
                " " (more(t, names.len()))
            }
        }
    }
}

fn more(t: &Texts, number: usize) -> Markup {
    let more = number.saturating_sub(MOST);
    html! {
        @if more > 0 { span.soft { (crate::service::page::format::fill(t.and_more, &[&more.to_string()])) } }
    }
}
