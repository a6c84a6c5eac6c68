//! The page of a run.

use jiff::SignedDuration;
use maud::{Markup, html};

use crate::service::page::format::{
    self, between, bytes, duration, grouped, link, short_digest, speed, time, time_and_distance,
};
use crate::service::page::icons::Icon;
use crate::service::page::layout::{Page, Place};
use crate::service::page::plot;
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts::{self, Action};
use crate::service::page::templates::{run_failures, run_images};
use crate::service::page::text::Texts;
use crate::service::page::view::run::{RunView, TransferLine, Waiting};
use crate::service::run::{Run, RunState};

/// Returns the page.
pub(crate) fn page(reader: &Reader, view: &RunView) -> Page {
    let t = reader.texts();
    let run = &view.run;
    let content = html! {
        nav.crumbs aria-label=(t.path) {
            a href="/runs" { (t.runs) } " / " a href=(parts::rule_path(&run.rule)) { (parts::foreign(&run.rule)) }
        }
        (part(reader, view))
        (run_images::section(reader, run, &view.images))
    };
    Page {
        place: Place::Runs,
        title: format!("{} · {}", parts::state_word(t, run.state), run.rule),
        is_live: !run.state.is_over(),
        content,
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, view: &RunView) -> Markup {
    let t = reader.texts();
    let run = &view.run;
    let path = link(&parts::run_path(run), &[("part", "live")]);
    let live = (!run.state.is_over()).then_some(path);
    html! {
        div #live data-live=[live] data-on="run progress registry" data-run=(run.id) data-every="1000" {
            (head(reader, view))
            @if let Some(waiting) = &view.waiting { (waiting_for(t, waiting)) }
            @if let Some(failure) = run.failure.as_ref().filter(|_| view.failures.is_empty()) {
                p.alert.fail { (Icon::Cross.svg()) span { (parts::foreign(failure)) } }
            }
            @if run.state != RunState::Queued { (numbers(reader, view)) }
            @for pause in &view.pauses {
                p.alert.warn {
                    (Icon::Pause.svg())
                    span {
                        b { (parts::foreign(&pause.host)) } " "
                        (if pause.is_rate_limit { t.paused_rate_limit } else { t.paused_overload }) " "
                        (time_and_distance(reader, pause.until))
                    }
                }
            }
            @if let Some(plot) = plot::throughput(reader, &view.points) {
                section.card aria-labelledby="throughput" { h2 #throughput { (t.throughput) } (plot) }
            }
            @if run.state == RunState::Running { (transfers(t, view)) }
            (run_failures::section(reader, view))
            @if !view.warnings.is_empty() {
                section.card aria-labelledby="warnings" {
                    h2 #warnings { (t.warnings) }
                    ul.plain-list { @for warning in &view.warnings { li { (Icon::Warning.svg()) " " (parts::foreign(warning)) } } }
                }
            }
        }
    }
}

fn head(reader: &Reader, view: &RunView) -> Markup {
    let t = reader.texts();
    let run = &view.run;
    html! {
        div.head {
            h1 { (parts::foreign(&run.rule)) }
            (parts::state(t, run.state))
            div.actions {
                @if run.state.is_over() { (parts::rule_actions(reader, &run.rule)) }
                @else {
                    (parts::action(reader, &format!("{}/cancel", parts::run_path(run)), t.cancel, Action {
                        class: "danger", icon: Some(Icon::Stop), question: Some(t.really_cancel), ..Action::default()
                    }))
                }
                @if view.has_report { a.button href=(format!("/api/v1/runs/{}/report", run.id)) { (t.report) } }
            }
        }
        p.facts { (facts(reader, run)) }
    }
}

/// Returns why and when the run was started, and what part of its rule it copies.
fn facts(reader: &Reader, run: &Run) -> Markup {
    let t = reader.texts();
    let scope = &run.scope;
    html! {
        span { (parts::purpose_word(t, run.purpose)) (t.comma) (parts::cause_word(t, run.cause)) }
        span {
            @match run.started {
                Some(at) => { (t.began) " " (time_and_distance(reader, at)) }
                None => { (t.requested) " " (time_and_distance(reader, run.requested)) }
            }
        }
        @if let (Some(from), Some(to)) = (run.started, run.ended) {
            span { (t.ended) " " (time(to)) (t.comma) (format::fill(t.after, &[&between(t, from, to)])) }
        }
        @if let Some(repository) = &scope.repository { span { (t.only) " " (parts::reference(repository, "")) } }
        @for tag in scope.tags.iter().take(8) { span.tag { (parts::foreign(tag)) } }
        @if scope.tags.len() > 8 { span { (format::fill(t.and_more, &[&(scope.tags.len() - 8).to_string()])) } }
        @if scope.force { span.tag { (t.forced) } }
        @if scope.verify { span.tag { (t.verified) } }
        span.soft { (t.id) " " code translate="no" { (run.id) } }
    }
}

fn waiting_for(t: &Texts, waiting: &Waiting) -> Markup {
    html! {
        div.alert.info {
            (Icon::Clock.svg())
            @match waiting {
                Waiting::SameRule(id) => {
                    span { (t.waits_for_same_rule) " " a href=(format!("/runs/{id}")) translate="no" { (id) } }
                }
                Waiting::Limit { running, before } => {
                    span {
                        (format::fill(t.waits_for_limit, &[&running.len().to_string(), &before.to_string()])) " "
                        @for (id, rule) in running { a.tag href=(format!("/runs/{id}")) { (parts::foreign(rule)) } " " }
                    }
                }
            }
        }
    }
}

fn numbers(reader: &Reader, view: &RunView) -> Markup {
    let t = reader.texts();
    let run = &view.run;
    let counts = &run.counts;
    let is_running = run.state == RunState::Running;
    let end = run.ended.unwrap_or(reader.now);
    let time = run.started.map(|from| end.duration_since(from));
    let average = time.and_then(|time| average_speed(counts.sent_bytes, time));
    let left = view
        .left
        .map(|left| duration(t, SignedDuration::try_from(left).unwrap_or_default()));
    let plain = |text: &str| html! { (text) };
    let none = html! {};
    // A list that failed counts as well.
    let known = html! {
        @if counts.images >= counts.ended() { (format::fill(t.of_known, &[&grouped(counts.images)])) }
    };
    html! {
        section.card aria-labelledby="numbers" {
            h2.sr #numbers { (t.progress) }
            div.bar-line {
                (parts::images_bar(t, run))
                span.percent { (format::percent(counts.ended(), counts.images.max(counts.ended()))) " %" }
            }
            (parts::counts(t, run))
            dl.tiles {
                (parts::tile(t.images, &plain(&grouped(counts.ended())), &known))
                (parts::tile(t.sent, &plain(&bytes(counts.sent_bytes)),
                    &plain(&format::fill(t.read_and_saved, &[&bytes(counts.fetched_bytes), &bytes(counts.saved_bytes)]))))
                @if is_running {
                    (parts::tile(t.speed, &plain(&speed(view.speed.unwrap_or_default())),
                        &average.map_or(html! {}, |average| plain(&format::fill(t.on_average, &[&average])))))
                    (parts::tile(t.time_left, &plain(&left.unwrap_or_else(|| "–".to_owned())),
                        &run.started.map_or(html! {}, |from| plain(&format::fill(t.so_far, &[&between(t, from, end)])))))
                } @else {
                    @if let Some(average) = &average { (parts::tile(t.average_speed, &plain(average), &none)) }
                    @if let Some(time) = time { (parts::tile(t.duration, &plain(&duration(t, time)), &none)) }
                }
            }
        }
    }
}

/// Returns the average speed; `None` if nothing was sent.
fn average_speed(bytes: u64, time: SignedDuration) -> Option<String> {
    let milliseconds = u128::try_from(time.as_millis()).ok()?.max(1);
    let average = u64::try_from(u128::from(bytes) * 1_000 / milliseconds).ok()?;
    (average > 0).then(|| speed(average))
}

fn transfers(t: &Texts, view: &RunView) -> Markup {
    html! {
        section.card aria-labelledby="transfers" {
            h2 #transfers { (t.transfers) " " span.badge { (grouped(view.in_flight as u64)) } }
            @if view.transfers.is_empty() { p.soft { (t.no_transfers) } }
            ul.transfers {
                @for transfer in &view.transfers { (transfer_line(t, transfer)) }
            }
            @if view.in_flight > view.transfers.len() {
                p.soft.small { (format::fill(t.smaller_transfers, &[&grouped((view.in_flight - view.transfers.len()) as u64)])) }
            }
        }
    }
}

fn transfer_line(t: &Texts, transfer: &TransferLine) -> Markup {
    let digest = short_digest(&transfer.digest);
    html! {
        li #(format!("transfer-{}", transfer.number)) {
            code title=(transfer.digest) translate="no" { (digest) }
            span.route { (parts::reference(&transfer.source, "")) span.arrow { "→" } (parts::reference(&transfer.destination, "")) }
            @match (transfer.done, transfer.size) {
                (Some(done), Some(size)) => {
                    progress max=(size.max(1)) value=(done) aria-label=(digest) {}
                    span.number { (format::fill(t.of, &[&bytes(done), &bytes(size)])) }
                }
                (Some(done), None) => { progress aria-label=(digest) {} span.number { (bytes(done)) } }
                (None, size) => {
                    progress max="1" value="0" aria-label=(digest) {}
                    span.number.soft { (t.waiting) @if let Some(size) = size { (t.comma) (bytes(size)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_less_than_a_second_have_an_average_speed() {
        for (bytes, milliseconds, average) in [
            (1_024, 500, Some("2.0 KiB/s")),
            (4_096, 4_000, Some("1.0 KiB/s")),
            (7, 0, Some("6.8 KiB/s")),
            (0, 10_000, None),
            (1, 10_000, None),
        ] {
            let time = SignedDuration::from_millis(milliseconds);
            assert_eq!(average_speed(bytes, time).as_deref(), average, "{bytes}");
        }
    }
}
