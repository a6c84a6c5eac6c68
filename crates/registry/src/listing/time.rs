//! Points in time, as APIs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Earliest time that is believed: 1980. Earlier ones are zero values of programs, and file times of reproducible
/// builds.
const EARLIEST: Duration = Duration::from_secs(315_532_800);

/// Reads a time of RFC 3339: `2024-05-02T11:22:33.456Z`.
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    let nanos = u64::try_from(time.as_nanosecond()).ok()?;
    believed(Duration::from_nanos(nanos))
}

/// Reads a number of seconds since 1970.
pub(super) fn unix_seconds(seconds: u64) -> Option<SystemTime> {
    believed(Duration::from_secs(seconds))
}

/// Reads a number of milliseconds since 1970.
pub(super) fn unix_milliseconds(milliseconds: u64) -> Option<SystemTime> {
    believed(Duration::from_millis(milliseconds))
}

fn believed(since_epoch: Duration) -> Option<SystemTime> {
    (since_epoch >= EARLIEST)
        .then(|| UNIX_EPOCH.checked_add(since_epoch))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1980_are_unknown() {
        let at = |millis| Some(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(rfc3339("2024-05-02T11:22:33.456Z"), at(1_714_648_953_456));
        assert_eq!(rfc3339("2024-05-02T13:22:33+02:00"), at(1_714_648_953_000));
        for text in [
            "0001-01-01T00:00:00.000Z",
            "1970-01-01T00:00:00Z",
            "yesterday",
            "",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        assert_eq!(unix_seconds(1_714_648_953), at(1_714_648_953_000));
        assert_eq!(unix_milliseconds(1_714_648_953_456), at(1_714_648_953_456));
        for number in [0, 1, u64::MAX] {
            let found = (unix_seconds(number), unix_milliseconds(number / u64::MAX));
            assert_eq!(found, (None, None), "{number}");
        }
    }
}
