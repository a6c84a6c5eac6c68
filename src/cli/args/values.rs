//! How values are read that clap cannot read by itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// The most seconds that a time limit may have: a day.
const DAY: u64 = 24 * 60 * 60;

/// Reads a limit without which nothing would work.
pub(super) fn limit() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=DAY)
}

/// Reads `--grace`.
pub(super) fn grace() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(0..=DAY)
}

/// Reads a path, which may be empty: clap's own parser refuses that.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Reads a duration: a whole number and its unit, or 0.
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
    let advice =
        "write a whole number with its unit, such as 30s, 15m, 12h or 7d, or 0 to ask always";
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| advice.into())
}

/// Reads `--retries`.
pub(super) fn retries(text: &str) -> Result<u32, String> {
    // The Go tool tries everything once, then.
    if text.parse::<i64>().is_ok_and(|number| number < 0) {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| format!("write a whole number from 0 to {}", u32::MAX))
}
