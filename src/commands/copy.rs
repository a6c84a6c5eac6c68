//! The command `copy`.

use std::sync::Arc;

use anyhow::{Context, bail};
use image_syncer_registry::Registry;
use image_syncer_registry::auth::{Credential, KeychainEntry};
use image_syncer_sync::config::Config;
use image_syncer_sync::rule::{NamedTags, Rule, RuleSource, Selection};

use crate::cli::CopyArgs;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::Inputs;
use crate::ui::Printer;

/// Copies the image of the arguments.
pub(super) fn execute(
    arguments: CopyArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    image_syncer_registry::transport::prepare();
    let rule = problems.collect(rule(&arguments));
    let rules: Vec<Arc<Rule>> = rule.into_iter().map(Arc::new).collect();
    let mut inputs = Inputs::default();
    inputs.add("--auth", &arguments.auth.auth);
    let auth = setup::inputs(arguments.auth.auth);
    let config = Config::credentials(&auth, rules, &setup::environment);
    let mut config = problems.collect(config).unwrap_or_default();
    for host in &arguments.insecure.insecure {
        problems.collect(allow_insecure(&mut config.credentials, host));
    }
    for warning in &config.warnings {
        problems.warn(warning);
    }
    let flags = RunFlags {
        command: "copy",
        config,
        inputs,
        purpose: setup::copy_purpose(arguments.dry_run),
        copying: arguments.copying,
        transfer: arguments.transfer,
        output: arguments.output,
        common: arguments.common,
        logging: arguments.logging,
    };
    flags.run(problems, printer)
}

/// Returns the rule of the arguments. All tags of a repository are a lot to copy by mistake, so they need a flag.
fn rule(arguments: &CopyArgs) -> anyhow::Result<Rule> {
    let written = &arguments.source;
    let source = RuleSource::parse(written)?;
    match (&source.select, arguments.all_tags) {
        (Selection::All, false) => bail!(
            "{written} has neither tag nor digest. Write {written}:TAG, or add --all-tags to copy every tag."
        ),
        (Selection::All, true) | (_, false) => {}
        (_, true) => bail!(
            "--all-tags cannot be used with {written}, which has a tag or digest. Leave one of them out."
        ),
    }
    let destinations: Vec<&str> = arguments.destinations.iter().map(String::as_str).collect();
    let defaults = setup::defaults(&arguments.defaults);
    let rule = Rule::parse(written, &destinations, &|source| {
        defaults.destination(source)
    })?;
    let mut tags = NamedTags::default();
    for destination in &rule.destinations {
        if let Some(conflict) = tags.insert(&rule.source, destination, &()) {
            bail!(
                "{} gets two images, {} and {}. Give one of them another tag or repository.",
                conflict.destination,
                conflict.first,
                conflict.second
            );
        }
    }
    Ok(rule)
}

/// Allows `host` without a trusted certificate: all of its entries, and everything else there.
fn allow_insecure(credentials: &mut Vec<KeychainEntry>, host: &str) -> anyhow::Result<()> {
    let registry = Registry::parse(host).context("--insecure")?;
    let mut covered = false;
    for entry in credentials.iter_mut() {
        let prefix = entry.prefix.trim_end_matches('/');
        let (name, path) = prefix.split_once('/').unwrap_or((prefix, ""));
        if Registry::parse(name).is_ok_and(|other| other == registry) {
            entry.insecure = true;
            covered |= path.is_empty();
        }
    }
    if !covered {
        credentials.push(
            KeychainEntry::new(host, Credential::Anonymous, "--insecure").with_insecure(true),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use image_syncer_registry::auth::Secret;

    use super::*;

    #[test]
    fn entries_of_an_insecure_host_keep_what_else_they_say() {
        let entry = |prefix: &str| {
            KeychainEntry::new(
                prefix,
                Credential::Identity(Secret::new("token")),
                "auth.yaml",
            )
        };
        let mut entries = vec![entry("r.example/team/"), entry("s.example")];
        for host in ["r.example", "s.example", "s.example"] {
            allow_insecure(&mut entries, host).unwrap();
        }
        let prefixes: Vec<&str> = entries.iter().map(|entry| entry.prefix.as_str()).collect();
        assert_eq!(prefixes, ["r.example/team/", "s.example", "r.example"]);
        assert!(entries.iter().all(|entry| entry.insecure));
        assert_eq!(entries.first().unwrap().credential, entry("").credential);
    }

    #[test]
    fn an_insecure_host_that_is_none_is_refused() {
        let error = allow_insecure(&mut Vec::new(), "http://r.example").unwrap_err();
        assert!(format!("{error:#}").starts_with("--insecure: `http://r.example`"));
    }
}
