//! The command `tags`.

mod table;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use image_syncer_registry::transport::{Observer, PauseReason};
use image_syncer_sync::config::Config;
use image_syncer_sync::rule::{RuleSource, Selection};
use image_syncer_sync::store::StoreError;
use image_syncer_sync::{Failure, Session};

use crate::cli::{self, TagsArgs};
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::escape;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::run::{self, SessionParts};
use crate::ui::listing::ListingForm;
use crate::ui::{Printer, full_reason, units};

use table::TagTable;

/// Prints the tags of a repository.
pub(super) fn execute(
    arguments: TagsArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let Some(written) = &arguments.source else {
        return selected(arguments, problems, printer);
    };
    let source = problems.collect(source(written));
    let config = problems
        .collect(registries(arguments.files))
        .unwrap_or_default();
    for warning in &config.warnings {
        problems.warn(warning);
    }
    let connections = ConnectionFlags {
        asking: &cli::Asking::default(),
        safety: &arguments.safety,
        transfer: &cli::Transfer::default(),
        insecure: &arguments.insecure.insecure,
    };
    let access = connections.access(&config, &mut problems);
    problems.print(printer)?;
    let source = source.context("no source is named")?;
    let observer = Arc::new(Warnings(printer.clone()));
    let parts = SessionParts {
        transfers: None,
        records: None,
        observer,
    };
    let session = run::open_session(access, parts)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let printed = runtime.block_on(print(&session, &source, arguments.output, printer));
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    Ok(printed)
}

/// Prints the tags that the rules of the files select.
fn selected(
    arguments: TagsArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let inputs = setup::input_files(&arguments.files);
    let defaults = cli::Defaults {
        registry: setup::environment("DEFAULT_REGISTRY"),
        namespace: setup::environment("DEFAULT_NAMESPACE"),
    };
    let platforms = cli::Platforms::default();
    let options = OptionFlags::platforms(&platforms);
    let config = setup::config(
        arguments.files,
        &arguments.selection,
        &defaults,
        &options,
        &mut problems,
    );
    let form = match arguments.output {
        cli::TagsFormat::Table => ListingForm::Tags,
        cli::TagsFormat::Json => ListingForm::Json,
    };
    let mut flags = RunFlags::listing("tags", config, inputs, form);
    flags.common.safety = arguments.safety;
    flags.insecure = arguments.insecure.insecure;
    flags.run(problems, printer)
}

/// Reads the registries of the files, for a source on the command line.
fn registries(files: cli::Files) -> anyhow::Result<Config> {
    let rules = Vec::new();
    if !files.images.is_empty() {
        bail!("--images has no effect beside SOURCE. Leave one of them out.");
    }
    if files.config.is_empty() {
        let auth = setup::inputs(files.auth);
        return Ok(Config::credentials(&auth, rules, &setup::environment)?);
    }
    if !files.auth.is_empty() {
        bail!("--config cannot be used with --auth. Leave one of them out.");
    }
    let config = setup::inputs(files.config);
    Ok(Config::registries(&config, rules, &setup::environment)?)
}

/// Parses the source.
fn source(written: &str) -> anyhow::Result<RuleSource> {
    let source = RuleSource::parse(written)?;
    if let Selection::Digest { .. } = source.select {
        let repository = &source.repository;
        bail!(
            "{written} names one image by its digest. Write {repository} for the tags of the repository."
        );
    }
    Ok(source)
}

/// Prints the tags page by page, so that a long list does not wait for its end.
async fn print(
    session: &Session,
    source: &RuleSource,
    format: cli::TagsFormat,
    printer: &Printer,
) -> Exit {
    let mut table = TagTable::new(format, Printer::stdout_width().is_some());
    let listed = async {
        let mut tags = session.tags(&source.repository).await?;
        while let Some(page) = tags.next().await? {
            let page = page.iter().filter(|listed| selects(source, &listed.tag));
            printer.out(&table.page(page));
        }
        Ok::<(), StoreError>(())
    };
    match listed.await {
        Ok(()) => {
            printer.out(&table.end());
            if table.is_empty() {
                printer.warning(&format!("{}: no tag", source.repository));
            }
            Exit::Done
        }
        Err(error) => {
            let reason = full_reason(&Failure::from(error));
            printer.error(&format!("{}: {reason}", source.repository));
            Exit::Failed
        }
    }
}

/// Returns true if the text of the source selects the tag.
fn selects(source: &RuleSource, tag: &image_syncer_registry::Tag) -> bool {
    match &source.select {
        Selection::Matching(pattern) => pattern.matches(tag),
        Selection::Tags(tags) => tags.contains(tag),
        _ => true,
    }
}

/// Prints warnings of registries, and pauses that a person would wonder about.
struct Warnings(Printer);

impl Observer for Warnings {
    fn pause(&self, host: &str, delay: Duration, why: PauseReason) {
        let why = match why {
            PauseReason::RateLimit => "rate limit",
            PauseReason::Overload => "overloaded",
        };
        if delay >= Duration::from_secs(2) {
            let delay = units::time(delay);
            self.0
                .warning(&format!("{host}: {why}, continues in {delay}"));
        }
    }

    fn warning(&self, host: &str, text: &str) {
        self.0.warning(&escape::line(&format!("{host}: {text}")));
    }
}
