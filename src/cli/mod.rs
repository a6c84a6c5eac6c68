//! Arguments as clap types (docs/compatibility.md#the-same lists the flags of the Go tool).

mod args;
mod help;
#[cfg(feature = "service")]
mod history;
mod ignored_values;
mod parse;
mod report;
#[cfg(feature = "service")]
mod serve;
mod styles;
mod suggestions;
#[cfg(feature = "share")]
mod work;

use clap::{Parser, Subcommand};

pub use args::{
    ArchiveFlags, Asking, Auth, CheckFormat, Common, CompletionsArgs, ConflictAction, Conflicts,
    Copying, Defaults, Differences, DryRun, Files, ImagesFormat, Insecure, ListingChoice,
    LogFormat, LogLevel, Logging, ManArgs, Output, Parts, PlanFormat, Platforms, Progress,
    ProgressMode, RecordsFile, Referrers, RegistryFiles, Remembering, Reporting, RuleSelection,
    Safety, Sharding, Shell, Showing, TagsDetail, TagsFormat, Transfer, WhichReferrers,
};
#[cfg(feature = "share")]
pub use args::{ShareLimits, Sharing, WorkSharing};
pub use help::{ENVIRONMENT, EXIT_CODES};
#[cfg(feature = "service")]
pub use history::{
    HistoryAction, HistoryArgs, HistoryCommon, HistoryFormat, HistoryList, HistoryOutcome,
};
pub(crate) use ignored_values::{ignored_values, without_empty_values};
pub(crate) use parse::parse;
#[cfg(feature = "share")]
pub use report::ReportShared;
pub use report::{ReportAction, ReportArgs, ReportMerge};
#[cfg(feature = "service")]
pub use serve::ServeArgs;
pub(crate) use suggestions::advise;
#[cfg(feature = "share")]
pub use work::WorkArgs;

/// Copies container images and OCI artifacts between registries: no daemon, no disk.
#[derive(Debug, Parser)]
#[command(
    name = "image-syncer",
    version,
    about = help::ABOUT,
    long_about = None,
    after_help = help::SYNC_SHORT,
    after_long_help = help::sync(),
    override_usage = help::USAGE,
    styles = styles::STYLES,
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    max_term_width = 110
)]
pub struct Cli {
    /// Command; without one, the program syncs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a sync.
    #[command(flatten)]
    pub sync: SyncArgs,
    /// Flags that cannot be used as they are written.
    #[arg(skip)]
    pub mistakes: Vec<String>,
    /// Flags without an effect.
    #[arg(skip)]
    pub warnings: Vec<String>,
}

/// Commands besides the sync of files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy images to one or more destinations, without files
    #[command(after_help = help::COPY, args_override_self = true)]
    Copy(Box<CopyArgs>),
    /// Show what a sync of the files would copy, and write nothing
    #[command(after_help = help::PLAN, args_override_self = true)]
    Plan(Box<PlanArgs>),
    /// Check that every tag has its digest at its destination
    #[command(after_help = help::CHECK, args_override_self = true)]
    Check(Box<CheckArgs>),
    /// Read the files and show their rules and logins, without any request
    #[command(after_help = help::VALIDATE, args_override_self = true)]
    Validate(ValidateArgs),
    /// Run the rules of the files by their schedules, with an API, metrics and a page
    #[cfg(feature = "service")]
    #[command(after_help = help::SERVE, args_override_self = true)]
    Serve(Box<ServeArgs>),
    /// Show the runs of the service, and what is where since when
    #[cfg(feature = "service")]
    #[command(after_help = help::HISTORY, args_override_self = true)]
    History(HistoryArgs),
    /// Carry out shared runs together with other workers
    #[cfg(feature = "share")]
    #[command(after_help = help::WORK, args_override_self = true)]
    Work(Box<WorkArgs>),
    /// List what a registry, a repository or a file holds: names, digests, platforms, sizes
    #[command(after_help = help::TAGS, args_override_self = true)]
    Tags(TagsArgs),
    /// Print the native file that does the same as the classic files
    #[command(after_help = help::CONVERT, args_override_self = true)]
    Convert(ConvertArgs),
    /// Print the JSON Schema of the native file
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Merge the reports of shards, or write that of a run that workers share
    #[command(after_help = help::REPORT, args_override_self = true, arg_required_else_help = true)]
    Report(ReportArgs),
    /// Show, prune or forget records of earlier runs
    #[command(after_help = help::RECORDS, args_override_self = true, arg_required_else_help = true)]
    Records(RecordsArgs),
    /// Print the script with which a shell completes commands and flags
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page of the program or a command, or write all pages
    #[command(after_help = help::MAN, args_override_self = true)]
    Man(ManArgs),
}

/// Arguments of a sync.
#[derive(Debug, clap::Args)]
pub struct SyncArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Part of the run.
    #[command(flatten)]
    pub sharding: Sharding,
    /// Content that is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// Limits of transfers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Dry run.
    #[command(flatten)]
    pub dry_run: DryRun,
    /// Server that workers share the run on.
    #[cfg(feature = "share")]
    #[command(flatten)]
    pub sharing: Sharing,
    /// Output files.
    #[command(flatten)]
    pub output: Output,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
    /// Display of the progress.
    #[command(flatten)]
    pub progress: Progress,
}

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
pub struct CopyArgs {
    /// Image to copy: `registry/repository:tag`
    ///
    /// Or `…:v1,v2`, `…:/regex/` or `…@sha256:…`; or `oci:DIRECTORY#NAME`, `oci-archive:FILE#NAME` or
    /// `docker-archive:FILE#NAME`, an image in an OCI layout or an archive; `-` as FILE is standard input.
    #[arg(value_name = "SOURCE", required = true)]
    pub source: String,
    /// Destination: `registry/repository[:tag]`
    ///
    /// Or "" for the default registry and namespace; or `oci:DIRECTORY[#NAME]`, `oci-archive:FILE[#NAME]` or
    /// `docker-archive:FILE[#NAME]`, an OCI layout or an archive; `-` as FILE is standard output.
    #[arg(value_name = "DESTINATION", required_unless_present = "to")]
    pub destinations: Vec<String>,
    /// Destination of all sources; repeatable
    ///
    /// Every argument without a flag is then a source. `registry/path/` copies each source to its own path below.
    #[arg(long, value_name = "DESTINATION")]
    pub to: Vec<String>,
    /// Copy every tag of a source without tag or digest
    #[arg(long)]
    pub all_tags: bool,
    /// Credentials.
    #[command(flatten)]
    pub auth: Auth,
    /// Registries of a file with rules.
    #[command(flatten)]
    pub registries: RegistryFiles,
    /// Registries without a trusted certificate.
    #[command(flatten)]
    pub insecure: Insecure,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Content that is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// Limits of transfers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Dry run.
    #[command(flatten)]
    pub dry_run: DryRun,
    /// Output files.
    #[command(flatten)]
    pub output: Output,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
    /// Display of the progress.
    #[command(flatten)]
    pub progress: Progress,
}

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Part of the run.
    #[command(flatten)]
    pub sharding: Sharding,
    /// Content that would be copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// Format of the output.
    #[command(flatten)]
    pub showing: Showing,
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
    /// Display of the progress.
    #[command(flatten)]
    pub progress: Progress,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Common flags.
    #[command(flatten)]
    pub common: Common,
    /// Part of the run.
    #[command(flatten)]
    pub sharding: Sharding,
    /// Format of the output.
    #[command(flatten)]
    pub differences: Differences,
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// Output for people.
    #[command(flatten)]
    pub logging: Logging,
    /// Display of the progress.
    #[command(flatten)]
    pub progress: Progress,
}

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Platforms to copy.
    #[command(flatten)]
    pub platforms: Platforms,
    /// List the repositories and tags that the rules select
    ///
    /// With an explanation of each selection and the destinations. Sends requests to the sources.
    #[arg(long, help_heading = "Output")]
    pub list: bool,
}

/// Arguments of `tags`.
#[derive(Debug, clap::Args)]
pub struct TagsArgs {
    /// Repository, registry or file: `registry/repository`
    ///
    /// Or `…:v1,v2`, `…:/regex/` or `…@sha256:…` for some of its images; `registry` or `registry/team/*` for
    /// repositories, `registry/team/*:/regex/` for their images; `oci:DIRECTORY`, `oci-archive:FILE` or
    /// `docker-archive:FILE` for all images of an OCI layout or an archive, with `#NAME` or `#GLOB` for some. Without it,
    /// the tags that the rules of the files select, with an explanation of each selection.
    #[arg(value_name = "SOURCE", required_unless_present_any = ["config", "images"])]
    pub source: Option<String>,
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Rules of the files.
    #[command(flatten)]
    pub selection: RuleSelection,
    /// Registries without a trusted certificate.
    #[command(flatten)]
    pub insecure: Insecure,
    /// Hosts that registries may redirect to.
    #[command(flatten)]
    pub safety: Safety,
    /// Archives of images.
    #[command(flatten)]
    pub archives: ArchiveFlags,
    /// Details of the images.
    #[command(flatten)]
    pub detail: TagsDetail,
    /// Format of the list on stdout
    ///
    /// `table`: columns on a terminal, elsewhere a line for each image, with tabs between its fields. `json`: an array
    /// of objects. docs/tags.md describes both.
    #[arg(
        long,
        value_name = "table|json",
        value_enum,
        hide_possible_values = true,
        default_value_t = TagsFormat::Table,
        help_heading = "Output"
    )]
    pub output: TagsFormat,
}

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// Default destination.
    #[command(flatten)]
    pub defaults: Defaults,
}

/// Arguments of `records`.
#[derive(Debug, clap::Args)]
pub struct RecordsArgs {
    /// The action.
    #[command(subcommand)]
    pub action: RecordsAction,
}

/// Actions on a records file.
#[derive(Debug, Subcommand)]
pub enum RecordsAction {
    /// Show the path, the size and the number of records of the file
    Show {
        /// The records file.
        #[command(flatten)]
        file: RecordsFile,
    },
    /// Remove old records; runs do so by themselves once a week
    Prune {
        /// Remove records not seen for more than this many days
        #[arg(long, value_name = "DAYS", default_value_t = image_syncer_sync::inventory::records::KEPT_DAYS, value_parser = args::days)]
        older_than: u32,
        /// The records file.
        #[command(flatten)]
        file: RecordsFile,
    },
    /// Remove the records of a registry or repository
    Forget {
        /// Registry, or repository of a registry
        #[arg(value_name = "HOST[/REPOSITORY]")]
        place: String,
        /// The records file.
        #[command(flatten)]
        file: RecordsFile,
    },
}

impl RecordsAction {
    /// Returns the records file.
    pub fn file(&self) -> &RecordsFile {
        match self {
            Self::Show { file } | Self::Prune { file, .. } | Self::Forget { file, .. } => file,
        }
    }
}
