//! Totals of a run.

use image_syncer_sync::report::Summary;

use crate::run_summary::{RunSummary, Traffic};
use crate::ui::copy_unit;
use crate::ui::style::Style;
use crate::ui::summary::SummaryLine;
use crate::ui::units;

/// Returns the colour of the first line.
pub(super) fn verdict(summary: &Summary) -> Style {
    if summary.failures_given() > 0 || !summary.is_complete() {
        Style::Red
    } else if summary.was_interrupted() {
        Style::Yellow
    } else {
        Style::Green
    }
}

/// Returns the number of each outcome: `12 images: 3 copied, 7 unchanged, 1 skipped, 1 failed; 1 source could not be
/// listed`.
pub(super) fn images(summary: &Summary) -> String {
    let interrupted = match summary.interrupted {
        0 => String::new(),
        number => format!(", {} interrupted", units::grouped(number)),
    };
    let mut parts = vec![format!(
        "{}: {} copied, {} unchanged, {} skipped, {} failed{interrupted}",
        copy_unit::total(summary, true),
        units::grouped(summary.copied),
        units::grouped(summary.unchanged),
        units::grouped(summary.skipped),
        units::grouped(summary.failed)
    )];
    if summary.failed_sources() > 0 {
        let sources = units::count(summary.failed_sources(), "source");
        parts.push(format!("{sources} could not be listed"));
    }
    if summary.interrupted_sources() > 0 {
        let sources = units::count(summary.interrupted_sources(), "source");
        parts.push(format!("{sources} not listed to the end"));
    }
    parts.join("; ")
}

/// Returns the number of repositories of a shard: `shard 2/8: 120 of 950 repositories`.
pub(crate) fn shard(summary: &Summary) -> Option<String> {
    let shard = summary.shard?;
    Some(format!(
        "shard {}: {} of {}",
        shard.shard,
        units::grouped(shard.own),
        match shard.selected {
            1 => "1 repository".to_owned(),
            many => format!("{} repositories", units::grouped(many)),
        }
    ))
}

/// Returns the number of copied referrers, if any: `3 referrers (signatures and the like) copied; 1 image is otherwise
/// unchanged`.
pub(super) fn referrers(summary: &Summary) -> Option<SummaryLine> {
    let number = units::count(summary.referrers, "referrer");
    let only = match summary.only_referrers {
        0 => String::new(),
        1 => "; 1 image is otherwise unchanged".to_owned(),
        images => format!(
            "; {} images are otherwise unchanged",
            units::grouped(images)
        ),
    };
    let (paint, contended) = match summary.contended {
        0 => (Style::Plain, ""),
        _ => (
            Style::Yellow,
            "; other writers changed lists of referrers at the same time: run again to complete them",
        ),
    };
    let text = format!("{number} (signatures and the like) copied{only}{contended}");
    (summary.referrers > 0).then_some((paint, text))
}

/// Returns the number of updated tags, if any: `3 tags updated: they had other images before`.
pub(super) fn updated(summary: &Summary) -> Option<SummaryLine> {
    let text = match summary.updated {
        0 => return None,
        1 => "1 tag updated: it had another image before".to_owned(),
        tags => format!(
            "{} tags updated: they had other images before",
            units::grouped(tags)
        ),
    };
    Some((Style::Plain, text))
}

/// Returns the result of `--verify`, if it was given: `7 verified to the last blob, 1 repaired: 3 manifests and blobs were
/// missing`.
pub(super) fn verified(summary: &Summary) -> Option<SummaryLine> {
    let repaired = match (summary.repaired, summary.losses) {
        (0, _) if summary.verified == 0 => return None,
        (0, _) => String::new(),
        (images, 1) => format!(", {images} repaired: 1 manifest or blob was missing"),
        (images, losses) => {
            format!(", {images} repaired: {losses} manifests and blobs were missing")
        }
    };
    let paint = if summary.repaired > 0 {
        Style::Yellow
    } else {
        Style::Plain
    };
    let text = format!("{} verified to the last blob{repaired}", summary.verified);
    Some((paint, text))
}

/// Returns the number of tags that cost no request, if any: `12 immutable tags taken from the records`.
pub(super) fn recorded(summary: &Summary) -> Option<SummaryLine> {
    let tags = units::count(summary.recorded, "immutable tag");
    let text = format!("{tags} taken from the records");
    (summary.recorded > 0).then_some((Style::Plain, text))
}

/// Returns the volume, the time and the speed: `67.3 MiB sent, 12.0 MiB mounted, 3.0 MiB already there, 5.0 MiB shared with
/// other images; 2.1 s, 32.0 MiB/s`. The bytes sent include those of failed images.
pub(super) fn moved(ending: &RunSummary<'_>) -> String {
    let volume = ending.summary.volume;
    let sent = ending.traffic.sent;
    let speed = units::speed(sent, ending.elapsed);
    let speed = speed.map_or_else(String::new, |speed| format!(", {speed}"));
    let shared = match volume.shared_bytes {
        0 => String::new(),
        bytes => format!(", {} shared with other images", units::bytes(bytes)),
    };
    format!(
        "{} sent, {} mounted, {} already there{shared}; {}{speed}",
        units::bytes(sent),
        units::bytes(volume.mounted_bytes),
        units::bytes(volume.present_bytes),
        units::time(ending.elapsed)
    )
}

/// Returns the bytes sent for images that are not finished, if any.
pub(super) fn unfinished(ending: &RunSummary<'_>) -> Option<SummaryLine> {
    let bytes = ending
        .traffic
        .sent
        .saturating_sub(ending.summary.volume.bytes);
    let text = format!(
        "{} of this was sent for unfinished images; complete blobs are not sent again",
        units::bytes(bytes)
    );
    (bytes > 0).then_some((Style::Plain, text))
}

/// Returns the bytes that sources did not have to send, if any.
pub(super) fn saved_source_line(traffic: Traffic) -> Option<SummaryLine> {
    let text = format!(
        "{} read from sources: {} less than sent, because one download fed several destinations",
        units::bytes(traffic.fetched),
        units::bytes(traffic.saved_source_bytes())
    );
    (traffic.saved_source_bytes() > 0).then_some((Style::Plain, text))
}
