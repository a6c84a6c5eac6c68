//! The command `copy`.

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::bail;
use image_syncer_sync::config::{Config, Defaults};
use image_syncer_sync::rule::{
    NamedTags, Rule, RuleSource, Selection, expand_layout_glob, is_file_reference,
};
use image_syncer_sync::{Archives, Listener, Repository};

use crate::cli::{Auth, CopyArgs, RegistryFiles};
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::Inputs;
use crate::ui::{ArchivePrinter, Printer};

/// Maximum number of names in a message.
const SHOWN: usize = 3;

/// Copies the images of the arguments.
pub(super) fn execute(
    arguments: CopyArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let archives = setup::archives(&arguments.common.archives);
    let watcher: Arc<dyn Listener> = Arc::new(ArchivePrinter::new(printer.clone()));
    archives.watch(&watcher);
    let rules = problems
        .collect(rules(&arguments, &archives))
        .unwrap_or_default();
    let mut inputs = Inputs::default();
    inputs.add("--auth", &arguments.auth.auth);
    inputs.add("--config", &arguments.registries.config);
    let config = config(arguments.auth, arguments.registries, rules);
    let mut config = problems.collect(config).unwrap_or_default();
    let options = OptionFlags::new(&arguments.common, arguments.copying);
    config.set_options(&options.overrides(&mut problems));
    options.check(&config, &mut problems);
    for warning in &config.warnings {
        problems.warn(warning);
    }
    let flags = RunFlags {
        command: "copy",
        config,
        inputs,
        purpose: setup::copy_purpose(arguments.dry_run),
        transfer: arguments.transfer,
        output: arguments.output,
        common: arguments.common,
        logging: arguments.logging,
        progress: arguments.progress.progress,
        insecure: arguments.insecure.insecure,
        archives,
        sharding: crate::cli::Sharding::default(),
        #[cfg(feature = "share")]
        share: None,
    };
    flags.run(problems, printer)
}

/// Reads the registries of the files.
fn config(auth: Auth, registries: RegistryFiles, rules: Vec<Arc<Rule>>) -> anyhow::Result<Config> {
    let (auth, files) = (setup::inputs(auth.auth), setup::inputs(registries.config));
    if files.is_empty() {
        return Ok(Config::credentials(&auth, rules, &setup::environment)?);
    }
    if !auth.is_empty() {
        bail!("--config cannot be used with --auth. Use either.");
    }
    Ok(Config::registries(&files, rules, &setup::environment)?)
}

/// Returns the rules of the arguments: one for each source.
///
/// # Errors
/// If two images would get the same tag.
fn rules(arguments: &CopyArgs, archives: &Archives) -> anyhow::Result<Vec<Arc<Rule>>> {
    let (sources, destinations) = split(arguments);
    let defaults = setup::defaults(&arguments.defaults);
    let mut tags = NamedTags::default();
    let mut rules = Vec::with_capacity(sources.len());
    for source in expanded(&sources, destinations, archives)? {
        let rule = rule(
            &source,
            destinations,
            (arguments.all_tags, &defaults),
            archives,
        )?;
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
        rules.push(Arc::new(rule));
    }
    Ok(rules)
}

/// Returns the sources, with those that globs over layouts and archives match.
///
/// # Errors
/// If a glob matches several repositories and a destination would put all of them into one.
fn expanded(
    sources: &[&str],
    destinations: &[String],
    archives: &Archives,
) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::with_capacity(sources.len());
    for source in sources {
        let matched = expand_layout_glob(source, archives)?;
        let keeps_names = |to: &&String| to.ends_with('/') || is_file_reference(to);
        if matched.len() > 1
            && let Some(one) = destinations.iter().find(|to| !keeps_names(to))
        {
            bail!(
                "{source} matches {} repositories, and {one} is one. Write {one}/ to keep their paths below it.",
                matched.len()
            );
        }
        all.extend(matched);
    }
    Ok(all)
}

/// Returns the sources and the destinations of the arguments.
fn split(arguments: &CopyArgs) -> (Vec<&str>, &[String]) {
    let first = std::iter::once(arguments.source.as_str());
    if arguments.to.is_empty() {
        return (first.collect(), &arguments.destinations);
    }
    let others = arguments.destinations.iter().map(String::as_str);
    (first.chain(others).collect(), &arguments.to)
}

/// Returns the rule for one source. All tags of a repository are a lot to copy by mistake, so they need a flag.
fn rule(
    written: &str,
    destinations: &[String],
    (all_tags, defaults): (bool, &Defaults),
    archives: &Archives,
) -> anyhow::Result<Rule> {
    let source = RuleSource::parse(written)?;
    match (&source.select, all_tags) {
        (Selection::All, false) if source.repository.path().is_empty() => {
            bail!("{written} names no image{}", names_of(written, archives))
        }
        (Selection::All, false) => bail!(
            "{written} has neither tag nor digest. Write {written}:TAG, or add --all-tags to copy every tag."
        ),
        (Selection::All, true) | (_, false) => {}
        (_, true) => bail!(
            "--all-tags cannot be used with {written}, which has a tag or digest. Leave one of them out."
        ),
    }
    let keeps_name = |to: &&String| to.ends_with('/') && !is_file_reference(to);
    if let Some(to) = destinations.iter().find(keeps_name)
        && source.repository.image_name().is_empty()
    {
        bail!(
            "{written} has no name, so that it has none below {to}. Write its repository: {to}REPOSITORY."
        );
    }
    let destinations: Vec<Cow<'_, str>> = destinations
        .iter()
        .map(|destination| below(destination, &source))
        .collect();
    let destinations: Vec<&str> = destinations.iter().map(|text| &**text).collect();
    let rule = Rule::parse(written, &destinations, &|source| {
        defaults.destination(source)
    });
    Ok(rule?)
}

/// Returns the end of the sentence: what to write for an image of the layout `written`, or why nothing can be written.
fn names_of(written: &str, archives: &Archives) -> String {
    let glob = format!("{written}#*");
    match expand_layout_glob(&glob, archives) {
        Ok(names) => {
            let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
            format!(
                ". Write, for example, {}; or '{glob}' for all.",
                shown.join(" or ")
            )
        }
        Err(error) => error.to_string().replacen(&glob, "", 1),
    }
}

/// Returns the destination of `source` for a text that ends with a slash: the path of the source below it.
fn below<'a>(destination: &'a str, source: &RuleSource) -> Cow<'a, str> {
    if !destination.ends_with('/') || is_file_reference(destination) {
        return Cow::Borrowed(destination);
    }
    let name = source.repository.image_name();
    let path = Repository::parse(&name).map_or(name, |name| name.path().to_owned());
    Cow::Owned(format!("{destination}{path}"))
}
