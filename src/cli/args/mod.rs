//! Groups of flags that commands share. Each command takes the groups whose flags mean something for it, and no other.

mod copying;
mod files;
mod images;
mod output;
mod registries;
mod shell;
mod showing;
mod values;

use clap::Args;

pub use copying::{Copying, RecordsFile, Remembering, Transfer};
pub use files::{Auth, Defaults, Files, Insecure};
pub use images::{Parts, Platforms, Referrers, WhichReferrers};
pub use output::{ImagesFormat, LogFormat, LogLevel, Logging, Output, ProgressMode, Reporting};
pub use registries::{Asking, Safety};
pub use shell::{Completions, Man, Shell};
pub use showing::{CheckFormat, Differences, DryRun, PlanFormat, Showing};
pub(in crate::cli) use values::days;

/// What every command takes that asks registries.
#[derive(Debug, Args)]
pub struct Common {
    /// Which platforms.
    #[command(flatten)]
    pub platforms: Platforms,
    /// Which parts beside that.
    #[command(flatten)]
    pub parts: Parts,
    /// What comes along.
    #[command(flatten)]
    pub referrers: Referrers,
    /// What is known without asking.
    #[command(flatten)]
    pub remembering: Remembering,
    /// How registries are asked.
    #[command(flatten)]
    pub asking: Asking,
    /// Where registries may lead.
    #[command(flatten)]
    pub safety: Safety,
}
