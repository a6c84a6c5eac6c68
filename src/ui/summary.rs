//! What a run came to, in a few lines, failures last.

use std::time::Duration;

use sync::report::{Failed, Summary};
use sync::{Class, Failure};

use crate::ui::counts::HostCounts;
use crate::ui::hint::hint;
use crate::ui::lines::Lines;
use crate::ui::paint::Paint;
use crate::ui::units;

/// Says the summary by way of `lines`.
pub fn print_summary(lines: &Lines, summary: &Summary, wire: HostCounts, elapsed: Duration) {
    lines.closing(summary.exit_code() != 0, &block(summary, wire, elapsed));
}

/// The lines, each with its colour.
fn block(summary: &Summary, wire: HostCounts, elapsed: Duration) -> Vec<(Paint, String)> {
    let mut block = vec![
        (Paint::Plain, String::new()),
        (verdict(summary), images(summary)),
        (Paint::Plain, moved(summary, elapsed)),
        (Paint::Plain, requests(wire)),
    ];
    block.extend(referrers(summary));
    block.extend(verified(summary));
    block.extend(recorded(summary));
    if summary.was_interrupted() {
        let text = "interrupted: run again to finish; what is there is not sent again";
        block.push((Paint::Yellow, text.to_owned()));
    }
    block.extend(trouble(summary));
    block
}

/// What was lost sight of, and what failed; nothing where nothing did.
pub(super) fn trouble(summary: &Summary) -> Vec<(Paint, String)> {
    let mut block = Vec::new();
    if !summary.adds_up() {
        let text = "some images were lost sight of: this is a defect of image-syncer, please report it; run again";
        block.push((Paint::Red, text.to_owned()));
    }
    if !summary.failures.is_empty() {
        block.push((Paint::Plain, String::new()));
        block.push((Paint::Bold, format!("failed: {}", classes(summary))));
        for failed in &summary.failures {
            block.extend(failure(failed));
        }
        let all = summary.failed + summary.failed_rules;
        let left_out = all.saturating_sub(summary.failures.len() as u64);
        if left_out > 0 {
            let text = format!("  and {left_out} more, each told when it failed");
            block.push((Paint::Plain, text));
        }
    }
    block
}

fn verdict(summary: &Summary) -> Paint {
    if summary.failed + summary.failed_rules > 0 || !summary.adds_up() {
        Paint::Red
    } else if summary.was_interrupted() {
        Paint::Yellow
    } else {
        Paint::Green
    }
}

/// `12 images: 3 copied, 7 unchanged, 1 skipped, 1 failed; 1 source could not be listed`.
fn images(summary: &Summary) -> String {
    let interrupted = match summary.interrupted {
        0 => String::new(),
        number => format!(", {number} interrupted"),
    };
    let mut parts = vec![format!(
        "{}: {} copied, {} unchanged, {} skipped, {} failed{interrupted}",
        units::count(summary.finished(), "image"),
        summary.copied,
        summary.unchanged,
        summary.skipped,
        summary.failed
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
fn referrers(summary: &Summary) -> Option<(Paint, String)> {
    let number = units::count(summary.referrers, "referrer");
    let only = match summary.only_referrers {
        0 => String::new(),
        1 => ", for 1 image that is unchanged itself".to_owned(),
        images => format!(", for {images} images that are unchanged themselves"),
    };
    let (paint, contended) = match summary.contended {
        0 => (Paint::Plain, ""),
        _ => (
            Paint::Yellow,
            "; others were writing lists of referrers at the same time: run again to complete them",
        ),
    };
    let text = format!("{number} (signatures and the like) came along{only}{contended}");
    (summary.referrers > 0).then_some((paint, text))
}

/// `7 verified to the last blob, 1 repaired: 3 manifests and blobs were lost`; nothing where nothing was verified.
fn verified(summary: &Summary) -> Option<(Paint, String)> {
    let repaired = match (summary.repaired, summary.losses) {
        (0, _) if summary.verified == 0 => return None,
        (0, _) => String::new(),
        (images, 1) => format!(", {images} repaired: 1 manifest or blob was lost"),
        (images, losses) => format!(", {images} repaired: {losses} manifests and blobs were lost"),
    };
    let paint = if summary.repaired > 0 {
        Paint::Yellow
    } else {
        Paint::Plain
    };
    let text = format!("{} verified to the last blob{repaired}", summary.verified);
    Some((paint, text))
}

/// `12 immutable tags were taken from the records`; nothing where none were.
fn recorded(summary: &Summary) -> Option<(Paint, String)> {
    let tags = units::count(summary.recorded, "immutable tag");
    let were = if summary.recorded == 1 { "was" } else { "were" };
    let text = format!("{tags} {were} taken from the records");
    (summary.recorded > 0).then_some((Paint::Plain, text))
}

/// `67.3 MiB sent, 12.0 MiB mounted, 3.0 MiB already there; 2.1 s, 32.0 MiB/s`.
fn moved(summary: &Summary, elapsed: Duration) -> String {
    let speed = units::speed(summary.volume.bytes, elapsed)
        .map_or_else(String::new, |speed| format!(", {speed}"));
    format!(
        "{} sent, {} mounted, {} already there; {}{speed}",
        units::bytes(summary.volume.bytes),
        units::bytes(summary.volume.mounted_bytes),
        units::bytes(summary.volume.present_bytes),
        units::time(elapsed)
    )
}

fn requests(wire: HostCounts) -> String {
    let retries = match wire.retries {
        1 => "1 retry".to_owned(),
        retries => format!("{retries} retries"),
    };
    format!("{}, {retries}", units::count(wire.requests, "request"))
}

/// `2 at the source, 1 for want of a login or right`.
fn classes(summary: &Summary) -> String {
    let parts: Vec<String> = summary
        .by_class
        .iter()
        .map(|(class, number)| {
            let place = match class {
                Class::Source => "at the source",
                Class::Destination => "at the destination",
                Class::Credentials => "for want of a login or right",
                Class::RateLimit => "by a rate limit",
                Class::Internal => "in image-syncer itself",
                Class::Interrupted => "interrupted",
            };
            format!("{} {place}", units::grouped(*number))
        })
        .collect();
    parts.join(", ")
}

/// Source and destination, the reason, which names the host, and what can be done.
fn failure(failed: &Failed) -> Vec<(Paint, String)> {
    let name = match &failed.destination {
        Some(destination) => format!("  {} → {destination}", failed.source),
        None => format!("  {}", failed.source),
    };
    let mut lines = vec![
        (Paint::Plain, name),
        (Paint::Red, format!("    {}", reason(&failed.failure))),
    ];
    if let Some(hint) = hint(&failed.failure) {
        lines.push((Paint::Dim, format!("    hint: {hint}")));
    }
    lines
}

/// The reason, with what the registry answered where the sentence leaves it out.
fn reason(failure: &Failure) -> String {
    let status = failure.status.map(|status| status.to_string());
    let answer: Vec<&str> = [status.as_deref(), failure.code.as_deref()]
        .into_iter()
        .flatten()
        .filter(|part| !has_word(&failure.reason, part))
        .collect();
    if answer.is_empty() {
        failure.reason.clone()
    } else {
        format!("{} ({})", failure.reason, answer.join(" "))
    }
}

/// Whether `text` says `word`, and not merely as a part of something else, such as a port.
fn has_word(text: &str, word: &str) -> bool {
    let is_apart = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "()[],;\"'".contains(c));
    text.match_indices(word).any(|(start, _)| {
        let (before, rest) = text.split_at(start);
        let after = rest.chars().nth(word.chars().count());
        // A clause may end with it: "… answered 404: …".
        is_apart(before.chars().next_back())
            && (is_apart(after) || matches!(after, Some(':' | '.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync::Side;
    use sync::event::Volume;

    fn text(summary: &Summary) -> String {
        let wire = HostCounts {
            requests: 12_345,
            retries: 1,
            ..HostCounts::default()
        };
        let lines = block(summary, wire, Duration::from_secs(2));
        lines.into_iter().map(|(_, line)| line + "\n").collect()
    }

    #[test]
    fn a_good_run_takes_three_lines() {
        let summary = Summary {
            copied: 1,
            unchanged: 2,
            volume: Volume {
                bytes: 4 << 20,
                mounted_bytes: 1 << 10,
                ..Volume::default()
            },
            ..Summary::default()
        };
        assert_eq!(
            text(&summary),
            "\n3 images: 1 copied, 2 unchanged, 0 skipped, 0 failed\n\
             4.0 MiB sent, 1.0 KiB mounted, 0 B already there; 2.0 s, 2.0 MiB/s\n\
             12,345 requests, 1 retry\n"
        );
    }

    #[test]
    fn what_was_verified_has_a_line_of_its_own() {
        let mut summary = Summary {
            unchanged: 7,
            verified: 7,
            ..Summary::default()
        };
        assert!(text(&summary).ends_with("\n7 verified to the last blob\n"));
        summary.copied = 2;
        (summary.repaired, summary.losses) = (1, 1);
        assert!(
            text(&summary).ends_with(
                "\n7 verified to the last blob, 1 repaired: 1 manifest or blob was lost\n"
            )
        );
        (summary.repaired, summary.losses) = (2, 5);
        assert!(text(&summary).ends_with(
            "\n7 verified to the last blob, 2 repaired: 5 manifests and blobs were lost\n"
        ));
    }

    #[test]
    fn failures_come_last_with_reason_and_hint() {
        let summary = Summary {
            failed: 1,
            by_class: [(Class::Source, 1)].into(),
            failures: vec![Failed {
                source: "a.example/x:v1".to_owned(),
                destination: Some("b.example/x:v1".to_owned()),
                failure: Failure {
                    kind: Some(registry::ErrorKind::NotFound),
                    cause: registry::Cause::NotFound,
                    side: Side::Source,
                    host: "a.example".to_owned(),
                    ..Failure::local("cannot fetch manifest x:v1 at a.example: 404 Not Found")
                },
            }],
            ..Summary::default()
        };
        assert!(text(&summary).ends_with(
            "\nfailed: 1 at the source\n  a.example/x:v1 → b.example/x:v1\n    \
             cannot fetch manifest x:v1 at a.example: 404 Not Found\n    \
             hint: see whether the name is right and still exists at the source\n"
        ));
    }

    #[test]
    fn a_port_is_not_a_status() {
        let told = |text: &str| {
            reason(&Failure {
                status: Some(404),
                ..Failure::local(text)
            })
        };
        let at_port = "cannot find x:v1 at localhost:14041: it is not there";
        assert_eq!(told(at_port), format!("{at_port} (404)"));
        for says_it in ["it answered 404 Not Found", "no luck: 404", "a 404: gone"] {
            assert_eq!(told(says_it), says_it);
        }
    }

    #[test]
    fn what_was_lost_is_called_a_defect() {
        let summary = Summary {
            discovered: 1,
            ..Summary::default()
        };
        assert!(text(&summary).contains("defect"));
    }

    #[test]
    fn an_interrupted_run_says_how_to_finish() {
        let summary = Summary {
            interrupted: 3,
            ..Summary::default()
        };
        let text = text(&summary);
        assert!(text.contains("3 interrupted") && text.contains("run again to finish"));
    }
}
