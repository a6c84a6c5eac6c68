//! Conversion of flags to types of the `sync` crate.

use std::path::PathBuf;

use anyhow::{Context, bail};
use image_syncer_registry::Registry;
use image_syncer_registry::auth::{Credential, LoginChoice};
use image_syncer_sync::config::{ClassicFiles, Config, Defaults, Environment, Input};
use image_syncer_sync::rule::{
    ConflictAction, ConflictPolicy, Parts, PlatformFilter, Referrers, RuleFilter,
};
use image_syncer_sync::settings::Intent;

use crate::cli;
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
    problems: &mut Problems,
) -> Config {
    let Some(mut config) = problems.collect(read(files, defaults, &environment)) else {
        return Config::default();
    };
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
    let config = read(files, defaults, environment);
    let config = problems.collect(config).unwrap_or_default();
    warn(&config, problems);
    config
}

fn warn(config: &Config, problems: &mut Problems) {
    for warning in &config.warnings {
        problems.warn(warning);
    }
}

fn read(
    files: cli::Files,
    defaults: &cli::Defaults,
    environment: Environment<'_>,
) -> anyhow::Result<Config> {
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
    let files = ClassicFiles {
        config: inputs(files.config),
        auth: inputs(files.auth),
        images: inputs(files.images),
    };
    Ok(Config::classic(
        &files,
        &self::defaults(defaults),
        environment,
    )?)
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

/// Returns the parts of images to copy.
pub(super) fn parts(
    flags: cli::Parts,
    copying: cli::Copying,
    platforms: &cli::Platforms,
) -> anyhow::Result<Parts> {
    let parts = Parts {
        strip_attestations: flags.strip_attestations,
        sparse: flags.sparse,
        foreign_layers: copying.foreign_layers,
    };
    if parts.sparse && !parts.strip_attestations && self::platforms(platforms)?.is_empty() {
        bail!("--sparse has no effect without a filter. Add --os, --arch or --strip-attestations.");
    }
    Ok(parts)
}

/// Returns the referrers to copy with an image; `None` for none.
pub(super) fn referrers(flags: &cli::Referrers) -> anyhow::Result<Option<Referrers>> {
    if flags.referrers_type.iter().any(String::is_empty) {
        bail!(
            "--referrers-type: an empty artifact type matches nothing. Write one, such as \
             application/vnd.dev.sigstore.bundle.v0.3+json, or `{}` for the tags of cosign.",
            Referrers::COSIGN
        );
    }
    let referrers = || Referrers {
        deep: flags.referrers == cli::WhichReferrers::Deep,
        types: flags.referrers_type.clone(),
        interval: flags.referrers_interval,
    };
    Ok((!flags.no_referrers).then(referrers))
}

/// Checks the hosts of `flag`. The parser of arguments would repeat a refused value, which may have a password in
/// front of the host.
pub(super) fn hosts(flag: &str, hosts: &[String]) -> anyhow::Result<Vec<String>> {
    for host in hosts {
        Registry::parse(host).with_context(|| flag.to_owned())?;
    }
    Ok(hosts.to_vec())
}

/// Returns the limit of `--proc`; 0 or less sets none.
pub(super) fn bound(proc: i64) -> Option<usize> {
    usize::try_from(proc).ok().filter(|bound| *bound > 0)
}

/// Returns the policy for tags that exist with another digest.
pub(super) fn conflict_policy(flags: cli::Conflicts) -> ConflictPolicy {
    let action = match flags.conflict {
        cli::ConflictAction::Overwrite => ConflictAction::Overwrite,
        cli::ConflictAction::Skip => ConflictAction::Skip,
        cli::ConflictAction::Fail => ConflictAction::Fail,
    };
    action.into()
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

/// Returns the identity of a login, without its secret.
pub(super) fn identity(login: &LoginChoice) -> String {
    let who = match login {
        LoginChoice::Docker => "the login of docker or podman".to_owned(),
        LoginChoice::Helper(name) => format!("the login of docker-credential-{name}"),
        LoginChoice::Anonymous => "anonymous".to_owned(),
        login => match login.credential() {
            Credential::Anonymous => {
                "the login of docker or podman, if there is one, else anonymous".to_owned()
            }
            Credential::Basic { username, .. } => format!("as {username}"),
            Credential::Identity(_) => "by identity token".to_owned(),
            Credential::Bearer(_) => "by registry token".to_owned(),
            Credential::GoogleServiceAccount(_) => "as a Google service account".to_owned(),
        },
    };
    match login.secret_file() {
        Some(file) => format!("{who}, with the secret in {}", file.path().display()),
        None => who,
    }
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
