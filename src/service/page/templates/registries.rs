//! The page of the registries.

use jiff::SignedDuration;
use maud::{Markup, html};

use crate::login::{LoginIdentity, LoginKind};
use crate::service::page::format::{
    self, counted, duration, grouped, link, moment, time_and_distance,
};
use crate::service::page::icons::Icon;
use crate::service::page::layout::{Page, Place};
use crate::service::page::reader::Reader;
use crate::service::page::templates;
use crate::service::page::templates::parts::{self, filled, foreign};
use crate::service::page::text::Texts;
use crate::service::registries::{RegistryLatency, RegistryRow};
use crate::service::workers::WorkerRow;

/// Returns the page.
pub(crate) fn page(reader: &Reader, rows: &[RegistryRow], workers: &[WorkerRow]) -> Page {
    let t = reader.texts();
    Page {
        place: Place::Registries,
        title: t.registries.to_owned(),
        is_live: true,
        content: html! {
            div.head { h1 { (t.registries) } }
            p.lead { (t.registries_lead) }
            (part(reader, rows))
            (templates::workers::part(reader, workers))
        },
    }
}

/// Returns the part of the page that follows the events.
pub(crate) fn part(reader: &Reader, rows: &[RegistryRow]) -> Markup {
    let t = reader.texts();
    html! {
        div #registries data-live=(link("/registries", &[("part", "registries")])) data-on="run progress registry" data-every="2000" {
            @if rows.is_empty() { (parts::empty(t.no_registries)) }
            @else {
                table.cards {
                    thead {
                        tr {
                            th scope="col" { (t.registry) }
                            th scope="col" { (t.state) }
                            th.number scope="col" { (t.requests) }
                            th.number scope="col" { (t.latency) }
                            th scope="col" { (t.rate_limits) }
                            th scope="col" { (t.limits) }
                        }
                    }
                    tbody { @for registry in rows { (row(reader, registry)) } }
                }
            }
        }
    }
}

fn row(reader: &Reader, registry: &RegistryRow) -> Markup {
    let t = reader.texts();
    html! {
        tr data-row {
            th scope="row" {
                span.name { (parts::foreign(&registry.registry)) }
                @for login in registry.logins.iter().take(8) {
                    div.soft.small {
                        @if login.prefix != registry.registry { (parts::foreign(&login.prefix)) ": " }
                        (identity(t, &login.login))
                        @if let Some(origin) = &login.origin { (filled(t.login_origin, &[foreign(origin)])) }
                    }
                }
                @if registry.logins.is_empty() { div.soft.small { (t.no_login) } }
            }
            td data-label=(t.state) { (state(reader, registry)) }
            td.number data-label=(t.requests) {
                span { (grouped(registry.requests)) }
                div.soft.small { (troubles(t, registry)) }
            }
            td.number data-label=(t.latency) { @if let Some(latency) = &registry.latency { (latencies(t, latency)) } @else { "–" } }
            td data-label=(t.rate_limits) { (rate_limits(t, registry)) }
            td data-label=(t.limits) { (limits(t, registry)) }
        }
    }
}

/// Returns the numbers of the answers that are no successes, and of the retries, one a line.
fn troubles(t: &Texts, registry: &RegistryRow) -> Markup {
    let statuses = registry
        .statuses
        .iter()
        .filter(|(class, _)| **class != "2xx");
    let troubles = statuses.map(|(class, number)| {
        html! {
            @if *class == "none" { (t.unanswered) } @else { span translate="no" { (class) } } ": " (grouped(*number))
        }
    });
    let mut troubles: Vec<Markup> = troubles.collect();
    if registry.retries > 0 {
        troubles.push(html! { (format::fill(t.retries, &[&grouped(registry.retries)])) });
    }
    html! { @for trouble in &troubles { div.nowrap { (trouble) } } }
}

/// Returns the identity of a login.
fn identity(t: &Texts, login: &LoginIdentity) -> Markup {
    let who = match &login.who {
        LoginKind::Auto => html! { (t.login_auto) },
        LoginKind::Docker => html! { (t.login_docker) },
        LoginKind::Helper(name) => {
            let program = foreign(&format!("docker-credential-{name}"));
            filled(t.login_helper, &[program])
        }
        LoginKind::Anonymous => html! { (t.login_anonymous) },
        LoginKind::User(name) => filled(t.login_user, &[foreign(name)]),
        LoginKind::IdentityToken => html! { (t.login_identity_token) },
        LoginKind::RegistryToken => html! { (t.login_registry_token) },
        LoginKind::GoogleServiceAccount => html! { (t.login_google) },
    };
    html! {
        (who)
        @if let Some(file) = &login.secret_file {
            (filled(t.login_file, &[foreign(&file.display().to_string())]))
        }
    }
}

fn state(reader: &Reader, registry: &RegistryRow) -> Markup {
    let t = reader.texts();
    html! {
        @if let Some(pause) = &registry.pause {
            (parts::status("warn", Icon::Pause, if pause.why == "rate-limit" { t.rate_limited } else { t.overloaded }))
            div.soft.small { (t.continues) " " (time_and_distance(reader, pause.until)) }
        } @else {
            @match registry.reachable {
                Some(true) => (parts::status("ok", Icon::Check, t.reachable)),
                Some(false) => (parts::status("fail", Icon::Cross, t.unreachable)),
                None => (parts::status("soft", Icon::Circle, t.not_used)),
            }
            @if let Some(at) = registry.last_answer { div.soft.small { (t.last_answer) " " (moment(reader, at)) } }
        }
        @if let Some(error) = &registry.last_error {
            div.reason { (t.last_error) " " (moment(reader, error.at)) ": " (parts::foreign(&error.text)) }
        }
    }
}

fn latencies(t: &Texts, latency: &RegistryLatency) -> Markup {
    let milliseconds = |number: f64| match number {
        ..10_000.0 => format::fill(t.milliseconds, &[&format!("{number:.0}")]),
        _ => format::fill(t.seconds, &[&format!("{:.0}", number / 1_000.0)]),
    };
    html! {
        span.nowrap { (milliseconds(latency.p50_ms)) }
        div.soft.small.nowrap { (format::fill(t.slowest, &[&milliseconds(latency.p99_ms)])) }
    }
}

fn rate_limits(t: &Texts, registry: &RegistryRow) -> Markup {
    let paused = SignedDuration::try_from_secs_f64(registry.paused_seconds).unwrap_or_default();
    html! {
        @if let Some(pulls) = registry.pulls_remaining { div.nowrap { (counted(t.one_pull_left, t.many_pulls_left, pulls)) } }
        @if registry.rate_limited > 0 { div.nowrap { (format::fill(t.answers_429, &[&grouped(registry.rate_limited)])) } }
        @if registry.pauses > 0 {
            div.soft.small.nowrap { (format::fill(t.pauses, &[&grouped(registry.pauses), &duration(t, paused)])) }
        }
        @if registry.pulls_remaining.is_none() && registry.rate_limited == 0 && registry.pauses == 0 { span.soft { (t.none) } }
    }
}

fn limits(t: &Texts, registry: &RegistryRow) -> Markup {
    let window = &registry.window;
    let limits = [
        (t.calls, window.calls),
        (t.downloads, window.downloads),
        (t.uploads, window.uploads),
    ];
    let limits: Vec<_> = limits
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit?)))
        .collect();
    html! {
        @if limits.is_empty() { span.soft { "–" } }
        @for (name, limit) in limits { div.small.nowrap { span.soft { (name) } " " (limit) } }
    }
}
