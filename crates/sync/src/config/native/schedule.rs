//! Check of `schedule`. Only the service reads it.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

use super::fields::{Fields, text};
use super::findings::Findings;
use super::reading::Source;
use super::{scalar, tables};
use crate::config::document::{Node, NodeValue};

/// Checks a schedule: cron with five fields, `never`, or a map.
pub(super) fn check(source: &Source<'_>, node: &Node, findings: &mut Findings) {
    if let Some(written) = text(node) {
        if written != "never" {
            check_cron(source, node, written, findings);
        }
        return;
    }
    if !matches!(node.value, NodeValue::Map(_)) {
        return;
    }
    let fields = Fields::new(&tables::SCHEDULE, node);
    let times = fields.texts("cron");
    for (written, node) in &times {
        check_cron(source, node, written, findings);
    }
    let every = fields.node("every");
    match (times.is_empty(), every) {
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
    if let Some((written, node)) = every.and_then(|node| Some((text(node)?, node)))
        && scalar::duration(written).is_some_and(|every| every.as_secs() < 1)
    {
        let message = "`every`: the interval is 0. Write one such as 6h.";
        findings.mistake(&source.file, node.at, message);
    }
    if let Some((zone, node)) = fields
        .node("zone")
        .and_then(|node| Some((text(node)?, node)))
    {
        if !times.is_empty() || every.is_none() {
            check_zone(source, node, zone, findings);
        } else {
            let message = "`zone` has no effect with `every`. Remove one of the two.";
            findings.mistake(&source.file, node.at, message);
        }
    }
    // Both are checked by their kind alone.
    let _ = (fields.node("jitter"), fields.node("at-start"));
}

fn check_cron(source: &Source<'_>, node: &Node, written: &str, findings: &mut Findings) {
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
            Ok(_) => return,
        }
    };
    let message = format!(
        "`{written}` is not a time in cron form: {why}. Write minute, hour, day, month and weekday, such as `0 3 * * *`, or `never`."
    );
    findings.mistake(&source.file, node.at, message);
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
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    cron.find_next_occurrence(&start, false).is_err()
}

fn check_zone(source: &Source<'_>, node: &Node, zone: &str, findings: &mut Findings) {
    if jiff::tz::TimeZone::get(zone).is_err() {
        let message = format!(
            "there is no time zone `{zone}`. Write a name of the IANA database, such as `Europe/Berlin`, or `UTC`."
        );
        findings.mistake(&source.file, node.at, message);
    }
}
