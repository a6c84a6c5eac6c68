//! Metrics of the process, which the kernel counts: read when they are requested.

use std::fmt;
use std::path::Path;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};

/// Encodes the metrics of this process. One that cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// Numbers of `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    /// Time on processors, in ticks of the clock.
    cpu: u64,
    /// Start of the process, in ticks since the start of the system.
    start: u64,
    /// Resident pages.
    resident: u64,
}

impl Stat {
    /// Parses the line. The name of the program may have blanks and brackets.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(')')?;
        // The first of these is field 3.
        let field = |number: usize| {
            fields
                .split_ascii_whitespace()
                .nth(number - 3)?
                .parse()
                .ok()
        };
        Some(Self {
            cpu: field(14)? + field(15)?,
            start: field(22)?,
            resident: field(24)?,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "values of metrics are floating")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Returns the start of the system, in seconds since 1970.
fn boot_time() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Returns the number of open files, without that of the listing itself.
fn open_files() -> Option<u64> {
    let files = Path::new("/proc/self/fd").read_dir().ok()?.count();
    u64::try_from(files.saturating_sub(1)).ok()
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        if let Some(stat) = stat.as_deref().and_then(Stat::parse) {
            let help = "Time on processors, of user and system.";
            let unit = Some(&Unit::Seconds);
            encoder
                .encode_descriptor("process_cpu", help, unit, MetricType::Counter)?
                .encode_counter::<NoLabelSet, f64, f64>(&seconds(stat.cpu), None)?;
            if let Some(boot) = boot_time() {
                let help = "Start of the process, since 1970.";
                encoder
                    .encode_descriptor("process_start_time", help, unit, MetricType::Gauge)?
                    .encode_gauge(&(f64::from(boot) + seconds(stat.start)))?;
            }
            let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
            let help = "Resident memory.";
            encoder
                .encode_descriptor(
                    "process_resident_memory",
                    help,
                    Some(&Unit::Bytes),
                    MetricType::Gauge,
                )?
                .encode_gauge(&stat.resident.saturating_mul(page))?;
        }
        if let Some(files) = open_files() {
            encoder
                .encode_descriptor("process_open_fds", "Open files.", None, MetricType::Gauge)?
                .encode_gauge(&files)?;
        }
        match getrlimit(Resource::Nofile).current {
            Some(most) => encoder
                .encode_descriptor(
                    "process_max_fds",
                    "Limit on open files.",
                    None,
                    MetricType::Gauge,
                )?
                .encode_gauge(&most),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_have_blanks_and_brackets() {
        let line = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 4242 1000 77 18446744073709551615";
        let expected = Stat {
            cpu: 200,
            start: 4_242,
            resident: 77,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1 2"), None);
    }
}
