//! Parsers of values. Their errors say what is wrong and what to write: *why. What to write.*

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Maximum of a time limit, in seconds: one day.
const DAY: u64 = 24 * 60 * 60;

/// Parses a time limit in seconds.
pub(super) fn limit(text: &str) -> Result<u64, String> {
    seconds(text, 1..=DAY)
}

/// Parses `--grace`, in seconds.
pub(super) fn grace(text: &str) -> Result<u64, String> {
    seconds(text, 0..=DAY)
}

fn seconds(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    let advice = format!("not a number of seconds. Write a whole number from {least} to {most}.");
    number.ok_or(advice)
}

/// Parses a path, which may be empty: the parser of clap refuses an empty one.
pub(in crate::cli) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Parses a duration: a whole number and its unit, or 0.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(DAY),
        "" if number == "0" => Some(0),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let seconds = number
        .zip(seconds)
        .and_then(|(n, unit)| n.checked_mul(unit));
    let advice = "not a duration. Write a whole number with its unit, such as 30s, 15m, 12h or 7d, or 0 for no interval.";
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| advice.into())
}

/// Parses `--retries`. A negative number counts as 0, as in the Go tool, which then tries everything once.
pub(super) fn retries(text: &str) -> Result<u32, String> {
    if text.parse::<i64>().is_ok_and(|number| number < 0) {
        return Ok(0);
    }
    whole(text)
}

/// Parses a number of days.
pub(in crate::cli) fn days(text: &str) -> Result<u32, String> {
    whole(text)
}

fn whole(text: &str) -> Result<u32, String> {
    let advice = || format!("not a whole number. Write a number from 0 to {}.", u32::MAX);
    text.parse().map_err(|_| advice())
}

/// Parses `--proc`.
pub(super) fn proc(text: &str) -> Result<i64, String> {
    let advice = "not a whole number. Write a number, such as 4; 0 sets no limit.";
    text.parse().map_err(|_| advice.to_owned())
}

/// Parses a boolean.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
        _ => Err("neither true nor false. Write true, false or the flag alone.".to_owned()),
    }
}
