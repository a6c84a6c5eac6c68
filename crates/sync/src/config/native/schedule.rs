//! Reader of `schedule`, which only a service uses.

use std::time::Duration;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use super::fields::{Fields, text};
use super::findings::Findings;
use super::reading::Source;
use super::{scalar, tables};
use crate::config::document::{Node, NodeValue};
use crate::config::{CronTime, Schedule, Times};

/// Reads a schedule: cron with five fields, `never`, or a map. A mistake leaves out its part.
pub(super) fn read(source: &Source<'_>, node: &Node, findings: &mut Findings) -> Schedule {
    if let Some(written) = text(node) {
        if written == "never" {
            return Schedule::default();
        }
        let time = cron(source, node, written, findings);
        return Schedule::new(cron_times(time.into_iter().collect(), TimeZone::UTC));
    }
    if !matches!(node.value, NodeValue::Map(_)) {
        return Schedule::default();
    }
    let fields = Fields::new(&tables::SCHEDULE, node);
    let written = fields.texts("cron");
    let every = fields.node("every");
    match (written.is_empty(), every) {
        (false, Some(_)) => {
            let message = "`cron` and `every` exclude each other. Keep one of the two.";
            findings.mistake(&source.file, fields.key_at("every"), message);
        }
        (true, None) if fields.node("cron").is_none() => {
            let message = "the schedule has no times. Write `cron: \"0 3 * * *\"` or `every: 6h`.";
            findings.mistake(&source.file, node.at, message);
        }
        _ => {}
    }
    let zone = zone(source, &fields, !written.is_empty(), findings);
    let every = every.and_then(|node| interval(source, node, findings));
    let times = written.iter();
    let times = times.filter_map(|(written, node)| cron(source, node, written, findings));
    Schedule {
        times: match every {
            Some(every) => Times::Every(every),
            None => cron_times(times.collect(), zone),
        },
        jitter: fields.text("jitter").and_then(scalar::duration),
        at_start: fields.boolean("at-start").unwrap_or_default(),
    }
}

fn cron_times(times: Vec<CronTime>, zone: TimeZone) -> Times {
    if times.is_empty() {
        return Times::Never;
    }
    Times::Cron(times, zone)
}

fn interval(source: &Source<'_>, node: &Node, findings: &mut Findings) -> Option<Duration> {
    let every = scalar::duration(text(node)?)?;
    if every.as_secs() < 1 {
        let message = "`every`: the interval is 0. Write one such as 6h.";
        findings.mistake(&source.file, node.at, message);
        return None;
    }
    Some(every)
}

/// Reads the zone of times in cron form.
fn zone(
    source: &Source<'_>,
    fields: &Fields<'_>,
    has_cron: bool,
    findings: &mut Findings,
) -> TimeZone {
    let written = fields.node("zone");
    let Some((zone, node)) = written.and_then(|node| Some((text(node)?, node))) else {
        return TimeZone::UTC;
    };
    if !has_cron && fields.node("every").is_some() {
        let message = "`zone` has no effect with `every`. Remove one of the two.";
        findings.mistake(&source.file, node.at, message);
    }
    TimeZone::get(zone).unwrap_or_else(|_| {
        let message = format!(
            "there is no time zone `{zone}`. Write a name of the IANA database, such as `Europe/Berlin`, or `UTC`."
        );
        findings.mistake(&source.file, node.at, message);
        TimeZone::UTC
    })
}

fn cron(
    source: &Source<'_>,
    node: &Node,
    written: &str,
    findings: &mut Findings,
) -> Option<CronTime> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let count = written.split_whitespace().count();
    let why = if count != 5 && !written.starts_with('@') {
        format!("it has {count} fields")
    } else {
        match parser.parse(written) {
            Err(error) => reason(error),
            Ok(cron) if never_comes(&cron) => "no such time ever comes".to_owned(),
            Ok(cron) => return Some(CronTime::new(written.to_owned(), cron)),
        }
    };
    let message = format!(
        "`{written}` is not a time in cron form: {why}. Write minute, hour, day, month and weekday, such as `0 3 * * *`, or `never`."
    );
    findings.mistake(&source.file, node.at, message);
    None
}

/// Returns the reason as a clause.
fn reason(error: CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text,
        other => other.to_string(),
    };
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Returns true for a time that no year has, such as 30 February.
fn never_comes(cron: &Cron) -> bool {
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    cron.find_next_occurrence(&start, false).is_err()
}
