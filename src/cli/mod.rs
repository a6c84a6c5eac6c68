//! The arguments, as clap types (docs/compatibility.md#the-same lists the flags of the Go tool).

mod args;
mod help;
mod ignored_values;
mod parse;
mod styles;
mod suggestions;

use clap::{Parser, Subcommand};

pub use args::{
    Asking, Auth, CheckFormat, Common, Completions, Copying, Defaults, Differences, DryRun, Files,
    ImagesFormat, Insecure, LogFormat, LogLevel, Logging, Man, Output, Parts, PlanFormat,
    Platforms, ProgressMode, RecordsFile, Referrers, Remembering, Reporting, Safety, Shell,
    Showing, Transfer, WhichReferrers,
};
pub use help::{ENVIRONMENT, EXIT_CODES};
pub(crate) use ignored_values::{ignored_values, without_empty_values};
pub(crate) use parse::parse;
pub(crate) use suggestions::advise;

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
    /// What to do instead of a sync.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a sync.
    #[command(flatten)]
    pub sync: Sync,
    /// Flags that cannot be used as they are written.
    #[arg(skip)]
    pub mistakes: Vec<String>,
    /// Flags without an effect.
    #[arg(skip)]
    pub warnings: Vec<String>,
}

/// What can be done besides a sync of files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy one image to one or more destinations, without files
    #[command(after_help = help::COPY, args_override_self = true)]
    Copy(Box<Copy>),
    /// Say what a sync of the files would copy, and write nothing
    #[command(after_help = help::PLAN, args_override_self = true)]
    Plan(Box<Plan>),
    /// Say whether every tag has its digest at its destination
    #[command(after_help = help::CHECK, args_override_self = true)]
    Check(Box<Check>),
    /// Read the files, say what they mean, and request nothing of any registry
    #[command(after_help = help::VALIDATE, args_override_self = true)]
    Validate(Validate),
    /// Show, prune or forget what is remembered between runs
    #[command(after_help = help::RECORDS, args_override_self = true, arg_required_else_help = true)]
    Records(Records),
    /// Print what makes a shell complete commands and flags
    #[command(after_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page of the program or a command, or write all
    #[command(after_help = help::MAN, args_override_self = true)]
    Man(Man),
}

/// One sync of all rules in files.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// What an empty destination stands for.
    #[command(flatten)]
    pub defaults: Defaults,
    /// What every such command takes.
    #[command(flatten)]
    pub common: Common,
    /// What is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// What bounds the bytes that flow.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Whether anything is written.
    #[command(flatten)]
    pub dry_run: DryRun,
    /// What is written for other programs.
    #[command(flatten)]
    pub output: Output,
    /// What is told to people.
    #[command(flatten)]
    pub logging: Logging,
}

/// One image, from the command line.
#[derive(Debug, clap::Args)]
pub struct Copy {
    /// What to copy: `registry/repository:tag`
    ///
    /// Or `…:v1,v2`, `…:/regex/` or `…@sha256:…`.
    #[arg(value_name = "SOURCE", required = true)]
    pub source: String,
    /// Where to: `registry/repository[:tag]`
    ///
    /// Or "" for the default registry and namespace.
    #[arg(value_name = "DESTINATION", required = true)]
    pub destinations: Vec<String>,
    /// Copy every tag of a source that is written without tag or digest
    #[arg(long)]
    pub all_tags: bool,
    /// Credentials.
    #[command(flatten)]
    pub auth: Auth,
    /// Registries without a trusted certificate.
    #[command(flatten)]
    pub insecure: Insecure,
    /// What an empty destination stands for.
    #[command(flatten)]
    pub defaults: Defaults,
    /// What every such command takes.
    #[command(flatten)]
    pub common: Common,
    /// What is copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// What bounds the bytes that flow.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Whether anything is written.
    #[command(flatten)]
    pub dry_run: DryRun,
    /// What is written for other programs.
    #[command(flatten)]
    pub output: Output,
    /// What is told to people.
    #[command(flatten)]
    pub logging: Logging,
}

/// What a sync of files would do.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// What an empty destination stands for.
    #[command(flatten)]
    pub defaults: Defaults,
    /// What every such command takes.
    #[command(flatten)]
    pub common: Common,
    /// What would be copied again.
    #[command(flatten)]
    pub copying: Copying,
    /// How it is shown.
    #[command(flatten)]
    pub showing: Showing,
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// What is told to people.
    #[command(flatten)]
    pub logging: Logging,
}

/// Whether a sync of files would do anything.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// What an empty destination stands for.
    #[command(flatten)]
    pub defaults: Defaults,
    /// What every such command takes.
    #[command(flatten)]
    pub common: Common,
    /// How it is shown.
    #[command(flatten)]
    pub differences: Differences,
    /// The report.
    #[command(flatten)]
    pub reporting: Reporting,
    /// What is told to people.
    #[command(flatten)]
    pub logging: Logging,
}

/// Reading files without network.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// The files.
    #[command(flatten)]
    pub files: Files,
    /// What an empty destination stands for.
    #[command(flatten)]
    pub defaults: Defaults,
    /// Which platforms.
    #[command(flatten)]
    pub platforms: Platforms,
}

/// What is remembered between runs.
#[derive(Debug, clap::Args)]
pub struct Records {
    /// What to do with it.
    #[command(subcommand)]
    pub action: RecordsAction,
}

/// What can be done with a records file.
#[derive(Debug, Subcommand)]
pub enum RecordsAction {
    /// Say where the file is, how large it is, and of how much it tells
    Show {
        /// Which file.
        #[command(flatten)]
        file: RecordsFile,
    },
    /// Drop what was not seen for a while; runs do so by themselves once a week
    Prune {
        /// Drop what no run has seen for more than this many days
        #[arg(long, value_name = "DAYS", default_value_t = image_syncer_sync::inventory::records::KEPT_DAYS, value_parser = args::days)]
        older_than: u32,
        /// Which file.
        #[command(flatten)]
        file: RecordsFile,
    },
    /// Drop everything about a registry or repository
    Forget {
        /// A registry, or a repository of it
        #[arg(value_name = "HOST[/REPOSITORY]")]
        place: String,
        /// Which file.
        #[command(flatten)]
        file: RecordsFile,
    },
}

impl RecordsAction {
    /// Which file it is about.
    pub fn file(&self) -> &RecordsFile {
        match self {
            Self::Show { file } | Self::Prune { file, .. } | Self::Forget { file, .. } => file,
        }
    }
}
