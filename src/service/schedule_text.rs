//! Schedules as text for people.

use std::time::Duration;

use image_syncer_sync::config::{CronTime, Times};

use crate::service::rule_book::ServiceRule;

impl ServiceRule {
    /// Returns the times of its runs, as the user wrote them; `None` if they start only on request.
    pub(crate) fn schedule_text(&self) -> Option<String> {
        match &self.schedule.times {
            Times::Never => None,
            Times::Cron(times, zone) => {
                let times: Vec<&str> = times.iter().map(CronTime::as_str).collect();
                let zone = zone.iana_name().unwrap_or("UTC");
                Some(format!("{} ({zone})", times.join("; ")))
            }
            Times::Every(interval) => Some(format!("every {}", short(*interval))),
        }
    }
}

/// Returns a duration in the form of the files: a whole number with the largest unit that fits.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units
        .into_iter()
        .find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or((1, "s"));
    format!("{}{unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_form_of_the_files() {
        for (seconds, text) in [
            (86_400, "1d"),
            (21_600, "6h"),
            (5_400, "90m"),
            (61, "61s"),
            (0, "0s"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
