//! Limits of registries that several processes share.

use std::fmt::Write as _;

use image_syncer_registry::transport::PerRegistry;
use image_syncer_sync::shard::Shard;

use crate::ui::units;

/// Name of a limit for each registry without its own.
const EACH: &str = "each registry";

/// Division of the limits of registries among the processes of a run. Each limit is that of all processes together.
#[derive(Default)]
pub(super) struct LimitShare<'a> {
    shard: Option<Shard>,
    /// Receiver of the line that announces the division.
    notes: Option<&'a mut Vec<String>>,
}

/// Limits of a process.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SharedLimits {
    /// Requests per second.
    pub(super) requests: PerRegistry<f64>,
    /// Bytes per second.
    pub(super) rate: PerRegistry<u64>,
    /// Transfers in flight.
    pub(super) transfers: PerRegistry<usize>,
}

impl<'a> LimitShare<'a> {
    /// Returns the share of `shard`: everything without one. If there are limits, `notes` gets a line about them.
    pub(super) fn new(shard: Option<Shard>, notes: &'a mut Vec<String>) -> Self {
        Self {
            shard,
            notes: Some(notes),
        }
    }

    /// Returns the share of `limits`. None becomes 0.
    pub(super) fn of_limits(self, limits: SharedLimits) -> SharedLimits {
        let Some(shard) = self.shard.filter(|shard| shard.count() > 1) else {
            return limits;
        };
        let count = shard.count();
        let share = SharedLimits {
            requests: limits.requests.map(|limit| limit / f64::from(count)),
            rate: limits.rate.map(|limit| (limit / u64::from(count)).max(1)),
            transfers: limits
                .transfers
                .map(|limit| (limit / count as usize).max(1)),
        };
        if let (Some(notes), Some(list)) = (self.notes, share.description()) {
            notes.push(format!(
                "shard {shard}: limits of registries are those of all {count} shards together; here {list}"
            ));
        }
        share
    }
}

impl SharedLimits {
    /// Returns the limits as a list, by registry; `None` without any.
    fn description(&self) -> Option<String> {
        let mut lines = Vec::new();
        describe(&self.requests, &mut lines, |limit| {
            format!("{} requests/s", short(*limit))
        });
        describe(&self.rate, &mut lines, |limit| {
            format!("{}/s", units::bytes(*limit))
        });
        describe(&self.transfers, &mut lines, |limit| {
            units::count(*limit as u64, "transfer")
        });
        // Stable, so that the limits of one registry keep their order.
        lines.sort_by_key(|(registry, _)| (registry != EACH, registry.clone()));
        let mut text = String::new();
        let mut last = None;
        for (registry, limit) in lines {
            // Writing to a String cannot fail.
            let _ = match &last {
                None => write!(text, "{registry}: {limit}"),
                Some(same) if *same == registry => write!(text, ", {limit}"),
                Some(_) => write!(text, "; {registry}: {limit}"),
            };
            last = Some(registry);
        }
        (!text.is_empty()).then_some(text)
    }
}

fn describe<T>(
    limits: &PerRegistry<T>,
    lines: &mut Vec<(String, String)>,
    form: impl Fn(&T) -> String,
) {
    let named = limits.named.iter();
    lines.extend(named.map(|(registry, limit)| (registry.to_string(), form(limit))));
    let each = limits.each.iter();
    lines.extend(each.map(|limit| (EACH.to_owned(), form(limit))));
}

/// Returns a number with at most three decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" {
        format!("{number:.2e}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::Registry;

    use super::*;

    fn limits() -> SharedLimits {
        let registry = || Registry::parse("r.example").unwrap();
        SharedLimits {
            requests: PerRegistry::default()
                .with_each(10.0)
                .with_registry(registry(), 0.5),
            rate: PerRegistry::default().with_registry(registry(), 100 << 20),
            transfers: PerRegistry::default().with_registry(registry(), 3),
        }
    }

    fn share(shard: Option<Shard>, limits: SharedLimits) -> (SharedLimits, Vec<String>) {
        let mut notes = Vec::new();
        let share = LimitShare::new(shard, &mut notes).of_limits(limits);
        (share, notes)
    }

    #[test]
    fn limits_are_divided_and_none_becomes_zero() {
        let (share, notes) = share(Some(Shard::new(1, 4).unwrap()), limits());
        let registry = Registry::parse("r.example").unwrap();
        assert_eq!(share.requests.each, Some(2.5));
        assert_eq!(share.requests.named.get(&registry), Some(&0.125));
        assert_eq!(share.rate.named.get(&registry), Some(&(25 << 20)));
        assert_eq!(share.transfers.named.get(&registry), Some(&1));
        assert_eq!(
            notes,
            [
                "shard 1/4: limits of registries are those of all 4 shards together; here each registry: 2.5 requests/s; r.example: 0.125 requests/s, 25.0 MiB/s, 1 transfer"
            ]
        );
    }

    #[test]
    fn nothing_is_divided_or_said_without_shards_or_limits() {
        for shard in [None, Some(Shard::new(0, 1).unwrap())] {
            assert_eq!(share(shard, limits()), (limits(), Vec::new()));
        }
        let shard = Some(Shard::new(0, 8).unwrap());
        let none = SharedLimits::default;
        assert_eq!(share(shard, none()), (none(), Vec::new()));
    }

    #[test]
    fn small_numbers_stay_readable() {
        let found = [2.5, 10.0, 0.125, 0.000_1, 3.333_333].map(short);
        assert_eq!(found, ["2.5", "10", "0.125", "1.00e-4", "3.333"]);
    }
}
