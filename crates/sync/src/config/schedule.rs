//! Times of the runs of a rule, which only a service reads.

use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

/// Times of the runs of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// The times.
    pub times: Times,
    /// Maximum delay of a start; `None` for the smaller of 10 % of the interval and 5 minutes.
    pub jitter: Option<Duration>,
    /// True if a run starts with the service.
    pub at_start: bool,
}

/// Times at which runs start.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Times {
    /// Runs start only on request.
    #[default]
    Never,
    /// The local times of any of these, which have five fields; never empty.
    Cron(Vec<CronTime>, TimeZone),
    /// The interval between two starts; at least a second.
    Every(Duration),
}

/// A time in cron form.
#[derive(Clone, Debug)]
pub struct CronTime {
    written: String,
    cron: Cron,
}

impl CronTime {
    pub(super) fn new(written: String, cron: Cron) -> Self {
        Self { written, cron }
    }

    /// Returns the time as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Returns the parsed time.
    pub fn cron(&self) -> &Cron {
        &self.cron
    }
}

impl PartialEq for CronTime {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Schedule {
    /// Returns a schedule with these times, without further settings.
    pub fn new(times: Times) -> Self {
        Self {
            times,
            ..Self::default()
        }
    }
}
