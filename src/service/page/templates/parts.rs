//! Parts that several pages have.

use maud::{Markup, html};

use crate::service::page::format::{self, bytes, grouped, segment, visible};
use crate::service::page::icons::Icon;
use crate::service::page::reader::Reader;
use crate::service::page::text::Texts;
use crate::service::page::view::list::ListPage;
use crate::service::run::{Cause, Run, RunPurpose, RunState};

/// Returns an icon and a word in the colour of their meaning.
pub(crate) fn status(class: &str, icon: Icon, word: &str) -> Markup {
    html! { span.status.(class) { (icon.svg()) span { (word) } } }
}

/// Returns the state of a run.
pub(crate) fn state(t: &Texts, state: RunState) -> Markup {
    let (class, icon) = match state {
        RunState::Queued => ("soft", Icon::Clock),
        RunState::Running => ("run", Icon::Running),
        RunState::Succeeded => ("ok", Icon::Check),
        RunState::Failed => ("fail", Icon::Cross),
        RunState::Cancelled => ("soft", Icon::Stop),
        RunState::Interrupted => ("warn", Icon::Broken),
    };
    status(class, icon, state_word(t, state))
}

/// Returns the word of a state.
pub(crate) fn state_word(t: &Texts, state: RunState) -> &'static str {
    match state {
        RunState::Queued => t.queued,
        RunState::Running => t.running,
        RunState::Succeeded => t.succeeded,
        RunState::Failed => t.run_failed,
        RunState::Cancelled => t.cancelled,
        RunState::Interrupted => t.run_interrupted,
    }
}

/// Returns the word of a reason for a run.
pub(crate) fn cause_word(t: &Texts, cause: Cause) -> &'static str {
    match cause {
        Cause::Schedule => t.by_schedule,
        Cause::Api => t.by_request,
        Cause::Hook => t.by_hook,
        Cause::Start => t.by_start,
    }
}

/// Returns the word of a purpose.
pub(crate) fn purpose_word(t: &Texts, purpose: RunPurpose) -> &'static str {
    match purpose {
        RunPurpose::Sync => t.sync,
        RunPurpose::Check => t.check,
    }
}

/// Returns the outcome of an image.
pub(crate) fn outcome(t: &Texts, outcome: &str) -> Markup {
    let (class, icon) = match outcome {
        "copied" => ("ok", Icon::Check),
        "unchanged" => ("soft", Icon::Circle),
        "different" => ("warn", Icon::Moved),
        "skipped" => ("soft", Icon::Pause),
        "failed" => ("fail", Icon::Cross),
        _ => ("warn", Icon::Broken),
    };
    status(class, icon, outcome_word(t, outcome))
}

/// Returns the word of an outcome.
pub(crate) fn outcome_word(t: &Texts, outcome: &str) -> &'static str {
    match outcome {
        "copied" => t.copied,
        "unchanged" => t.unchanged,
        "different" => t.different,
        "skipped" => t.skipped,
        "failed" => t.failed,
        _ => t.interrupted,
    }
}

/// Returns the path of a run's page.
pub(crate) fn run_path(run: &Run) -> String {
    format!("/runs/{}", run.id)
}

/// Returns the path of a rule's page.
pub(crate) fn rule_path(rule: &str) -> String {
    format!("/rules/{}", segment(rule))
}

/// Returns text from a file or a registry: escaped, and not translated by browsers.
pub(crate) fn foreign(text: &str) -> Markup {
    html! { bdi translate="no" { (visible(text)) } }
}

/// Returns a reference of an image, broken at its separators only, linked to where it went.
pub(crate) fn reference(text: &str, class: &str) -> Markup {
    html! {
        bdi.ref.(class) translate="no" {
            @for part in visible(text).split_inclusive(['/', ':', '@']) { (part) wbr; }
        }
    }
}

/// Replaces each `{}` of `pattern` by the next of `values`.
pub(crate) fn filled(pattern: &str, values: &[Markup]) -> Markup {
    html! {
        @for (index, part) in pattern.split("{}").enumerate() {
            @if let Some(value) = index.checked_sub(1).and_then(|index| values.get(index)) { (value) }
            (part)
        }
    }
}

/// Returns the links between the pages of a list; nothing if there is one page.
pub(crate) fn pager<T>(t: &Texts, list: &ListPage<T>, to: impl Fn(usize) -> String) -> Markup {
    let (number, pages) = (list.number, list.pages);
    html! {
        @if pages > 1 {
            nav.pager aria-label=(t.pages) {
                @if number > 0 { a.button rel="prev" href=(to(number - 1)) { "← " (t.back) } }
                span { (format::fill(t.page_of, &[&(number + 1).to_string(), &pages.to_string()])) }
                @if number + 1 < pages { a.button rel="next" href=(to(number + 1)) { (t.next) " →" } }
            }
        }
    }
}

/// Returns sources and destinations.
pub(crate) fn route(from: &[String], to: &[String], t: &Texts) -> Markup {
    html! {
        div.route {
            (some(from, t))
            span.arrow aria-label=(t.to) role="img" { "→" }
            (some(to, t))
        }
    }
}

/// Number of names that are shown of a longer list.
const NAMED: usize = 2;

fn some(names: &[String], t: &Texts) -> Markup {
    let more = names.len().saturating_sub(NAMED);
    html! {
        span.names {
            @for name in names.iter().take(NAMED) { (reference(name, "")) }
            @if more > 0 { span.more { (format::fill(t.and_more, &[&grouped(more as u64)])) } }
        }
    }
}

/// Returns the images of a run in words: "12 copied, 3 failed".
pub(crate) fn counts(t: &Texts, run: &Run) -> Markup {
    let counts = &run.counts;
    let numbers = [
        (counts.failed, t.failed, "fail"),
        (counts.copied, t.copied, ""),
        (counts.different, t.different, ""),
        (counts.unchanged, t.unchanged, "soft"),
        (counts.skipped, t.skipped, "soft"),
        (counts.interrupted, t.interrupted, "warn"),
    ];
    let numbers: Vec<_> = numbers
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .collect();
    html! {
        span.counts {
            @if numbers.is_empty() { span.soft { (format::images(t, 0)) } }
            @for (number, word, class) in numbers {
                span.count.(class) { b { (grouped(number)) } " " (word) }
            }
        }
    }
}

/// Returns the part of the images that ended, as a bar in the colours of their outcomes.
pub(crate) fn images_bar(t: &Texts, run: &Run) -> Markup {
    let counts = &run.counts;
    let whole = counts.images.max(counts.ended());
    let parts = [
        (counts.copied, "part-copied"),
        (counts.different, "part-different"),
        (counts.unchanged, "part-unchanged"),
        (counts.skipped, "part-skipped"),
        (counts.failed, "part-failed"),
        (counts.interrupted, "part-interrupted"),
    ];
    let mut from = 0;
    let parts = parts
        .into_iter()
        .filter(|(number, _)| *number > 0 && whole > 0);
    let parts: Vec<_> = parts
        .map(|(number, class)| {
            let (x, width) = (from, (number.saturating_mul(1_000) / whole).max(2));
            from += width;
            (x, width, class)
        })
        .collect();
    let label = format::fill(t.of, &[&grouped(counts.ended()), &grouped(counts.images)]);
    html! {
        svg.images-bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.part-rest x="0" y="0" width="1000" height="10" {}
            @for (x, width, class) in &parts { rect.(class) x=(x) y="0" width=(width) height="10" {} }
        }
    }
}

/// Returns the last runs as bars, the newest on the right: failures are the tallest.
pub(crate) fn strip(t: &Texts, last: &[Run]) -> Markup {
    use std::fmt::Write as _;
    /// Number of bars, and width of one.
    const BARS: usize = 30;
    const WIDTH: usize = 6;
    let mut paths = [String::new(), String::new(), String::new(), String::new()];
    let (mut succeeded, mut failed) = (0, 0);
    for (index, run) in last.iter().take(BARS).enumerate() {
        let (kind, height) = match run.state {
            RunState::Failed => (0, 20),
            RunState::Succeeded if run.counts.copied > 0 => (1, 14),
            RunState::Succeeded => (2, 9),
            _ => (3, 5),
        };
        succeeded += u64::from(run.state == RunState::Succeeded);
        failed += u64::from(run.state == RunState::Failed);
        let x = (BARS - 1 - index) * WIDTH;
        if let Some(path) = paths.get_mut(kind) {
            let _ = write!(path, "M{x} {}h4v{height}h-4z", 20 - height);
        }
    }
    let label = format::fill(
        t.strip_label,
        &[
            &last.len().min(BARS).to_string(),
            &succeeded.to_string(),
            &failed.to_string(),
        ],
    );
    let classes = ["bar-failed", "bar-copied", "bar-unchanged", "bar-ended"];
    html! {
        svg.strip viewBox="0 0 178 20" width="178" height="20" role="img" aria-label=(label) {
            title { (label) }
            path.bar-base d="M0 19.5H178" {}
            @for (path, class) in paths.iter().zip(classes) {
                @if !path.is_empty() { path.(class) d=(path) {} }
            }
        }
    }
}

/// Returns a button that sends a request. Without the script it is a plain form.
pub(crate) fn action(reader: &Reader, path: &str, label: &str, kind: Action<'_>) -> Markup {
    html! {
        @if reader.access.may_sync {
            form method="post" action=(path) data-post data-done=(reader.texts().request_accepted) data-question=[kind.question] {
                button.(kind.class) type="submit" aria-label=[kind.full_label] {
                    @if let Some(icon) = kind.icon { (icon.svg()) }
                    (label)
                }
            }
        }
    }
}

/// Form of a button.
#[derive(Clone, Copy, Default)]
pub(crate) struct Action<'a> {
    /// Class.
    pub(crate) class: &'a str,
    /// Picture.
    pub(crate) icon: Option<Icon>,
    /// Question before the request.
    pub(crate) question: Option<&'a str>,
    /// Label that names the object, too.
    pub(crate) full_label: Option<&'a str>,
}

/// Returns the buttons that sync and check a rule.
pub(crate) fn rule_actions(reader: &Reader, rule: &str) -> Markup {
    let t = reader.texts();
    let path = rule_path(rule);
    let labels = [t.sync, t.check].map(|word| format!("{word}: {}", visible(rule)));
    let [sync, check] = &labels;
    html! {
        div.actions {
            (action(reader, &format!("{path}/sync"), t.sync, Action {
                class: "primary", icon: Some(Icon::Sync), full_label: Some(sync), ..Action::default()
            }))
            (action(reader, &format!("{path}/check"), t.check, Action {
                icon: Some(Icon::Compare), full_label: Some(check), ..Action::default()
            }))
        }
    }
}

/// Returns a number with its label.
pub(crate) fn tile(label: &str, value: &Markup, detail: &Markup) -> Markup {
    html! {
        div.tile {
            dt { (label) }
            dd { span.value { (value) } @if !detail.0.is_empty() { span.detail { (detail) } } }
        }
    }
}

/// Returns a message in place of an empty list.
pub(crate) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// Returns the bytes that a run sent, and those that it did not have to send.
pub(crate) fn volume(t: &Texts, run: &Run) -> Markup {
    html! {
        span.nowrap { (bytes(run.counts.sent_bytes)) }
        @if run.counts.saved_bytes > 0 {
            span.soft.nowrap { " " (format::fill(t.saved, &[&bytes(run.counts.saved_bytes)])) }
        }
    }
}
