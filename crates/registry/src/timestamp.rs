//! Points in time that hosts name: read from headers, and said to people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Numbers from here on are seconds since 1970, and below it seconds from now: GitLab and GitHub say the former, the
/// IETF's draft the latter.
const FIRST_MOMENT: u64 = 1_000_000_000;

/// Returns the end of a rate limit, from `ratelimit-reset` or `x-ratelimit-reset`. It is only reported, and never
/// waited for.
pub(crate) fn reset(headers: &HeaderMap, now: SystemTime) -> Option<SystemTime> {
    let value = ["ratelimit-reset", "x-ratelimit-reset"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    let number: u64 = value.to_str().ok()?.trim().parse().ok()?;
    let moment = if number >= FIRST_MOMENT {
        UNIX_EPOCH.checked_add(Duration::from_secs(number))?
    } else {
        now.checked_add(Duration::from_secs(number))?
    };
    let wait = moment.duration_since(now).ok()?;
    (wait <= LONGEST).then_some(moment)
}

/// `until 14:05:00 UTC, in 23 min`; with the day before it where that is not within a day.
pub(crate) fn until(moment: SystemTime, now: SystemTime) -> String {
    let wait = moment.duration_since(now).unwrap_or_default();
    // An HTTP date has a fixed width: `Sun, 06 Nov 1994 08:49:37 GMT`. It has no years of more than four digits.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let text = httpdate::fmt_http_date(moment.clamp(UNIX_EPOCH, last));
    let shown = if wait < Duration::from_secs(24 * 60 * 60) {
        text.get(17..25)
    } else {
        text.get(5..25)
    };
    format!("until {} UTC, in {}", shown.unwrap_or(&text), span(wait))
}

/// `45 s`, `23 min`, `2 h 5 min`, `3 d`: rounded up, so that nobody comes too early.
fn span(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let minutes = seconds.div_ceil(60);
    match (seconds, minutes) {
        (..=90, _) => format!("{seconds} s"),
        (_, ..=119) => format!("{minutes} min"),
        (_, ..=2880) if minutes.is_multiple_of(60) => format!("{} h", minutes / 60),
        (_, ..=2880) => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d", minutes.div_ceil(24 * 60)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: u64 = 1_784_111_777;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_reset_is_a_moment_or_a_wait() {
        for (value, expected) in [
            ("60", Some(NOW + 60)),
            (" 1784111800 ", Some(1_784_111_800)),
            ("1784111700", None),
            ("99999999999", None),
            ("18446744073709551615", None),
            ("soon", None),
            ("-1", None),
        ] {
            for name in ["ratelimit-reset", "x-ratelimit-reset"] {
                let mut headers = HeaderMap::new();
                headers.insert(name, HeaderValue::from_static(value));
                assert_eq!(reset(&headers, at(NOW)), expected.map(at), "{value}");
            }
        }
        assert_eq!(reset(&HeaderMap::new(), at(NOW)), None);
    }

    #[test]
    fn a_moment_is_said_in_universal_time() {
        let said = |wait: u64| until(at(784_111_777 + wait), at(784_111_777));
        assert_eq!(said(0), "until 08:49:37 UTC, in 0 s");
        assert_eq!(said(90), "until 08:51:07 UTC, in 90 s");
        assert_eq!(said(23 * 60 - 1), "until 09:12:36 UTC, in 23 min");
        assert_eq!(said(6 * 3600), "until 14:49:37 UTC, in 6 h");
        assert_eq!(said(6 * 3600 + 61), "until 14:50:38 UTC, in 6 h 2 min");
        assert_eq!(said(30 * 3600), "until 07 Nov 1994 14:49:37 UTC, in 30 h");
        assert_eq!(said(100 * 3600), "until 10 Nov 1994 12:49:37 UTC, in 5 d");
        assert!(until(at(u64::MAX >> 1), at(0)).starts_with("until 31 Dec 9999"));
        assert!(until(at(0), at(5)).ends_with("in 0 s"));
    }
}
