//! Sizes, times and speeds for people.

use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::Failure;

/// Returns bytes in binary units: `17 B`, `3.4 KiB`, `67.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = count as f64 / 1024.0;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        // 1023.95 would be shown as 1024.0 of the smaller unit.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Returns a time: `0.03 s`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    if whole < 3600 {
        return format!("{} min {} s", whole / 60, whole % 60);
    }
    format!("{} h {} min", whole / 3600, whole % 3600 / 60)
}

/// Returns bytes per second over `duration`; `None` if that has no meaning.
pub(super) fn speed(count: u64, duration: Duration) -> Option<String> {
    let milliseconds = u64::try_from(duration.as_millis()).ok()?;
    if count == 0 || milliseconds == 0 {
        return None;
    }
    let per_second = u128::from(count) * 1000 / u128::from(milliseconds);
    Some(format!(
        "{}/s",
        bytes(u64::try_from(per_second).unwrap_or(u64::MAX))
    ))
}

/// Returns a number and its noun: `1 image`, `3 images`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

/// Returns a number with separators: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns the cause of a failure and the host: `no-push-right at b.example`.
pub(super) fn cause(failure: &Failure) -> String {
    match failure.host.as_str() {
        "" => failure.cause.to_string(),
        host => format!("{} at {host}", failure.cause),
    }
}

/// Number of digits of a digest that identify it in practice.
pub(crate) const SHORT: usize = 12;

/// Returns the first `digits` of a digest. The algorithm is omitted for sha256.
pub(crate) fn short(digest: &Digest, digits: usize) -> String {
    let text = digest.to_string();
    match text.split_once(':') {
        Some(("sha256", encoded)) => encoded.chars().take(digits).collect(),
        Some((algorithm, encoded)) => {
            let encoded: String = encoded.chars().take(digits).collect();
            format!("{algorithm}:{encoded}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_largest_unit_that_leaves_a_number_below_1024() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (70_569_164, "67.3 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn times_are_never_rounded_to_sixty_seconds() {
        for (milliseconds, text) in [
            (0, "0.00 s"),
            (30, "0.03 s"),
            (999, "1.0 s"),
            (4_200, "4.2 s"),
            (59_940, "59.9 s"),
            (59_960, "1 min 0 s"),
            (200_400, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn a_speed_needs_bytes_and_time() {
        assert_eq!(speed(0, Duration::from_secs(1)), None);
        assert_eq!(speed(10, Duration::ZERO), None);
        assert_eq!(
            speed(2048, Duration::from_millis(500)).as_deref(),
            Some("4.0 KiB/s")
        );
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        assert_eq!(count(1, "image"), "1 image");
        assert_eq!(count(0, "image"), "0 images");
        assert_eq!(count(1_234_567, "request"), "1,234,567 requests");
    }
}
