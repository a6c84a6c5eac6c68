//! The totals of a run.

use image_syncer_sync::report::Summary;

use crate::report::{RunSummary, Traffic};
use crate::ui::style::Style;
use crate::ui::summary::SummaryLine;
use crate::ui::units;

/// The colour of it all.
pub(super) fn verdict(summary: &Summary) -> Style {
    if summary.failed + summary.failed_rules > 0 || !summary.is_complete() {
        Style::Red
    } else if summary.was_interrupted() {
        Style::Yellow
    } else {
        Style::Green
    }
}

/// `12 images: 3 copied, 7 unchanged, 1 skipped, 1 failed; 1 source could not be listed`.
pub(super) fn images(summary: &Summary) -> String {
    let interrupted = match summary.interrupted {
        0 => String::new(),
        number => format!(", {} interrupted", units::grouped(number)),
    };
    let mut parts = vec![format!(
        "{}: {} copied, {} unchanged, {} skipped, {} failed{interrupted}",
        units::count(summary.finished(), "image"),
        units::grouped(summary.copied),
        units::grouped(summary.unchanged),
        units::grouped(summary.skipped),
        units::grouped(summary.failed)
    )];
    if summary.failed_rules > 0 {
        let sources = units::count(summary.failed_rules, "source");
        parts.push(format!("{sources} could not be listed"));
    }
    if summary.interrupted_rules > 0 {
        let sources = units::count(summary.interrupted_rules, "source");
        parts.push(format!("{sources} not listed to the end"));
    }
    parts.join("; ")
}

/// `3 referrers (signatures and the like) came along, for 1 image that is unchanged itself`; nothing where none did.
pub(super) fn referrers(summary: &Summary) -> Option<SummaryLine> {
    let number = units::count(summary.referrers, "referrer");
    let only = match summary.only_referrers {
        0 => String::new(),
        1 => ", for 1 image that is unchanged itself".to_owned(),
        images => format!(", for {images} images that are unchanged themselves"),
    };
    let (paint, contended) = match summary.contended {
        0 => (Style::Plain, ""),
        _ => (
            Style::Yellow,
            "; others were writing lists of referrers at the same time: run again to complete them",
        ),
    };
    let text = format!("{number} (signatures and the like) came along{only}{contended}");
    (summary.referrers > 0).then_some((paint, text))
}

/// `3 tags were updated: they had other images before`; nothing where none were.
pub(super) fn updated(summary: &Summary) -> Option<SummaryLine> {
    let text = match summary.updated {
        0 => return None,
        1 => "1 tag was updated: it had another image before".to_owned(),
        tags => format!(
            "{} tags were updated: they had other images before",
            units::grouped(tags)
        ),
    };
    Some((Style::Plain, text))
}

/// `7 verified to the last blob, 1 repaired: 3 manifests and blobs were lost`; nothing where nothing was verified.
pub(super) fn verified(summary: &Summary) -> Option<SummaryLine> {
    let repaired = match (summary.repaired, summary.losses) {
        (0, _) if summary.verified == 0 => return None,
        (0, _) => String::new(),
        (images, 1) => format!(", {images} repaired: 1 manifest or blob was lost"),
        (images, losses) => format!(", {images} repaired: {losses} manifests and blobs were lost"),
    };
    let paint = if summary.repaired > 0 {
        Style::Yellow
    } else {
        Style::Plain
    };
    let text = format!("{} verified to the last blob{repaired}", summary.verified);
    Some((paint, text))
}

/// `12 immutable tags were taken from the records`; nothing where none were.
pub(super) fn recorded(summary: &Summary) -> Option<SummaryLine> {
    let tags = units::count(summary.recorded, "immutable tag");
    let were = if summary.recorded == 1 { "was" } else { "were" };
    let text = format!("{tags} {were} taken from the records");
    (summary.recorded > 0).then_some((Style::Plain, text))
}

/// `67.3 MiB sent, 12.0 MiB mounted, 3.0 MiB already there, 5.0 MiB brought by other images; 2.1 s, 32.0 MiB/s`. Sent is
/// what went over the wire, whatever became of its images.
pub(super) fn moved(ending: &RunSummary<'_>) -> String {
    let volume = ending.summary.volume;
    let sent = ending.traffic.sent;
    let speed = units::speed(sent, ending.elapsed);
    let speed = speed.map_or_else(String::new, |speed| format!(", {speed}"));
    let shared = match volume.shared_bytes {
        0 => String::new(),
        bytes => format!(", {} brought by other images", units::bytes(bytes)),
    };
    format!(
        "{} sent, {} mounted, {} already there{shared}; {}{speed}",
        units::bytes(sent),
        units::bytes(volume.mounted_bytes),
        units::bytes(volume.present_bytes),
        units::time(ending.elapsed)
    )
}

/// What was sent for images that did not end well; nothing where nothing was.
pub(super) fn unfinished(ending: &RunSummary<'_>) -> Option<SummaryLine> {
    let bytes = ending
        .traffic
        .sent
        .saturating_sub(ending.summary.volume.bytes);
    let text = format!(
        "{} of that were sent for images that are not finished; whole blobs among it are not sent again",
        units::bytes(bytes)
    );
    (bytes > 0).then_some((Style::Plain, text))
}

/// What sources did not have to send; nothing where it all went to one place.
pub(super) fn saved_source_line(traffic: Traffic) -> Option<SummaryLine> {
    let text = format!(
        "{} read at sources: {} less than was sent, as one download fed several destinations",
        units::bytes(traffic.fetched),
        units::bytes(traffic.saved_source_bytes())
    );
    (traffic.saved_source_bytes() > 0).then_some((Style::Plain, text))
}
