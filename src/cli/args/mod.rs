//! Groups of flags that commands share. Each command has only the groups that have an effect for it.

mod archives;
mod copying;
mod files;
mod images;
mod output;
mod registries;
mod sharding;
#[cfg(feature = "share")]
mod sharing;
mod shell;
mod showing;
mod values;

use clap::Args;

pub use archives::ArchiveFlags;
pub use copying::{ConflictAction, Conflicts, Copying, RecordsFile, Remembering, Transfer};
pub use files::{Auth, Defaults, Files, Insecure, RegistryFiles, RuleSelection};
pub use images::{Parts, Platforms, Referrers, WhichReferrers};
pub use output::{
    ImagesFormat, LogFormat, LogLevel, Logging, Output, Progress, ProgressMode, Reporting,
};
pub use registries::{Asking, ListingChoice, Safety};
pub use sharding::Sharding;
#[cfg(feature = "share")]
pub use sharing::{ShareLimits, Sharing, WorkSharing};
pub use shell::{CompletionsArgs, ManArgs, Shell};
pub use showing::{CheckFormat, Differences, DryRun, PlanFormat, Showing, TagsDetail, TagsFormat};
pub(in crate::cli) use values::days;
pub(in crate::cli) use values::path;

/// Flags of all commands that send requests to registries.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// Platforms to copy.
    #[command(flatten)]
    pub platforms: Platforms,
    /// Parts of images to copy.
    #[command(flatten)]
    pub parts: Parts,
    /// Referrers to copy.
    #[command(flatten)]
    pub referrers: Referrers,
    /// Knowledge of earlier runs.
    #[command(flatten)]
    pub remembering: Remembering,
    /// Requests to registries.
    #[command(flatten)]
    pub asking: Asking,
    /// Hosts that registries may redirect to.
    #[command(flatten)]
    pub safety: Safety,
    /// Tags that exist at the destination.
    #[command(flatten)]
    pub conflicts: Conflicts,
    /// Archives of images.
    #[command(flatten)]
    pub archives: ArchiveFlags,
}
