//! Limits of requests and transfers in flight, which depend on the limit on open files.

use std::collections::HashSet;

use image_syncer_registry::Registry;
use image_syncer_registry::transport::WindowBounds;
use image_syncer_sync::rule::RuleSet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Small requests in flight per host. The start is enough to compare a thousand unchanged images in half a second at
/// 20 ms, and few enough for a registry with one process. The maximum is what a server usually accepts on one HTTP/2
/// connection.
const CALLS_PER_HOST: WindowBounds = WindowBounds::new(64, 256);

/// Blob bodies in flight per host and direction. More than the start brings nothing with large bodies, as one core
/// hashes 0.6 GB/s, and each costs memory. Small bodies wait most of the time, so more of them are allowed.
const TRANSFERS_PER_HOST: WindowBounds = WindowBounds::new(16, 32);

/// Number of open files to request: more than two hosts need with all limits at their maximum.
const ENOUGH_FILES: u64 = 16_384;

/// Open files besides connections: the three streams, log, reports, records, the runtime's own, name resolution, and
/// connections to token servers and storage.
const OTHER_FILES: u64 = 48;

/// Limits in flight per host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Small requests.
    pub(crate) calls: WindowBounds,
    /// Blob bodies, in each direction.
    pub(crate) transfers: WindowBounds,
}

impl Windows {
    /// Returns the limits for `rules`: lower than usual if this process may not open enough connections.
    pub(crate) fn for_rules(rules: &RuleSet) -> Self {
        let hosts: HashSet<Registry> = rules
            .endpoints()
            .filter_map(|endpoint| endpoint.registry().cloned())
            .collect();
        Self::for_open_files(raise_open_files(), hosts.len())
    }

    /// Returns the limits with which the connections to `hosts` stay within `open_files`: half of them for small
    /// requests, a quarter for each direction of blobs.
    fn for_open_files(open_files: Option<u64>, hosts: usize) -> Self {
        let connections = open_files.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
        let per_host = usize::try_from(connections).unwrap_or(usize::MAX) / hosts.max(1);
        Self {
            calls: at_most(CALLS_PER_HOST, per_host / 2),
            transfers: at_most(TRANSFERS_PER_HOST, per_host / 4),
        }
    }
}

/// Returns `bounds`, limited to `most`, which is at least 1.
fn at_most(bounds: WindowBounds, most: usize) -> WindowBounds {
    let most = most.max(1);
    WindowBounds::new(bounds.start.min(most), bounds.most.min(most))
}

/// Raises the soft limit on open files if that is useful, and returns the result; `None` for no limit. Many systems
/// start programs with 1,024 because of `select`, and let them raise it.
fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH_FILES, |maximum| maximum.min(ENOUGH_FILES));
    let current = current?;
    if current >= wanted {
        return Some(current);
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(wanted),
        Err(_) => Some(current),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_as_wide_as_usual_where_files_suffice() {
        let usual = Windows {
            calls: CALLS_PER_HOST,
            transfers: TRANSFERS_PER_HOST,
        };
        assert_eq!(Windows::for_open_files(None, 2), usual);
        assert_eq!(Windows::for_open_files(None, 0), usual);
        assert_eq!(Windows::for_open_files(Some(ENOUGH_FILES), 2), usual);
        assert_eq!(Windows::for_open_files(Some(1_100), 2), usual);
    }

    #[test]
    fn connections_stay_within_the_limit() {
        for files in [0, 16, 64, 128, 256, 1_024] {
            for hosts in [1, 2, 3, 10, 100] {
                let Windows { calls, transfers } = Windows::for_open_files(Some(files), hosts);
                assert!(calls.start > 0 && calls.start <= calls.most);
                assert!(transfers.start > 0 && transfers.start <= transfers.most);
                let open = hosts * (calls.most + 2 * transfers.most);
                let allowed = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(0);
                // One connection of each kind is always allowed.
                assert!(open <= allowed.max(3 * hosts), "{files} {hosts}: {open}");
            }
        }
    }
}
