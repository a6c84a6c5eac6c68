//! Groups of flags that commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};

/// The classic files.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Rules: a map from source to destination or list of destinations (YAML or JSON, by suffix)
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub images: Option<PathBuf>,
    /// Credentials: a map from registry or registry/namespace to {username, password, insecure}
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub auth: Option<PathBuf>,
    /// Both halves in one file, under `auth` and `images`; excludes the other two
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub config: Option<PathBuf>,
}

/// Credentials alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Auth {
    /// Credentials: a map from registry or registry/namespace to {username, password, insecure}
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub auth: Option<PathBuf>,
}

/// Registries that are reached without a trusted certificate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Insecure {
    /// Reach this registry over http, or https with any certificate; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub insecure: Vec<String>,
}

/// Where registries may lead, and who may see a login.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Safety")]
pub struct Safety {
    /// Let public registries lead to this host of a private network: by redirect, upload location, next page or
    /// token server; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_private: Vec<String>,
    /// Let this token server see the login of a registry that names it, although it is in another domain; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub trust_realm: Vec<String>,
}

/// What an empty destination stands for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Defaults {
    /// Registry that an empty destination ("") stands for
    #[arg(long, value_name = "HOST", env = "DEFAULT_REGISTRY")]
    pub registry: Option<String>,
    /// Namespace in it, in which the repository keeps its last name
    #[arg(long, value_name = "NAMESPACE", env = "DEFAULT_NAMESPACE")]
    pub namespace: Option<String>,
}

/// The platform filter.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Platforms {
    /// Only these operating systems: `os[:os.version]`, repeatable or comma separated
    #[arg(long, value_name = "LIST")]
    pub os: Vec<String>,
    /// Only these architectures: `arch[:variant]`, repeatable or comma separated
    #[arg(long, value_name = "LIST")]
    pub arch: Vec<String>,
}

/// Which parts of an image, beside its platforms.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Platforms")]
pub struct Parts {
    /// Leave the attestations of buildx out, for registries that refuse them: indexes get digests of their own
    #[arg(long)]
    pub strip_attestations: bool,
    /// Keep indexes and their digests as they are where --os or --arch leaves children out; few registries take that
    #[arg(long)]
    pub sparse: bool,
    /// Bring foreign and non-distributable layers along: from the source, else from the URLs that they name
    #[arg(long)]
    pub foreign_layers: bool,
}

/// How to copy.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct Transfer {
    /// At most N blob transfers at a time; 0 or less: only the program's own limits per registry
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub proc: Option<i64>,
    /// Tries after the first, for each request that can succeed when it is made again
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 5,
        allow_negative_numbers = true,
        value_parser = retries
    )]
    pub retries: u32,
    /// Push manifests even where the destination has the same digest
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        hide_possible_values = true,
        action = ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub force: bool,
    /// Look for every manifest and blob of images that are unchanged, too, and send again what is lost
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        hide_possible_values = true,
        action = ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub verify: bool,
    /// Tags that never change, as a glob (`v*`) or an expression (`/^v[0-9]/`): those copied before are not asked about
    /// again while they stand at the destination; repeatable
    #[arg(long, value_name = "PATTERN")]
    pub immutable: Vec<String>,
    /// Remember between runs in this file what destinations hold; else in image-syncer/records.sqlite3 below
    /// `$XDG_STATE_HOME` or `~/.local/state`
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub records: Option<PathBuf>,
    /// Remember nothing, and ask the registries
    #[arg(long, conflicts_with = "records")]
    pub no_records: bool,
    /// What registries are spared.
    #[command(flatten)]
    pub rates: Rates,
    /// Time limits.
    #[command(flatten)]
    pub limits: Limits,
}

/// What comes along with an image.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Referrers")]
pub struct Referrers {
    /// Leave behind what refers to an image: its signatures, attestations, SBOMs. Where all tags are copied, those that
    /// name such (sha256-…, sha256-….sig) are tags like any other then
    #[arg(long, conflicts_with_all = ["referrers", "referrers_type", "referrers_interval"])]
    pub no_referrers: bool,
    /// What is asked for them of an image that is unchanged: its root, or `deep`, its children and their referrers as
    /// well
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = WhichReferrers::Root)]
    pub referrers: WhichReferrers,
    /// Bring only those of this artifact type; `cosign` stands for the tags that cosign makes (sha256-….sig, .att,
    /// .sbom); repeatable
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub referrers_type: Vec<String>,
    /// Ask nothing for unchanged images that were asked about within this (`30s`, `15m`, `12h`, `7d`), as the records
    /// tell; 0 asks always
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub referrers_interval: Duration,
}

/// Of what of an unchanged image it is asked what refers to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhichReferrers {
    /// Its root.
    #[default]
    Root,
    /// Everything that it consists of.
    Deep,
}

/// Which records file.
#[derive(Debug, Args)]
pub struct RecordsFile {
    /// The file; else image-syncer/records.sqlite3 below `$XDG_STATE_HOME` or `~/.local/state`
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub records: Option<PathBuf>,
}

/// How much may be asked of registries in a second.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Transfer")]
pub struct Rates {
    /// At most N requests a second for each registry, or for HOST; what it redirects to counts for it; repeatable
    #[arg(long, value_name = "[HOST[:PORT]=]N")]
    pub max_requests: Vec<String>,
    /// At most RATE bytes a second (50MiB, 10MB) to and from each registry together, or HOST, with the storage that
    /// it redirects to; repeatable
    #[arg(long, value_name = "[HOST[:PORT]=]RATE")]
    pub max_rate: Vec<String>,
}

/// How long things may take; a transfer as a whole may take as long as it likes.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Time limits")]
pub struct Limits {
    /// Try again where no byte has come or gone for this long, or no answer has come
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = limit())]
    pub stall_timeout: u64,
    /// The same for the answer to the last request of a blob or manifest, before which a registry may digest and copy
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = limit())]
    pub commit_timeout: u64,
    /// After SIGINT or SIGTERM, let images that are under way go on for this long; 0 drops them
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = grace())]
    pub grace: u64,
}

/// What is written for other programs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Write what is at its destinations after the run: a map from source to list of destinations
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub output_success_images: Option<PathBuf>,
    /// Format of that file
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ImagesFormat::Yaml)]
    pub output_images_format: ImagesFormat,
}

/// How the map of images is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ImagesFormat {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

/// What is told to people.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Logging {
    /// Append the log to a file; on stderr remain warnings, failures and the summary
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub log: Option<PathBuf>,
    /// Log every request as well; -vv: what the program thinks, too
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Only warnings and failures: nothing at all when all is well
    #[arg(short, long)]
    pub quiet: bool,
}

/// The most seconds that a time limit may have: a day.
const DAY: u64 = 24 * 60 * 60;

/// Reads a limit without which nothing would work.
fn limit() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=DAY)
}

/// Reads `--grace`.
fn grace() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(0..=DAY)
}

/// Reads a path, which may be empty: clap's own parser refuses that.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Reads a duration: a whole number and its unit, or 0.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(DAY),
        "" if number == "0" => Some(0),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let seconds = number
        .zip(seconds)
        .and_then(|(n, unit)| n.checked_mul(unit));
    let advice =
        "write a whole number with its unit, such as 30s, 15m, 12h or 7d, or 0 to ask always";
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| advice.into())
}

/// Reads `--retries`.
fn retries(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| match text.parse::<i64>() {
        Ok(number) if number < 0 => "write 0 to try everything once, or a positive number".into(),
        _ => format!("write a whole number from 0 to {}", u32::MAX),
    })
}
