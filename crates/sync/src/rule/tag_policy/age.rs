//! Ages of tags.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::rule::RuleError;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Maximum of an age: a hundred years.
const MAX_AGE: Duration = Duration::from_secs(36_500 * DAY);

/// Seconds from 1970 to 1980. Earlier times are placeholders, as reproducible builds write them.
const YEAR_1980: Duration = Duration::from_secs(3_652 * DAY);

/// Units of ages, the largest first. An age is written without a blank (`3d`) and shown with one (`3 d`).
const UNITS: [(&str, &str, u64); 4] = [
    ("d", "d", DAY),
    ("h", "h", 60 * 60),
    ("m", "min", 60),
    ("s", "s", 1),
];

/// Limit for the age of tags, and the time from which it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgeLimit {
    /// The age.
    pub age: Duration,
    /// Time from which the age counts.
    pub by: AgeSource,
}

/// Time from which the age of a tag counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AgeSource {
    /// The push time of the registry's listing. Without one, a minimum age counts from the time at which the digest was
    /// first seen, and a maximum age from the earlier of that time and the creation of the image.
    #[default]
    Auto,
    /// The push time of the registry's listing.
    Pushed,
    /// The time at which a run first saw the digest in the repository, from the records.
    FirstSeen,
    /// The creation time in the config of the image, which its author chooses.
    Created,
}

/// Times of a tag, as far as they are known. Times before 1980 count as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagTimes {
    /// Push time of the registry's listing.
    pub pushed: Option<SystemTime>,
    /// Time at which a run first saw the digest.
    pub first_seen: Option<SystemTime>,
    /// Creation time of the image.
    pub created: Option<SystemTime>,
}

/// Times that must be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeededTimes {
    /// True if the time at which the digest was first seen is needed.
    pub first_seen: bool,
    /// True if the creation time is needed.
    pub created: bool,
}

/// Parses an age: a whole number and its unit (`s`, `m`, `h`, `d`).
///
/// # Errors
/// For any other text, for 0, and for more than a hundred years.
pub fn parse_age(text: &str) -> Result<Duration, RuleError> {
    let digits = text.trim_end_matches(|it: char| !it.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let unit = UNITS.iter().find(|(written, ..)| *written == unit);
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    let seconds = number
        .zip(unit)
        .and_then(|(number, (.., seconds))| number.checked_mul(*seconds));
    let age = seconds.map(Duration::from_secs);
    age.filter(|age| *age <= MAX_AGE).ok_or_else(|| {
        RuleError(format!(
            "{text} is not an age. Write a whole number above 0 with its unit, such as 30m, 12h or 3d."
        ))
    })
}

/// Returns an age in its largest whole unit: `3 d`.
pub(super) fn age_text(age: Duration) -> String {
    let seconds = age.as_secs();
    let fits = |(.., unit): &&(&str, &str, u64)| seconds.is_multiple_of(*unit);
    let (_, shown, unit) = UNITS.iter().find(fits).unwrap_or(&("s", "s", 1));
    format!("{} {shown}", seconds / unit)
}

impl AgeLimit {
    /// Returns the time from which a minimum age counts; `None` if it is unknown.
    pub(super) fn quarantine_start(&self, times: &TagTimes) -> Option<SystemTime> {
        match self.by {
            AgeSource::Auto => times.pushed().or(times.first_seen()),
            other => other.time(times),
        }
    }
    /// Returns the time from which a maximum age counts; `None` if it is unknown.
    pub(super) fn expiry_start(&self, times: &TagTimes) -> Option<SystemTime> {
        match self.by {
            AgeSource::Auto => times
                .pushed()
                .or(match (times.first_seen(), times.created()) {
                    (Some(seen), Some(created)) => Some(seen.min(created)),
                    (one, other) => one.or(other),
                }),
            other => other.time(times),
        }
    }
    /// Returns the time at which the limit is reached.
    pub(super) fn end(&self, start: SystemTime) -> Option<SystemTime> {
        start.checked_add(self.age)
    }
    /// Returns true if the limit was reached by `now`. A time that cannot be represented is never reached.
    pub(super) fn is_reached(&self, start: SystemTime, now: SystemTime) -> bool {
        self.end(start).is_some_and(|end| end <= now)
    }
}

impl AgeSource {
    fn time(self, times: &TagTimes) -> Option<SystemTime> {
        match self {
            Self::Auto | Self::Pushed => times.pushed(),
            Self::FirstSeen => times.first_seen(),
            Self::Created => times.created(),
        }
    }
    /// Parses the name, as in files.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        match text {
            "pushed" => Ok(Self::Pushed),
            "first-seen" => Ok(Self::FirstSeen),
            "created" => Ok(Self::Created),
            _ => Err(RuleError(format!(
                "{text} is not a time of a tag. Write pushed, first-seen or created."
            ))),
        }
    }
}

impl fmt::Display for AgeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Pushed => "pushed",
            Self::FirstSeen => "first-seen",
            Self::Created => "created",
        })
    }
}

impl TagTimes {
    pub(super) fn pushed(&self) -> Option<SystemTime> {
        known(self.pushed)
    }
    pub(super) fn first_seen(&self) -> Option<SystemTime> {
        known(self.first_seen)
    }
    pub(super) fn created(&self) -> Option<SystemTime> {
        known(self.created)
    }
}

impl NeededTimes {
    /// Returns true if nothing must be looked up.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

fn known(time: Option<SystemTime>) -> Option<SystemTime> {
    time.filter(|time| *time >= SystemTime::UNIX_EPOCH + YEAR_1980)
}

/// Tag in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedTag {
    /// The tag.
    pub tag: String,
    /// End of its quarantine; `None` if its age is unknown.
    #[serde(
        rename = "until_unix_ns",
        with = "crate::serde_time::unix_nanoseconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<SystemTime>,
}

/// Displays as `v1.31.4 until 2 Dec 09:14`, in UTC.
impl fmt::Display for QuarantinedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.and_then(|it| jiff::Timestamp::try_from(it).ok());
        match until {
            Some(until) => write!(f, "{} until {}", self.tag, until.strftime("%-d %b %H:%M")),
            None => write!(f, "{} of unknown age", self.tag),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        for (text, seconds, shown) in [
            ("3d", 3 * DAY, "3 d"),
            ("72h", 3 * DAY, "3 d"),
            ("12h", DAY / 2, "12 h"),
            ("90m", 5_400, "90 min"),
            ("30s", 30, "30 s"),
            ("36500d", 36_500 * DAY, "36500 d"),
        ] {
            let age = parse_age(text).unwrap();
            assert_eq!(age.as_secs(), seconds, "{text}");
            assert_eq!(age_text(age), shown);
        }
        for text in [
            "",
            "3",
            "d",
            "0d",
            "-1d",
            "1.5d",
            "3 d",
            "3D",
            "1w",
            "3dd",
            "36501d",
            "99999999999999999999d",
        ] {
            let error = parse_age(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "{text} is not an age. Write a whole number above 0 with its unit, such as 30m, 12h or 3d."
                )
            );
        }
    }

    #[test]
    fn the_order_of_times_differs_for_minimum_and_maximum() {
        let at = |days: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY));
        let limit = |by| AgeLimit {
            age: Duration::from_secs(DAY),
            by,
        };
        let all = TagTimes {
            pushed: at(20_003),
            first_seen: at(20_002),
            created: at(20_001),
        };
        let unlisted = TagTimes {
            pushed: None,
            ..all
        };
        let new = TagTimes {
            first_seen: None,
            ..unlisted
        };
        let old = TagTimes {
            created: at(1),
            ..unlisted
        };
        let auto = limit(AgeSource::Auto);
        for (times, quarantine, expiry) in [
            (all, at(20_003), at(20_003)),
            (unlisted, at(20_002), at(20_001)),
            (new, None, at(20_001)),
            (old, at(20_002), at(20_002)),
        ] {
            assert_eq!(auto.quarantine_start(&times), quarantine);
            assert_eq!(auto.expiry_start(&times), expiry);
        }
        for (by, time) in [
            (AgeSource::Pushed, at(20_003)),
            (AgeSource::FirstSeen, at(20_002)),
            (AgeSource::Created, at(20_001)),
        ] {
            assert_eq!(limit(by).quarantine_start(&all), time);
            assert_eq!(limit(by).expiry_start(&all), time);
            assert_eq!(AgeSource::parse(&by.to_string()).unwrap(), by);
        }
        assert_eq!(limit(AgeSource::Pushed).quarantine_start(&unlisted), None);
        assert_eq!(limit(AgeSource::Created).quarantine_start(&old), None);
    }
}
