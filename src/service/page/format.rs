//! Numbers, sizes, times and durations on pages.

use image_syncer_sync::config::Times;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::service::page::reader::Reader;
use crate::service::page::text::Texts;
use crate::ui::units;

pub(super) use crate::escape::line as visible;
pub(super) use crate::ui::units::{bytes, grouped};

/// Returns a time as an element: UTC in the text, which the script shows in the zone of the reader.
pub(super) fn time(at: Timestamp) -> Markup {
    html! {
        time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) translate="no" {
            (at.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
    }
}

/// Returns a time with its distance from now: "3 min ago".
pub(super) fn time_and_distance(reader: &Reader, at: Timestamp) -> Markup {
    html! {
        span.when {
            span.distance { (distance(reader, at)) }
            " "
            (time(at))
        }
    }
}

/// Returns the distance of a time from now. The time itself is its title.
pub(super) fn moment(reader: &Reader, at: Timestamp) -> Markup {
    html! {
        time.moment datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC")) {
            (distance(reader, at))
        }
    }
}

/// Returns the distance of a time from now: "in 4 min", "3 h ago".
fn distance(reader: &Reader, at: Timestamp) -> String {
    let t = reader.texts();
    let distance = at.duration_since(reader.now);
    let is_past = distance.is_negative();
    let seconds = distance.unsigned_abs().as_secs();
    if seconds < 5 {
        return t.now.to_owned();
    }
    let pattern = if is_past { t.ago } else { t.within };
    fill(pattern, &[&rough_duration(t, seconds)])
}

/// Returns a duration in its largest unit.
fn rough_duration(t: &Texts, seconds: u64) -> String {
    match seconds {
        0..60 => fill(t.seconds, &[&seconds.to_string()]),
        60..3_600 => fill(t.minutes, &[&(seconds / 60).to_string()]),
        3_600..172_800 => fill(t.hours, &[&(seconds / 3_600).to_string()]),
        _ => fill(t.days, &[&grouped(seconds / 86_400)]),
    }
}

/// Returns a duration in its two largest units: "3 min 20 s".
pub(super) fn duration(t: &Texts, duration: SignedDuration) -> String {
    let seconds = u64::try_from(duration.as_secs()).unwrap_or_default();
    let two = |first: &str, n: u64, second: &str, m: u64| {
        let first = fill(first, &[&grouped(n)]);
        if m == 0 {
            return first;
        }
        format!("{first} {}", fill(second, &[&m.to_string()]))
    };
    match seconds {
        0 => fill(
            t.milliseconds,
            &[&duration.subsec_millis().max(0).to_string()],
        ),
        1..60 => fill(t.seconds, &[&seconds.to_string()]),
        60..3_600 => two(t.minutes, seconds / 60, t.seconds, seconds % 60),
        3_600..172_800 => two(t.hours, seconds / 3_600, t.minutes, seconds % 3_600 / 60),
        _ => two(t.days, seconds / 86_400, t.hours, seconds % 86_400 / 3_600),
    }
}

/// Returns the times of runs in words; `None` if they start only on request.
pub(super) fn schedule(t: &Texts, times: &Times) -> Option<String> {
    match times {
        Times::Never => None,
        Times::Every(interval) => {
            let interval = SignedDuration::try_from(*interval).unwrap_or_default();
            Some(fill(t.every, &[&duration(t, interval)]))
        }
        Times::Cron(times, zone) => {
            let times = times.iter().map(|time| cron_time(t, time.as_str()));
            let times: Vec<String> = times.collect();
            let zone = zone.iana_name().unwrap_or("UTC");
            Some(fill(t.in_zone, &[&times.join("; "), zone]))
        }
    }
}

/// Returns a time in cron form: in words if it is a time of every day, otherwise as it was written.
fn cron_time(t: &Texts, written: &str) -> String {
    let fields: Vec<&str> = written.split_whitespace().collect();
    let number = |field: &str| field.parse::<u8>().ok();
    let daily = match fields[..] {
        [minute, hour, "*", "*", "*"] => number(hour).zip(number(minute)),
        _ => None,
    };
    match daily {
        Some((hour, minute)) => fill(t.daily, &[&format!("{hour:02}:{minute:02}")]),
        None => written.to_owned(),
    }
}

/// Returns the duration between two times.
pub(super) fn between(t: &Texts, from: Timestamp, to: Timestamp) -> String {
    duration(t, to.duration_since(from))
}

/// Returns bytes per second.
pub(super) fn speed(per_second: u64) -> String {
    format!("{}/s", units::bytes(per_second))
}

/// Returns a number of images: "1 image", "1,234 images".
pub(super) fn images(t: &Texts, number: u64) -> String {
    counted(t.one_image, t.many_images, number)
}

/// Returns a number with its noun.
pub(super) fn counted(one: &str, many: &str, number: u64) -> String {
    let pattern = if number == 1 { one } else { many };
    fill(pattern, &[&grouped(number)])
}

/// Replaces each `{}` of `pattern` by the next of `values`.
pub(super) fn fill(pattern: &str, values: &[&str]) -> String {
    let mut filled = String::with_capacity(pattern.len() + 16);
    let mut values = values.iter();
    for (index, part) in pattern.split("{}").enumerate() {
        if index > 0 {
            filled.push_str(values.next().unwrap_or(&""));
        }
        filled.push_str(part);
    }
    filled
}

/// Returns a percentage of a whole, rounded down so that 100 % means all.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// Returns the first characters of a digest, without `sha256:`.
pub(super) fn short_digest(digest: &str) -> String {
    let (algorithm, encoded) = digest.split_once(':').unwrap_or(("sha256", digest));
    let short: String = encoded.chars().take(units::SHORT).collect();
    match algorithm {
        "sha256" => short,
        _ => format!("{algorithm}:{short}"),
    }
}

/// Returns `text` so that it is one segment of a path.
pub(super) fn segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'~')
        .remove(b'.');
    // A segment of dots only would be resolved by the browser, even encoded.
    utf8_percent_encode(text, KEPT).to_string()
}

/// Returns a path with a query of these fields; empty ones are omitted.
pub(super) fn link(path: &str, fields: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    for (index, (name, value)) in given.enumerate() {
        link.push(if index == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.push_str(&segment(value));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::page::text::Lang;

    #[test]
    fn durations_have_two_units_in_both_languages() {
        let english = Lang::English.texts();
        let chinese = Lang::Chinese.texts();
        for (seconds, en, zh) in [
            (0, "0 ms", "0 毫秒"),
            (59, "59 s", "59 秒"),
            (60, "1 min", "1 分钟"),
            (200, "3 min 20 s", "3 分钟 20 秒"),
            (7_500, "2 h 5 min", "2 小时 5 分钟"),
            (180_000, "2 d 2 h", "2 天 2 小时"),
        ] {
            let duration_of = |t| duration(t, SignedDuration::from_secs(seconds));
            assert_eq!(duration_of(english), en);
            assert_eq!(duration_of(chinese), zh);
        }
    }

    #[test]
    fn schedules_are_in_the_language_of_the_page() {
        use image_syncer_sync::config::Times;
        use std::time::Duration;
        let english = Lang::English.texts();
        let chinese = Lang::Chinese.texts();
        let every = Times::Every(Duration::from_secs(5_400));
        let in_words = |t| schedule(t, &every);
        assert_eq!(in_words(english).as_deref(), Some("every 1 h 30 min"));
        assert_eq!(in_words(chinese).as_deref(), Some("每 1 小时 30 分钟"));
        assert_eq!(schedule(english, &Times::Never), None);
        for (written, en, zh) in [
            ("5 3 * * *", "daily at 03:05", "每天 03:05"),
            ("*/5 3 * * *", "*/5 3 * * *", "*/5 3 * * *"),
            ("0 3 * * 1", "0 3 * * 1", "0 3 * * 1"),
            ("0 1-4 * * *", "0 1-4 * * *", "0 1-4 * * *"),
        ] {
            assert_eq!(cron_time(english, written), en);
            assert_eq!(cron_time(chinese, written), zh);
        }
    }

    #[test]
    fn links_encode_their_fields_and_omit_empty_ones() {
        let fields = [("q", "a/b&c=<d>"), ("state", ""), ("after", "é")];
        assert_eq!(
            link("/rules", &fields),
            "/rules?q=a%2Fb%26c%3D%3Cd%3E&after=%C3%A9"
        );
        assert_eq!(link("/rules", &[]), "/rules");
    }

    #[test]
    fn only_all_is_a_hundred_percent() {
        assert_eq!(percent(9_999, 10_000), 99);
        assert_eq!(percent(10_000, 10_000), 100);
        assert_eq!(percent(1, 0), 0);
    }
}
