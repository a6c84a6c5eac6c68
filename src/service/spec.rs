//! Specification of a service, from flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image_syncer_sync::settings::Listing;
use image_syncer_sync::{Archives, Config};

use crate::cli::Logging;
#[cfg(feature = "share")]
use crate::run::ShareSpec;
use crate::run::{Inputs, RecordsChoice, RegistryAccess, default_path};

/// Name of the history in its directory.
const HISTORY: &str = "history.sqlite3";

/// Name of the records file in the same directory.
const RECORDS: &str = "records.sqlite3";

/// Specification of a service.
pub(crate) struct ServiceSpec {
    /// Addresses of the flags; empty for those of the files.
    pub(crate) listen: Vec<String>,
    /// Directory of the history; `None` for the user's state directory.
    pub(crate) state: Option<PathBuf>,
    /// True to start a run of every rule at the start.
    pub(crate) sync_at_start: bool,
    /// True to serve the page.
    pub(crate) has_page: bool,
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// Maximum time that images may go on after a request to stop.
    pub(crate) grace: Duration,
    /// Stall timeout of transfers.
    pub(crate) stall: Duration,
    /// Maximum number of blob downloads in flight; `None` for the limits of the hosts alone.
    pub(crate) transfers: Option<usize>,
    /// Archives of images.
    pub(crate) archives: Archives,
    /// Records of earlier runs.
    pub(crate) records: RecordsChoice,
    /// Output for people.
    pub(crate) logging: Logging,
    /// Files that were read.
    pub(crate) inputs: Inputs,
    /// Server of the flags that replicas share their runs on.
    #[cfg(feature = "share")]
    pub(crate) share: Option<ShareSpec>,
}

/// Content of the files.
pub(crate) struct LoadedFiles {
    /// Rules, schedules and settings of the service.
    pub(crate) config: Config,
    /// Connections and logins.
    pub(crate) access: RegistryAccess,
}

impl ServiceSpec {
    /// Returns the records to use: by default a file in the directory of the history.
    pub(crate) fn records(&self) -> RecordsChoice {
        match (&self.records, &self.state) {
            (RecordsChoice::Default(_) | RecordsChoice::Unknown, Some(state)) => {
                RecordsChoice::Default(state.join(RECORDS))
            }
            (records, _) => records.clone(),
        }
    }

    /// Returns the path of the history; `None` if there is no directory for it.
    pub(crate) fn history(&self) -> Option<PathBuf> {
        history_file(self.state.as_deref())
    }
}

/// Returns the path of the history in the directory `state`, or in the user's state directory; `None` if there is no
/// directory for it.
pub(crate) fn history_file(state: Option<&Path>) -> Option<PathBuf> {
    let directory = state.map(PathBuf::from).or_else(|| {
        let records = default_path(|name| std::env::var_os(name))?;
        records.parent().map(PathBuf::from)
    });
    Some(directory?.join(HISTORY))
}
