//! Scalar values of the native file, with the check of each.

use std::time::Duration;

use super::words::{joined, quoted};
use crate::config::registry_entry::RegistryLimits;

/// Kind of a scalar.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar {
    /// Any text, as written: `1.10` is no number.
    Text,
    /// A text that is never shown.
    Secret,
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds.
    Count {
        /// Minimum.
        least: u64,
        /// Maximum.
        most: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A number with a unit of time: `30s`, `15m`, `12h`, `7d`.
    Duration,
    /// A number of bytes per second: `200MiB`.
    Rate,
    /// A number of requests per second, with a fraction.
    Requests,
}

impl Scalar {
    /// Returns the description for messages.
    pub(super) fn description(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Count { .. } => "a number".to_owned(),
            Self::Choice(names) => {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                joined(&names, "or")
            }
            Self::Duration => "a duration such as 12h".to_owned(),
            Self::Rate => "a rate such as 50MiB".to_owned(),
            Self::Requests => "a number of requests per second".to_owned(),
        }
    }

    /// Checks a text.
    ///
    /// # Errors
    /// The reason, and the text to write.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Secret => Ok(()),
            Self::Boolean => boolean(text)
                .map(drop)
                .ok_or_else(|| "neither true nor false".to_owned()),
            Self::Count { least, most } => count(text, least, most).map(drop).ok_or_else(|| {
                if most == u64::MAX {
                    format!("not a number. Write a whole number of at least {least}.")
                } else {
                    format!("not a number. Write a whole number from {least} to {most}.")
                }
            }),
            Self::Choice(names) => choice(text, names),
            Self::Duration => duration(text).map(drop).ok_or_else(|| {
                "not a duration. Write a whole number with its unit, such as 30s, 15m, 12h or 7d."
                    .to_owned()
            }),
            Self::Rate => checked(RegistryLimits::parse_rate(text)),
            Self::Requests => checked(RegistryLimits::parse_requests(text)),
        }
    }
}

fn checked<T>(result: Result<T, impl std::fmt::Display>) -> Result<(), String> {
    result.map(drop).map_err(|why| why.to_string())
}

fn choice(text: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&text) {
        return Ok(());
    }
    let hint = crate::text::nearest(text, names);
    let known: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let hint = hint.map_or_else(|| joined(&known, "or"), quoted);
    Err(format!("there is no such value. Write {hint}."))
}

/// Parses a boolean, in the spellings of YAML 1.1 as well.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Parses a whole number between bounds.
pub(super) fn count(text: &str, least: u64, most: u64) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.filter(|number| (least..=most).contains(number))
}

/// Parses a duration: a whole number and its unit, or 0.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const DAY: u64 = 24 * 60 * 60;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        "w" => 7 * DAY,
        "" if number == "0" => 0,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    // A century: what is added to a time stays representable.
    let seconds = number.checked_mul(seconds)?;
    (seconds <= 100 * 366 * DAY).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_documented() {
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(duration("2w"), Some(Duration::from_secs(14 * 86_400)));
        for wrong in [
            "",
            "5",
            "m",
            "1.5h",
            "-1h",
            "99999999999999999999s",
            "9999999999d",
            "é",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(count("7", 1, 8), Some(7));
        assert_eq!(count("+7", 1, 8), None);
        assert_eq!(count("9", 1, 8), None);
        assert_eq!(boolean("Yes"), Some(true));
        assert_eq!(boolean("1"), None);
    }

    #[test]
    fn mistakes_name_what_to_write() {
        let hub = Scalar::Choice(&["auto", "harbor"]);
        assert_eq!(
            hub.check("habor").unwrap_err(),
            "there is no such value. Write `harbor`."
        );
        assert_eq!(
            hub.check("nexus").unwrap_err(),
            "there is no such value. Write `auto` or `harbor`."
        );
        let count = Scalar::Count {
            least: 1,
            most: u64::MAX,
        };
        assert_eq!(
            count.check("x").unwrap_err(),
            "not a number. Write a whole number of at least 1."
        );
    }
}
