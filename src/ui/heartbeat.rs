//! A sign of life, for runs that take long and images that take longer.

use std::convert::Infallible;
use std::time::Duration;

use sync::report::{Report, Summary};
use sync::transfer::Progress;

use crate::ui::lines::{Lines, Word};
use crate::ui::units;

/// How often: seldom enough for a log, often enough to tell a slow run from one that hangs.
const EVERY: Duration = Duration::from_secs(30);

/// Says how far the run is, again and again, for as long as it is polled.
pub async fn heartbeat(lines: &Lines, report: &Report, progress: &Progress) -> Infallible {
    let mut beat = tokio::time::interval(EVERY);
    beat.tick().await;
    let mut before = 0;
    loop {
        beat.tick().await;
        let moved = progress.bytes_streamed();
        let line = sentence(&report.summary(), progress, moved.saturating_sub(before));
        lines.say(Word::Note, &line);
        before = moved;
    }
}

/// `12 of 100 images ended (1 failed); 5 uploads under way, 3.4 GiB sent, 35.0 MiB/s`. More images may yet be found.
fn sentence(summary: &Summary, progress: &Progress, moved: u64) -> String {
    let failed = match summary.failed {
        0 => String::new(),
        number => format!(" ({number} failed)"),
    };
    let speed = units::speed(moved, EVERY).map_or_else(String::new, |speed| format!(", {speed}"));
    format!(
        "{} of {} ended{failed}; {} under way, {} sent{speed}",
        summary.finished(),
        units::count(summary.discovered, "image"),
        units::count(progress.uploads_under_way(), "upload"),
        units::bytes(progress.bytes_streamed())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_how_far_the_run_is() {
        let summary = Summary {
            discovered: 100,
            copied: 11,
            failed: 1,
            ..Summary::default()
        };
        let quiet = sentence(&summary, &Progress::default(), 0);
        assert_eq!(
            quiet,
            "12 of 100 images ended (1 failed); 0 uploads under way, 0 B sent"
        );
        let busy = sentence(&Summary::default(), &Progress::default(), 60 << 20);
        assert!(busy.ends_with("0 B sent, 2.0 MiB/s"), "{busy}");
    }
}
