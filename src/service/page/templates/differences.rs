//! The pages of the differences: all rules, one rule, one repository.

use image_syncer_registry::Digest;
use maud::{Markup, html};

use crate::service::history::{
    RepositoryTags, RuleTags, SourceTag, TagCounts, TagCursor, TagRecord, TagState,
};
use crate::service::page::format::{self, grouped, link, moment, short_digest};
use crate::service::page::icons::Icon;
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts::{self, Action};
use crate::service::page::text::Texts;
use crate::service::page::view::differences::{RepositoryView, RuleDifferences, RulesDifferences};

/// Returns the page of all rules.
pub(crate) fn page(reader: &Reader, view: &RulesDifferences) -> Page {
    let t = reader.texts();
    Page {
        place: Place::Differences,
        title: t.differences.to_owned(),
        is_live: true,
        content: html! {
            div.head { h1 { (t.differences) } }
            p.lead { (t.differences_lead) }
            (search(t, ""))
            (part(reader, view))
        },
    }
}

/// Returns the search for an image.
pub(crate) fn search(t: &Texts, q: &str) -> Markup {
    html! {
        form.filter role="search" method="get" action="/image" {
            label.grow {
                span.sr { (t.where_is) }
                input type="search" name="q" value=(q) placeholder=(t.where_is) autocomplete="off" data-search;
            }
            button type="submit" { (t.find) }
        }
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, view: &RulesDifferences) -> Markup {
    let t = reader.texts();
    let to = |page: usize, part: &str| {
        let page = page.to_string();
        link("/differences", &[("page", &*page), ("part", part)])
    };
    let rules = &view.rules;
    let numbers = [view.different, rules.total].map(|number| grouped(number as u64));
    let [different, total] = &numbers;
    html! {
        div #differences data-live=(to(rules.number, "differences")) data-on="run" data-every="2000" {
            @if rules.rows.is_empty() { (parts::empty(t.no_tags)) }
            @else {
                p.soft.small { (format::fill(t.rules_differ, &[different, total])) }
                table.cards {
                    thead {
                        tr {
                            th scope="col" { (t.rule) }
                            (count_heads(t))
                            th scope="col" { (t.compared) }
                            th scope="col" { span.sr { (t.actions) } }
                        }
                    }
                    tbody {
                        @for rule in &rules.rows {
                            tr data-row {
                                th scope="row" { a.name href=(link("/differences", &[("rule", &rule.rule)])) { (parts::foreign(&rule.rule)) } }
                                (count_cells(t, &rule.counts))
                                td data-label=(t.compared) { (compared(reader, Some(rule))) }
                                td.act { div.actions { (check(reader, &rule.rule)) } }
                            }
                        }
                    }
                }
                (parts::pager(t, rules, |page| to(page, "")))
            }
        }
    }
}

fn check(reader: &Reader, rule: &str) -> Markup {
    let t = reader.texts();
    let label = format!("{}: {}", t.check, format::visible(rule));
    let path = format!("{}/check", parts::rule_path(rule));
    let kind = Action {
        icon: Some(Icon::Compare),
        full_label: Some(&label),
        ..Action::default()
    };
    parts::action(reader, &path, t.check, kind)
}

/// Returns when all tags of a rule were last compared.
fn compared(reader: &Reader, rule: Option<&RuleTags>) -> Markup {
    let t = reader.texts();
    html! {
        @match rule.and_then(|rule| rule.checked) {
            Some(at) => (moment(reader, at)),
            None => span.soft { (t.never) },
        }
    }
}

const STATES: [TagState; 6] = [
    TagState::Same,
    TagState::Missing,
    TagState::Moved,
    TagState::Incomplete,
    TagState::Failed,
    TagState::Extra,
];

fn number(counts: &TagCounts, state: TagState) -> u64 {
    match state {
        TagState::Same => counts.same,
        TagState::Missing => counts.missing,
        TagState::Moved => counts.moved,
        TagState::Incomplete => counts.incomplete,
        TagState::Failed => counts.failed,
        TagState::Extra => counts.extra,
    }
}

/// Returns the word, the icon and the class of a state.
fn look(t: &Texts, state: TagState) -> (&'static str, Icon, &'static str) {
    match state {
        TagState::Same => (t.same, Icon::Check, "ok"),
        TagState::Missing => (t.missing, Icon::Plus, "warn"),
        TagState::Moved => (t.moved, Icon::Moved, "warn"),
        TagState::Incomplete => (t.incomplete, Icon::Broken, "warn"),
        TagState::Failed => (t.failed, Icon::Cross, "fail"),
        TagState::Extra => (t.extra, Icon::Circle, "soft"),
    }
}

fn count_heads(t: &Texts) -> Markup {
    html! { @for state in STATES { th.number scope="col" { (look(t, state).0) } } }
}

fn count_cells(t: &Texts, counts: &TagCounts) -> Markup {
    html! {
        @for state in STATES {
            @let (word, _, class) = look(t, state);
            @let number = number(counts, state);
            td.number data-label=(word) {
                @if number == 0 { span.soft { "0" } } @else { b.(class) { (grouped(number)) } }
            }
        }
    }
}

/// Returns the page of one rule.
pub(crate) fn rule_page(reader: &Reader, view: &RuleDifferences) -> Page {
    let t = reader.texts();
    let content = html! {
        nav.crumbs aria-label=(t.path) {
            a href="/differences" { (t.differences) } " / "
            a href=(parts::rule_path(&view.rule)) { (t.rule) }
        }
        div.head {
            h1 { (parts::foreign(&view.rule)) }
            span.soft { (t.compared) " " (compared(reader, view.tags.as_ref())) }
            div.actions { (check(reader, &view.rule)) }
        }
        (rule_part(reader, view))
    };
    Page {
        place: Place::Differences,
        title: format!("{} · {}", t.differences, view.rule),
        is_live: view.after.is_empty(),
        content,
    }
}

/// Returns the part of the page of a rule that follows the events.
pub(crate) fn rule_part(reader: &Reader, view: &RuleDifferences) -> Markup {
    let t = reader.texts();
    let to = |after: &str, page: usize, part: &str| {
        let page = if page == 0 {
            String::new()
        } else {
            page.to_string()
        };
        let fields = [
            ("rule", &*view.rule),
            ("after", after),
            ("page", &*page),
            ("part", part),
        ];
        link("/differences", &fields)
    };
    let page = view.repositories.number;
    let live = view.after.is_empty().then(|| to("", page, "rule"));
    html! {
        div #rule-differences data-live=[live] data-on="run" data-every="2000" {
            section aria-labelledby="different" {
                h2 #different {
                    (t.different_tags)
                    @if let Some(tags) = &view.tags { " " span.badge { (grouped(tags.counts.different())) } }
                }
                @if view.differences.tags.is_empty() {
                    (parts::empty(if view.tags.is_some() { t.no_differences } else { t.no_tags }))
                } @else {
                    (tag_table(reader, view.differences.tags.iter().map(SourceTag::rows)))
                }
                (pager(t, &view.after, view.differences.next.as_ref(), &|after| to(after, page, "")))
            }
            @if !view.repositories.rows.is_empty() {
                section aria-labelledby="repositories" {
                    h2 #repositories { (t.repositories) " " span.badge { (grouped(view.repositories.total as u64)) } }
                    (repositories(t, &view.rule, &view.repositories.rows))
                    (parts::pager(t, &view.repositories, |page| format!("{}#repositories", to(&view.after, page, ""))))
                }
            }
        }
    }
}

fn repositories(t: &Texts, rule: &str, repositories: &[RepositoryTags]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t.repository) } (count_heads(t)) } }
            tbody {
                @for entry in repositories {
                    tr data-row {
                        th scope="row" {
                            a.name href=(link("/differences", &[("rule", rule), ("repository", &entry.repository)])) {
                                (parts::reference(&entry.repository, ""))
                            }
                        }
                        (count_cells(t, &entry.counts))
                    }
                }
            }
        }
    }
}

/// Returns the page of one source repository.
pub(crate) fn repository_page(reader: &Reader, view: &RepositoryView) -> Page {
    let t = reader.texts();
    let to = |after: &str| {
        link(
            "/differences",
            &[
                ("rule", &view.rule),
                ("repository", &view.repository),
                ("after", after),
            ],
        )
    };
    let content = html! {
        nav.crumbs aria-label=(t.path) {
            a href="/differences" { (t.differences) }
            @if !view.rule.is_empty() {
                " / " a href=(link("/differences", &[("rule", &view.rule)])) { (parts::foreign(&view.rule)) }
            }
        }
        div.head { h1 { (parts::foreign(&view.repository)) } }
        @if view.page.tags.is_empty() { (parts::empty(t.no_tags)) }
        @else { (tag_table(reader, by_source(&view.page.tags).into_iter())) }
        (pager(t, &view.after, view.page.next.as_ref(), &to))
    };
    Page {
        place: Place::Differences,
        title: view.repository.clone(),
        is_live: false,
        content,
    }
}

/// Returns neighbours with the same source as one row.
fn by_source(tags: &[TagRecord]) -> Vec<(&str, &[TagRecord])> {
    let rows = tags.chunk_by(|a, b| a.source == b.source);
    rows.filter_map(|row| Some((row.first()?.source.as_str(), row)))
        .collect()
}

fn pager(t: &Texts, after: &str, next: Option<&TagCursor>, to: &dyn Fn(&str) -> String) -> Markup {
    let next = next.map(|next| String::from(next.clone()));
    html! {
        @if !after.is_empty() || next.is_some() {
            nav.pager aria-label=(t.pages) {
                @if !after.is_empty() { a.button href=(to("")) { "⇤ " (t.first_page) } }
                @if let Some(next) = &next { a.button rel="next" href=(to(next)) { (t.next) " →" } }
            }
        }
    }
}

impl SourceTag {
    /// Returns the source and its destinations.
    fn rows(&self) -> (&str, &[TagRecord]) {
        (&self.source, &self.destinations)
    }
}

/// Returns tags of sources with their destinations.
fn tag_table<'a>(
    reader: &Reader,
    tags: impl Iterator<Item = (&'a str, &'a [TagRecord])>,
) -> Markup {
    let t = reader.texts();
    html! {
        table.cards.tags {
            thead {
                tr {
                    th scope="col" { (t.at_source) }
                    th scope="col" { (t.at_destination) }
                    th scope="col" { (t.state) }
                    th scope="col" { (t.since) }
                    th scope="col" { (t.compared) }
                }
            }
            @for (source, destinations) in tags {
                tbody {
                    @for (index, tag) in destinations.iter().enumerate() {
                        tr data-row {
                            @if index == 0 {
                                th scope="rowgroup" rowspan=(destinations.len()) {
                                    (parts::reference(source, "")) div { (digest(tag.expected.as_ref(), t)) }
                                }
                            }
                            td data-label=(t.at_destination) {
                                a.plain href=(link("/image", &[("q", &tag.destination)])) { (parts::reference(&tag.destination, "")) }
                                div { (digest(tag.digest.as_ref(), t)) }
                            }
                            td data-label=(t.state) { (tag_state(t, tag.state)) }
                            td data-label=(t.since) { (moment(reader, tag.since)) }
                            td data-label=(t.compared) { (moment(reader, tag.seen)) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the state of a tag.
pub(crate) fn tag_state(t: &Texts, state: TagState) -> Markup {
    let (word, icon, class) = look(t, state);
    parts::status(class, icon, word)
}

/// Returns a digest, linked to where it is.
pub(crate) fn digest(digest: Option<&Digest>, t: &Texts) -> Markup {
    html! {
        @match digest {
            Some(digest) => {
                @let text = digest.to_string();
                a.plain href=(link("/image", &[("q", &text)])) { code title=(text) translate="no" { (short_digest(&text)) } }
            }
            None => span.soft { (t.no_digest) },
        }
    }
}
