//! Requests and pauses of each registry.

use crate::host_counts::HostCounts;
use crate::ui::style::Style;
use crate::ui::summary::SummaryLine;
use crate::ui::units;

/// Number of registries with a line of their own.
const SHOWN: usize = 6;

/// Returns the totals, and a line for each of the busiest registries.
pub(super) fn lines(hosts: &[(Option<String>, HostCounts)]) -> Vec<SummaryLine> {
    let mut totals = HostCounts::default();
    for (_, counts) in hosts {
        totals += *counts;
    }
    let mut lines = vec![(Style::Plain, request_counts(totals))];
    let (shown, rest) = hosts.split_at(hosts.len().min(SHOWN));
    let named = |(host, counts): &(Option<String>, HostCounts)| {
        let name = host.as_deref().unwrap_or("others");
        (paint(*counts), format!("  {name}: {}", host_line(*counts)))
    };
    lines.extend(shown.iter().map(named));
    if !rest.is_empty() {
        let mut counts = HostCounts::default();
        for (_, more) in rest {
            counts += *more;
        }
        let more = units::count(rest.len() as u64, "more host");
        lines.push((
            paint(counts),
            format!("  and {more}: {}", host_line(counts)),
        ));
    }
    lines
}

/// Returns the number of requests and retries: `12,345 requests, 1 retry`.
fn request_counts(counts: HostCounts) -> String {
    let retries = match counts.retries {
        1 => "1 retry".to_owned(),
        retries => format!("{} retries", units::grouped(retries)),
    };
    format!("{}, {retries}", units::count(counts.requests, "request"))
}

/// Returns the counters of one registry that are not zero, with its pauses.
fn host_line(counts: HostCounts) -> String {
    let mut parts = if counts.retries > 0 {
        vec![request_counts(counts)]
    } else {
        vec![units::count(counts.requests, "request")]
    };
    let pauses = [
        (
            counts.rate_limit_pauses,
            counts.rate_limit_wait,
            "for its rate limit",
        ),
        (
            counts.overload_pauses,
            counts.overload_wait,
            "because of overload",
        ),
    ];
    for (number, wait, why) in pauses {
        if number > 0 {
            let pauses = units::count(number, "pause");
            parts.push(format!("{pauses} of {} in total {why}", units::time(wait)));
        }
    }
    parts.join(", ")
}

fn paint(counts: HostCounts) -> Style {
    if counts.rate_limit_pauses + counts.overload_pauses > 0 {
        Style::Yellow
    } else {
        Style::Plain
    }
}
