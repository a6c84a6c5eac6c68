//! The plot of a run's throughput: lines in a picture that stretches, labels beside it in text.

use maud::{Markup, html};

use crate::service::page::format::{duration, fill, speed};
use crate::service::page::reader::Reader;
use crate::service::throughput::Sample;
use jiff::SignedDuration;

/// Width and height of the picture, in its own units.
const WIDTH: u64 = 1_000;
const HEIGHT: u64 = 200;

/// Maximum number of points of a line. More samples are averaged.
const POINTS: usize = 160;

/// Speed at one moment, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Seconds since the start of the run.
    pub(super) second: u64,
    /// Read from sources.
    pub(super) read: u64,
    /// Sent to destinations.
    pub(super) sent: u64,
}

/// Returns the speeds between samples.
pub(super) fn points(samples: &[Sample]) -> Vec<Point> {
    let step = samples.len().div_ceil(POINTS).max(1);
    let origin = Sample::default();
    let chosen = samples.iter().skip(step - 1).step_by(step);
    let mut before = &origin;
    let mut points = Vec::with_capacity(samples.len() / step + 1);
    for sample in chosen {
        let seconds = sample.second.saturating_sub(before.second);
        if seconds == 0 {
            continue;
        }
        points.push(Point {
            second: sample.second,
            read: sample.fetched_bytes.saturating_sub(before.fetched_bytes) / seconds,
            sent: sample.sent_bytes.saturating_sub(before.sent_bytes) / seconds,
        });
        before = sample;
    }
    points
}

/// Returns the smallest "round" number that is at least `number`: 1, 2 or 5 times a power of ten, of binary units.
fn rounded_up(number: u64) -> u64 {
    let mut unit = 1_024_u64;
    while number / unit >= 1_024 && unit < 1 << 50 {
        unit *= 1_024;
    }
    for factor in [1, 2, 5, 10, 20, 50, 100, 200, 500] {
        if factor * unit >= number {
            return factor * unit;
        }
    }
    unit * 1_024
}

/// Returns the points of a line as numbers of `x,y`.
fn line(points: &[Point], last: u64, top: u64, value: impl Fn(&Point) -> u64) -> String {
    use std::fmt::Write as _;
    let mut line = String::with_capacity(points.len() * 9);
    for point in points {
        let x = point.second.saturating_mul(WIDTH) / last.max(1);
        let y = HEIGHT - (value(point).saturating_mul(HEIGHT) / top.max(1)).min(HEIGHT);
        // Writing to a string does not fail.
        let _ = write!(line, "{x},{y} ");
    }
    line
}

/// Returns the plot; `None` before there are two points.
pub(super) fn throughput(reader: &Reader, points: &[Point]) -> Option<Markup> {
    let t = reader.texts();
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    // The first speed is that since the start.
    let start = Point {
        second: 0,
        ..*first
    };
    let points: Vec<Point> = std::iter::once(start)
        .chain(points.iter().copied())
        .collect();
    let most = points
        .iter()
        .map(|point| point.read.max(point.sent))
        .max()?;
    let top = rounded_up(most.max(1_024));
    let sent = line(&points, last.second, top, |point| point.sent);
    let read = line(&points, last.second, top, |point| point.read);
    let area = format!("0,{HEIGHT} {sent}{WIDTH},{HEIGHT}");
    let label = fill(t.plot_label, &[&speed(last.sent), &speed(most)]);
    let whole = SignedDuration::from_secs(i64::try_from(last.second).unwrap_or_default());
    let data = points
        .iter()
        .map(|point| [point.second, point.read, point.sent]);
    let data = serde_json::to_string(&data.collect::<Vec<_>>()).unwrap_or_default();
    Some(html! {
        figure.plot data-plot=(data) data-sent=(t.sent) data-read=(t.read) {
            figcaption {
                span.key.key-sent { (t.sent) }
                span.key.key-read { (t.read) }
                output.readout aria-hidden="true" {}
            }
            div.plot-y aria-hidden="true" {
                span { (speed(top)) }
                span { (speed(top / 2)) }
                span { "0" }
            }
            div.plot-area {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
                    path.grid d="M0 0H1000M0 100H1000M0 200H1000M250 0V200M500 0V200M750 0V200" {}
                    polygon.area points=(area) {}
                    polyline.line-read points=(read) {}
                    polyline.line-sent points=(sent) {}
                }
            }
            div.plot-x aria-hidden="true" { span { "0" } span { (duration(t, whole / 2)) } span { (duration(t, whole)) } }
        }
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn sample(second: u64, bytes: u64) -> Sample {
        Sample {
            second,
            fetched_bytes: bytes,
            sent_bytes: 2 * bytes,
            ..Sample::default()
        }
    }

    #[test]
    fn speeds_are_differences_over_their_time() {
        let samples = [sample(0, 0), sample(1, 100), sample(4, 400), sample(4, 400)];
        let point = |second, read| Point {
            second,
            read,
            sent: 2 * read,
        };
        assert_eq!(points(&samples), [point(1, 100), point(4, 100)]);
    }

    #[test]
    fn the_number_of_points_is_bounded_and_no_byte_is_lost() {
        let samples: Vec<Sample> = (1..=512).map(|second| sample(second, second * 7)).collect();
        let points = points(&samples);
        assert!(points.len() <= POINTS, "{}", points.len());
        assert!(
            points
                .iter()
                .all(|point| point.read == 7 && point.sent == 14)
        );
    }

    #[test]
    fn lines_begin_at_the_start_of_the_run() {
        use crate::service::page::samples;
        use crate::service::page::text::Lang;
        let reader = samples::reader(Lang::English);
        let points = points(&[sample(2, 2_048), sample(4, 2_048)]);
        let plot = throughput(&reader, &points).map(maud::PreEscaped::into_string);
        let plot = plot.unwrap_or_default();
        assert!(
            plot.contains(r#"line-read" points="0,100 500,100 1000,200 ""#),
            "{plot}"
        );
        assert_eq!(throughput(&reader, &points[..1]).map(|plot| plot.0), None);
    }

    #[test]
    fn the_scale_is_round_in_binary_units() {
        for (number, top) in [
            (0, 1_024),
            (1_024, 1_024),
            (1_025, 2_048),
            (3 << 20, 5 << 20),
            (700 << 20, 1 << 30),
            ((1 << 30) + 1, 2 << 30),
        ] {
            assert_eq!(rounded_up(number), top, "{number}");
        }
        assert!(rounded_up(u64::MAX) >= 1 << 60);
    }
}
