//! Progress lines at long intervals, for outputs without a live view.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use image_syncer_registry::transport::PauseReason;

use crate::ui::lines::{LineLabel, LineWriter};
use crate::ui::live::listings::RunningListing;
use crate::ui::live::meter::ProgressMeter;
use crate::ui::live::{RunStatus, shutdown};
use crate::ui::units;

/// Interval of the lines: long enough for a log, short enough to notice a run that hangs.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// Maximum number of paused hosts that are named.
const NAMED: usize = 3;

/// Prints the progress at each interval, while it is polled.
pub(super) async fn heartbeat(lines: &LineWriter, mut meter: ProgressMeter) -> Infallible {
    let mut beat = tokio::time::interval(EVERY);
    beat.tick().await;
    loop {
        beat.tick().await;
        let status = meter.sample(Instant::now());
        lines.print(LineLabel::Note, &describe_status(&status));
    }
}

/// Returns the progress: `12 of 100+ images ended (1 failed), 5 under way; 3.4 GiB of 9.1 GiB sent, 35.0 MiB/s; 3 min
/// 20 s left`.
fn describe_status(status: &RunStatus) -> String {
    let failed = match status.failed {
        0 => String::new(),
        number => format!(" ({} failed)", units::grouped(number)),
    };
    let found = if status.listing {
        format!("{}+ {}", units::grouped(status.found), status.unit.plural())
    } else {
        status.unit.count(status.found)
    };
    let mut parts = vec![format!(
        "{} of {found} ended{failed}, {} under way",
        units::grouped(status.ended),
        units::grouped(status.under_way),
    )];
    let known = status.moved + status.remaining;
    if known > 0 {
        let speed = status
            .speed
            .map_or_else(String::new, |speed| format!(", {}/s", units::bytes(speed)));
        let (moved, known) = (units::bytes(status.moved), units::bytes(known));
        parts.push(format!("{moved} of {known} sent{speed}"));
    }
    parts.extend(status.left.map(|left| format!("{} left", roughly(left))));
    if status.retries > 0 {
        let s = if status.retries == 1 { "y" } else { "ies" };
        parts.push(format!("{} retr{s}", units::grouped(status.retries)));
    }
    parts.extend(listings(status, NAMED));
    parts.extend(pauses(status, NAMED));
    parts.extend(status.ending.map(|state| ending(state, status)));
    parts.join("; ")
}

/// Returns the lists of repositories that are being read; at most `named` of them by name.
pub(super) fn listings(status: &RunStatus, named: usize) -> Vec<String> {
    let running = status.listings.iter();
    let mut all: Vec<String> = running.take(named).map(RunningListing::describe).collect();
    let more = status.listings.len().saturating_sub(named);
    if more > 0 {
        all.push(format!("and {}", units::count(more as u64, "more list")));
    }
    all
}

/// Returns the paused hosts with the rest of their pauses; at most `named` of them by name.
pub(super) fn pauses(status: &RunStatus, named: usize) -> Vec<String> {
    let pause = |pause: &super::pauses::Pause| {
        let why = match pause.why {
            PauseReason::RateLimit => "rate limit",
            PauseReason::Overload => "overloaded",
        };
        let seconds = pause.left.as_secs_f64().ceil();
        format!("{}: {why}, continues in {seconds} s", pause.host)
    };
    let mut all: Vec<String> = status.pauses.iter().take(named).map(pause).collect();
    let more = status.pauses.len().saturating_sub(named);
    if more > 0 {
        all.push(format!("and {}", units::count(more as u64, "more host")));
    }
    all
}

/// Returns what the end of the run waits for.
pub(super) fn ending(state: shutdown::State, status: &RunStatus) -> String {
    let images = status.unit.count(status.under_way);
    match state {
        shutdown::State::GoesOn(left) => {
            let seconds = left.as_secs_f64().ceil();
            format!("ending: waiting for {images}, at most {seconds} s")
        }
        shutdown::State::Dropped => format!("ending: {images} dropped"),
    }
}

/// Returns an estimated time: `under 10 s`, `45 s`, `3 min 20 s`, `24 min`, `2 h 5 min`.
pub(super) fn roughly(time: Duration) -> String {
    let to = |step: u64| (time.as_secs() + step / 2) / step * step;
    match time.as_secs() {
        ..10 => "under 10 s".to_owned(),
        10..58 => format!("{} s", to(5)),
        58..595 => match to(10) {
            time if time.is_multiple_of(60) => format!("{} min", time / 60),
            time => format!("{} min {} s", time / 60, time % 60),
        },
        595..3570 => format!("{} min", to(60) / 60),
        _ => match to(300) {
            time if time.is_multiple_of(3600) => format!("{} h", time / 3600),
            time => format!("{} h {} min", time / 3600, time % 3600 / 60),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::CopyUnit;
    use crate::ui::live::pauses::Pause;

    #[test]
    fn the_progress_line_has_all_parts() {
        let mut status = RunStatus {
            found: 1_000,
            listing: true,
            ended: 12,
            under_way: 5,
            ..RunStatus::default()
        };
        assert_eq!(
            describe_status(&status),
            "12 of 1,000+ images ended, 5 under way"
        );
        status = RunStatus {
            listing: false,
            failed: 1,
            retries: 3,
            moved: 1 << 30,
            remaining: 1 << 30,
            speed: Some(2 << 20),
            left: Some(Duration::from_secs(200)),
            pauses: vec![Pause {
                host: "docker.io".to_owned(),
                left: Duration::from_millis(33_200),
                why: PauseReason::RateLimit,
            }],
            ending: Some(shutdown::State::GoesOn(Duration::from_secs(20))),
            ..status
        };
        assert_eq!(
            describe_status(&status),
            "12 of 1,000 images ended (1 failed), 5 under way; 1.0 GiB of 2.0 GiB sent, 2.0 MiB/s; 3 min 20 s left; \
             3 retries; docker.io: rate limit, continues in 34 s; ending: waiting for 5 images, at most 20 s"
        );
    }

    #[test]
    fn lists_of_repositories_are_named() {
        let listing = |place: &str, listed, total| RunningListing::new(place, listed, total);
        let status = RunStatus {
            listing: true,
            listings: vec![
                listing("harbor.example.com", 1_200, Some(2_503)),
                listing("quay.io/team", 0, None),
                listing("c.example", 7, None),
                listing("d.example", 1, None),
            ],
            ..RunStatus::default()
        };
        assert_eq!(
            describe_status(&status),
            "0 of 0+ images ended, 0 under way; listing harbor.example.com: 1,200 of 2,503 repositories; listing quay.io/team; \
             listing c.example: 7 repositories; and 1 more list"
        );
    }

    #[test]
    fn images_to_several_destinations_are_copies() {
        let status = RunStatus {
            unit: CopyUnit::Copy,
            found: 6,
            ended: 1,
            under_way: 1,
            ending: Some(shutdown::State::GoesOn(Duration::from_secs(20))),
            ..RunStatus::default()
        };
        assert_eq!(
            describe_status(&status),
            "1 of 6 copies ended, 1 under way; ending: waiting for 1 copy, at most 20 s"
        );
    }

    #[test]
    fn estimated_times_are_rounded() {
        for (seconds, text) in [
            (3, "under 10 s"),
            (12, "10 s"),
            (57, "55 s"),
            (58, "1 min"),
            (124, "2 min"),
            (200, "3 min 20 s"),
            (594, "9 min 50 s"),
            (595, "10 min"),
            (3_569, "59 min"),
            (3_570, "1 h"),
            (7_500, "2 h 5 min"),
        ] {
            assert_eq!(roughly(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
