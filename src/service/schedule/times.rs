//! The next start of a rule: pure functions of its schedule, its last start and the time.
//!
//! A start is planned at a time of the cron form, or an interval after the last start. What was missed, since the
//! service was down or another run took too long, is caught up once: the plan is then in the past. A local time that
//! does not exist (the clock is set forward) is replaced by the end of the gap, and one that exists twice counts once.

use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::config::{CronTime, Schedule, Times};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Maximum jitter by default.
const MAX_JITTER: Duration = Duration::from_secs(5 * 60);

/// Returns the time at which a rule starts next, which may be in the past; `None` for never.
pub(super) fn next_start(schedule: &Schedule, rule: &str, last: LastStart) -> Option<Timestamp> {
    match (&schedule.times, last) {
        (Times::Never, _) => None,
        // Caught up at once.
        (_, LastStart::Interrupted(last)) => Some(last),
        (Times::Every(interval), LastStart::At(last)) => after(last, *interval),
        (Times::Every(interval), LastStart::NeverSince(known)) => {
            after(known, jitter(schedule, rule, *interval))
        }
        (Times::Cron(times, zone), LastStart::At(last) | LastStart::NeverSince(last)) => {
            let planned = next_time(times, zone, last)?;
            let following = next_time(times, zone, planned);
            let interval = following.map(|following| following.duration_since(planned));
            let interval = interval.and_then(|it| Duration::try_from(it).ok());
            after(
                planned,
                jitter(schedule, rule, interval.unwrap_or_default()),
            )
        }
    }
}

/// Last start of a whole run of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastStart {
    /// It started then, and ended.
    At(Timestamp),
    /// It started then, and the service ended before it.
    Interrupted(Timestamp),
    /// It has not started, and the service knows the rule since then.
    NeverSince(Timestamp),
}

/// Returns the first of the times after `reference`.
fn next_time(times: &[CronTime], zone: &TimeZone, reference: Timestamp) -> Option<Timestamp> {
    let reference = reference.to_zoned(zone.clone());
    let next = times.iter().filter_map(|time| {
        let next = time.cron().find_next_occurrence(&reference, false);
        next.ok().map(|next| next.timestamp())
    });
    next.min()
}

/// Returns the delay of a rule's starts, which spreads the rules over time. It is always the same for one name.
fn jitter(schedule: &Schedule, rule: &str, interval: Duration) -> Duration {
    let most = schedule
        .jitter
        .unwrap_or_else(|| (interval / 10).min(MAX_JITTER));
    let hash = Digest::sha256(rule.as_bytes()).to_sha256();
    let hash = hash.and_then(|hash| hash.first_chunk().copied());
    let fraction = u32::from_be_bytes(hash.unwrap_or_default());
    let most = most.as_secs();
    // Whole seconds, both bounds included.
    let seconds = (u128::from(most.saturating_add(1)) * u128::from(fraction)) >> u32::BITS;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(most))
}

fn after(time: Timestamp, delay: Duration) -> Option<Timestamp> {
    let delay = SignedDuration::try_from(delay).ok()?;
    time.checked_add(delay).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use image_syncer_sync::Config;
    use image_syncer_sync::config::{ConfigFiles, Defaults, Input};
    use image_syncer_sync::rule::OptionOverrides;

    use super::*;

    /// Reads a schedule as a user writes it.
    fn schedule(written: &str) -> Schedule {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.yaml");
        let text = format!(
            "version: 1\nrules:\n- {{name: r, from: a.example/x, to: b.example/x, schedule: {written}}}\n"
        );
        std::fs::write(&path, text).unwrap();
        let files = ConfigFiles {
            config: vec![Input::File(path)],
            ..ConfigFiles::default()
        };
        let none = OptionOverrides::default();
        let config = Config::read(&files, &Defaults::default(), &|_| None, &none).unwrap();
        config.schedules.get("r").cloned().unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Returns the first starts after `begin`, each the last one of the next.
    fn starts(written: &str, begin: &str, count: usize) -> Vec<String> {
        let schedule = schedule(written);
        let mut last = LastStart::NeverSince(time(begin));
        let starts = std::iter::from_fn(|| {
            let next = next_start(&schedule, "r", last)?;
            last = LastStart::At(next);
            Some(next.to_string())
        });
        starts.take(count).collect()
    }

    #[test]
    fn a_daily_time_starts_every_day_in_utc() {
        assert_eq!(
            starts(
                r#"{cron: "0 3 * * *", jitter: 0s}"#,
                "2026-11-30T02:00:00Z",
                2
            ),
            ["2026-11-30T03:00:00Z", "2026-12-01T03:00:00Z"]
        );
    }

    #[test]
    fn a_time_in_the_gap_starts_at_its_end() {
        // 29 March 2026, 02:00 is 03:00 in Berlin; 8 March 2026 in New York.
        assert_eq!(
            starts(
                r#"{cron: "30 2 * * *", zone: Europe/Berlin, jitter: 0s}"#,
                "2026-03-28T00:00:00Z",
                3
            ),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
        assert_eq!(
            starts(
                r#"{cron: "30 2 * * *", zone: America/New_York, jitter: 0s}"#,
                "2026-03-07T06:00:00Z",
                3
            ),
            [
                "2026-03-07T07:30:00Z",
                "2026-03-08T07:00:00Z",
                "2026-03-09T06:30:00Z"
            ]
        );
    }

    #[test]
    fn a_repeated_time_starts_once() {
        // 25 October 2026, 03:00 is 02:00 in Berlin; 1 November 2026 in New York, an hour earlier.
        assert_eq!(
            starts(
                r#"{cron: "30 2 * * *", zone: Europe/Berlin, jitter: 0s}"#,
                "2026-10-24T12:00:00Z",
                2
            ),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            starts(
                r#"{cron: "30 1 * * *", zone: America/New_York, jitter: 0s}"#,
                "2026-10-31T12:00:00Z",
                2
            ),
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
        );
    }

    #[test]
    fn an_hourly_time_goes_on_through_both_changes() {
        for begin in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            let starts = starts(
                r#"{cron: "15 * * * *", zone: Europe/Berlin, jitter: 0s}"#,
                begin,
                4,
            );
            let starts: Vec<Timestamp> = starts.iter().map(|text| time(text)).collect();
            let hour = SignedDuration::from_hours(1);
            assert!(
                starts
                    .windows(2)
                    .all(|pair| pair[1].duration_since(pair[0]) == hour),
                "{starts:?}"
            );
        }
    }

    #[test]
    fn several_times_are_merged() {
        assert_eq!(
            starts(
                r#"{cron: ["0 3 * * *", "0 15 * * 1"], jitter: 0s}"#,
                "2026-11-30T04:00:00Z",
                2
            ),
            ["2026-11-30T15:00:00Z", "2026-12-01T03:00:00Z"]
        );
    }

    #[test]
    fn an_interval_is_anchored_at_the_last_start() {
        let schedule = schedule("{every: 6h}");
        let last = LastStart::At(time("2026-11-30T01:02:03Z"));
        let next = next_start(&schedule, "r", last).unwrap();
        assert_eq!(next, time("2026-11-30T07:02:03Z"));
    }

    #[test]
    fn the_jitter_is_stable_and_bounded() {
        let known = LastStart::NeverSince(time("2026-11-30T00:00:00Z"));
        let delay = |written: &str, rule: &str| {
            let next = next_start(&schedule(written), rule, known).unwrap();
            next.duration_since(time("2026-11-30T00:00:00Z")).as_secs()
        };
        let written = [("{every: 1h}", 0..=300), ("{every: 10m}", 0..=60)];
        for (written, range) in written {
            let delays: Vec<i64> = (0..50)
                .map(|it| delay(written, &format!("rule {it}")))
                .collect();
            assert!(
                delays.iter().all(|delay| range.contains(delay)),
                "{delays:?}"
            );
            assert!(
                delays.iter().any(|delay| *delay > range.end() / 2),
                "{delays:?}"
            );
            assert_eq!(delay(written, "rule 7"), delays[7]);
        }
        assert_eq!(delay("{every: 1h, jitter: 0s}", "rule 7"), 0);
    }

    #[test]
    fn a_missed_time_is_in_the_past() {
        let schedule = schedule(r#"{cron: "0 3 * * *", jitter: 0s}"#);
        let last = LastStart::At(time("2026-11-20T03:00:00Z"));
        assert_eq!(
            next_start(&schedule, "r", last),
            Some(time("2026-11-21T03:00:00Z"))
        );
    }

    #[test]
    fn an_interrupted_run_is_caught_up_at_once() {
        let last = LastStart::Interrupted(time("2026-11-20T03:01:00Z"));
        for written in [r#""0 3 * * *""#, "{every: 90d}"] {
            let next = next_start(&schedule(written), "r", last);
            assert_eq!(next, Some(time("2026-11-20T03:01:00Z")), "{written}");
        }
    }

    #[test]
    fn never_is_never() {
        let time = time("2026-11-30T00:00:00Z");
        for last in [LastStart::NeverSince(time), LastStart::Interrupted(time)] {
            assert_eq!(next_start(&schedule("never"), "r", last), None);
        }
    }
}
