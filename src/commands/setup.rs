//! Conversion of flags to types of the `sync` crate.

use std::path::PathBuf;

use anyhow::{Context, bail};
use image_syncer_registry::Registry;
use image_syncer_sync::config::{Config, ConfigFiles, Defaults, Environment, Input};
use image_syncer_sync::rule::{PlatformFilter, RuleFilter};
use image_syncer_sync::settings::Intent;
use image_syncer_sync::{ArchiveOptions, Archives};

use crate::cli;
use crate::commands::option_flags::OptionFlags;
use crate::images_file::FileFormat;
use crate::problems::Problems;
use crate::run::{Inputs, Purpose, StdoutRequest};

/// Looks up an environment variable of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the files, with the rules that the flags select; the result is empty after a mistake.
pub(super) fn config(
    files: cli::Files,
    selection: &cli::RuleSelection,
    defaults: &cli::Defaults,
    options: &OptionFlags<'_>,
    problems: &mut Problems,
) -> Config {
    // Mistakes in files come first.
    let mut of_flags = Problems::default();
    let overrides = options.overrides(&mut of_flags);
    let defaults = self::defaults(defaults);
    let read = config_files(files)
        .and_then(|files| Ok(Config::read(&files, &defaults, &environment, &overrides)?));
    let Some(mut config) = problems.collect(read) else {
        problems.append(of_flags);
        options.check(&Config::default(), problems);
        return Config::default();
    };
    problems.append(of_flags);
    options.check(&config, problems);
    warn(&config, problems);
    let kept = config.keep_rules(&RuleFilter::new(&selection.rule));
    problems.collect(kept.context("--rule"));
    config
}

/// Reads classic files with these environment variables; the result is empty after a mistake.
pub(super) fn classic(
    files: cli::Files,
    defaults: &cli::Defaults,
    environment: Environment<'_>,
    problems: &mut Problems,
) -> Config {
    let defaults = self::defaults(defaults);
    let config =
        config_files(files).and_then(|files| Ok(Config::classic(&files, &defaults, environment)?));
    let config = problems.collect(config).unwrap_or_default();
    warn(&config, problems);
    config
}

fn warn(config: &Config, problems: &mut Problems) {
    for warning in &config.warnings {
        problems.warn(warning);
    }
}

/// Returns the files that the flags name.
fn config_files(files: cli::Files) -> anyhow::Result<ConfigFiles> {
    match (&*files.config, &*files.images, &*files.auth) {
        ([_, ..], [], []) | ([], [_, ..], _) => {}
        ([_, ..], _, _) => bail!(
            "--config cannot be used with --auth or --images. Use either --config FILE, or --images FILE with --auth FILE."
        ),
        ([], [], [_, ..]) => bail!(
            "--auth alone names no image. Add --images FILE, or use image-syncer copy SOURCE DESTINATION --auth FILE."
        ),
        ([], [], []) => bail!(
            "no image is named. Use --images FILE (with --auth FILE for registries that need a login), --config FILE, or image-syncer copy SOURCE DESTINATION. Examples: image-syncer --help"
        ),
    }
    Ok(ConfigFiles {
        config: inputs(files.config),
        auth: inputs(files.auth),
        images: inputs(files.images),
    })
}

/// Returns the files that the flags name, for a comparison with the files that are written.
pub(super) fn input_files(files: &cli::Files) -> Inputs {
    let mut inputs = Inputs::default();
    inputs.add("--images", &files.images);
    inputs.add("--auth", &files.auth);
    inputs.add("--config", &files.config);
    inputs
}

/// Converts paths to inputs.
pub(super) fn inputs(paths: Vec<PathBuf>) -> Vec<Input> {
    paths.into_iter().map(Input::from).collect()
}

/// Returns the default destination. An empty flag or variable counts as missing.
pub(super) fn defaults(flags: &cli::Defaults) -> Defaults {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Defaults {
        registry: given(&flags.registry),
        namespace: given(&flags.namespace),
    }
}

/// Parses the platform filter.
pub(super) fn platforms(flags: &cli::Platforms) -> anyhow::Result<PlatformFilter> {
    Ok(PlatformFilter::parse(&flags.os, &flags.arch)?)
}

/// Checks the hosts of `flag`.
pub(super) fn hosts(flag: &str, hosts: &[String]) -> anyhow::Result<Vec<String>> {
    registries(flag, hosts)?;
    Ok(hosts.to_vec())
}

/// Parses the registries of `flag`. The parser of arguments would repeat a refused value, which may have a password in
/// front of the host.
pub(super) fn registries(flag: &str, hosts: &[String]) -> anyhow::Result<Vec<Registry>> {
    let parse = |host: &String| Registry::parse(host).with_context(|| flag.to_owned());
    hosts.iter().map(parse).collect()
}

/// Returns the archives that the flags describe, of which none is open.
pub(super) fn archives(flags: &cli::ArchiveFlags) -> Archives {
    Archives::new(ArchiveOptions {
        temp: flags.temp.clone(),
        partial: flags.partial,
    })
}

/// Returns the limit of `--proc`; 0 or less sets none.
pub(super) fn bound(proc: i64) -> Option<usize> {
    usize::try_from(proc).ok().filter(|bound| *bound > 0)
}

/// Returns the format of a map of images.
pub(super) fn images_format(format: cli::ImagesFormat) -> FileFormat {
    match format {
        cli::ImagesFormat::Yaml => FileFormat::Yaml,
        cli::ImagesFormat::Json => FileFormat::Json,
    }
}

/// Returns the purpose of a copy, or of a plan with `--dry-run`.
pub(super) fn copy_purpose(flags: cli::DryRun) -> Purpose {
    flags.showing().map_or(Purpose::Copy, plan_purpose)
}

/// Returns the purpose of `plan`.
pub(super) fn plan_purpose(flags: cli::Showing) -> Purpose {
    Purpose::Show(StdoutRequest {
        intent: Intent::Plan,
        json: flags.output == cli::PlanFormat::Json,
        exit_code: flags.exit_code,
    })
}

/// Returns the purpose of `check`.
pub(super) fn check_purpose(flags: cli::Differences) -> Purpose {
    Purpose::Show(StdoutRequest {
        intent: Intent::Check,
        json: flags.output == cli::CheckFormat::Json,
        exit_code: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_less_bound_nothing() {
        for (proc, expected) in [
            (5, Some(5)),
            (1, Some(1)),
            (0, None),
            (-1, None),
            (i64::MIN, None),
        ] {
            assert_eq!(bound(proc), expected, "{proc}");
        }
    }
}
