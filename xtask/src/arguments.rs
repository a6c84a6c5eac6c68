//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, Parser};

use crate::container_image::{CA_CERTIFICATES, ContainerImage, Platform, VERSION};

/// Tasks of a release.
#[derive(Parser)]
pub enum Task {
    /// Writes the container image of image-syncer as an OCI layout.
    ///
    /// Prints the digest of the image's index. The same files, name, commit and time give the same digest on every
    /// machine.
    ContainerImage(ImageArguments),
}

/// Arguments of [`Task::ContainerImage`].
#[derive(Args)]
pub struct ImageArguments {
    /// Directory of the layout; one that this command wrote before is replaced.
    #[arg(long, value_name = "DIRECTORY")]
    output: PathBuf,

    /// Full name of the image in the layout [default: ghcr.io/image-syncer/image-syncer:VERSION].
    #[arg(long)]
    name: Option<String>,

    /// Root of a system that has the shared libraries of a platform's binary [default: /].
    #[arg(long = "sysroot", value_name = "PLATFORM=DIRECTORY", value_parser = assignment)]
    sysroots: Vec<(Platform, PathBuf)>,

    /// Certificate authorities, as PEM.
    #[arg(long, value_name = "FILE", default_value = CA_CERTIFICATES)]
    ca_certificates: PathBuf,

    /// Commit of the source code [default: the HEAD of this checkout].
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,

    /// Time of the image and of all its files, in seconds since 1970 [default: that of the HEAD of this checkout, else 0].
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SOURCE_DATE_EPOCH",
        hide_env_values = true
    )]
    source_date_epoch: Option<u64>,

    /// Binary of each platform: linux/amd64=target/release/image-syncer.
    #[arg(required = true, value_name = "PLATFORM=BINARY", value_parser = assignment)]
    binaries: Vec<(Platform, PathBuf)>,
}

impl Task {
    /// Executes the task. Returns the text that it prints.
    pub fn run(self) -> Result<String> {
        let Self::ContainerImage(arguments) = self;
        image(arguments)?.write()
    }
}

fn image(arguments: ImageArguments) -> Result<ContainerImage> {
    let head = head();
    let time = match (arguments.source_date_epoch, &head) {
        (Some(time), _) => time,
        (None, Some((_, time))) => *time,
        (None, None) => 0,
    };
    Ok(ContainerImage {
        name: arguments
            .name
            .unwrap_or_else(|| format!("ghcr.io/image-syncer/image-syncer:{VERSION}")),
        binaries: unique(arguments.binaries)?,
        sysroots: unique(arguments.sysroots)?,
        ca_certificates: arguments.ca_certificates,
        revision: arguments.revision.or(head.map(|(commit, _)| commit)),
        time,
        output: arguments.output,
    })
}

/// Parses `PLATFORM=PATH`.
fn assignment(text: &str) -> Result<(Platform, PathBuf)> {
    let Some((platform, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        bail!("write it as PLATFORM=PATH, for example linux/amd64=target/release/image-syncer");
    };
    Ok((platform.parse()?, PathBuf::from(path)))
}

/// Returns the paths by platform. Fails if a platform occurs twice.
fn unique(pairs: Vec<(Platform, PathBuf)>) -> Result<BTreeMap<Platform, PathBuf>> {
    let mut paths = BTreeMap::new();
    for (platform, path) in pairs {
        if let Some(other) = paths.insert(platform, path) {
            bail!(
                "{platform} is given twice: the first path is {}. Remove one.",
                other.display()
            );
        }
    }
    Ok(paths)
}

/// Returns the commit of this checkout and its time, or `None` outside of one.
fn head() -> Option<(String, u64)> {
    let output = Command::new("git")
        .args(["log", "-1", "--format=%H %ct"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?;
    let (commit, time) = line.trim().split_once(' ')?;
    Some((commit.to_owned(), time.parse().ok()?))
}
