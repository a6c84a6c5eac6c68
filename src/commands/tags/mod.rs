//! The command `tags`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::StreamExt as _;
use image_syncer_registry::transport::{Observer, PauseReason};
use image_syncer_sync::config::Config;
use image_syncer_sync::image_list::{ImageDetail, ImageListItem, ImageScope};
use image_syncer_sync::rule::is_file_reference;
use image_syncer_sync::{Listener, Session};
use tokio_util::sync::CancellationToken;

use crate::cli::{self, TagsArgs};
use crate::commands::connection_flags::ConnectionFlags;
use crate::commands::option_flags::OptionFlags;
use crate::commands::run_flags::RunFlags;
use crate::commands::setup;
use crate::escape;
use crate::exit::Exit;
use crate::hint::hint;
use crate::problems::Problems;
use crate::run::{self, SessionParts};
use crate::ui::listing::ListingForm;
use crate::ui::stdout::{StartWriting, Stdout};
use crate::ui::tags::{TagColumns, TagsForm, TagsOutput};
use crate::ui::{ArchivePrinter, Printer, full_reason, units};

/// Maximum number of hints below a list.
const MAX_HINTS: usize = 3;

/// Prints the images of a source.
pub(super) fn execute(
    arguments: TagsArgs,
    mut problems: Problems,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let Some(written) = &arguments.source else {
        return selected(arguments, problems, printer);
    };
    let scope = problems.collect(scope(written, arguments.detail));
    let form = form(arguments.output);
    let config = problems
        .collect(registries(arguments.files))
        .unwrap_or_default();
    for warning in &config.warnings {
        problems.warn(warning);
    }
    let archives = setup::archives(&arguments.archives);
    let watcher: Arc<dyn Listener> = Arc::new(ArchivePrinter::new(printer.clone()));
    archives.watch(&watcher);
    let connections = ConnectionFlags {
        asking: &cli::Asking::default(),
        safety: &arguments.safety,
        transfer: &cli::Transfer::default(),
        insecure: &arguments.insecure.insecure,
    };
    let access = connections.access(&config, &mut problems);
    problems.print(printer)?;
    let scope = scope.context("no source is named")?;
    let observer = Arc::new(Warnings(printer.clone()));
    let parts = SessionParts {
        transfers: None,
        archives,
        records: None,
        observer,
    };
    let session = run::open_session(access, parts)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let detail = detail(arguments.detail, &scope);
    let printed = runtime.block_on(print(&session, &scope, detail, form, printer));
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    printed
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
    flags.archives = setup::archives(&arguments.archives);
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
fn scope(written: &str, detail: cli::TagsDetail) -> anyhow::Result<ImageScope> {
    let scope = ImageScope::parse(written)?;
    if scope.has_repositories() && (detail.long || detail.names) {
        let flag = if detail.long { "--long" } else { "--names" };
        bail!(
            "{flag} has no effect on repositories, which {written} lists. Write {written}{}:/./ for all of their tags, or leave the flag out.",
            if written.contains('/') { "" } else { "/**" }
        );
    }
    Ok(scope)
}

/// Returns the details of the list. Files have all of them without a request.
fn detail(flags: cli::TagsDetail, scope: &ImageScope) -> ImageDetail {
    if flags.names {
        ImageDetail::Names
    } else if flags.long || scope.is_local() {
        ImageDetail::Contents
    } else {
        ImageDetail::Digests
    }
}

/// Returns the form of the output.
fn form(format: cli::TagsFormat) -> TagsForm {
    match (format, Printer::stdout_width()) {
        (cli::TagsFormat::Json, _) => TagsForm::Json,
        (cli::TagsFormat::Table, None) => TagsForm::Lines,
        (cli::TagsFormat::Table, Some(width)) => TagsForm::Table {
            width,
            colours: Printer::stdout_colours(),
        },
    }
}

/// Prints the images part by part, so that a long list does not wait for its end. Ends early if nobody reads it.
async fn print(
    session: &Session,
    scope: &ImageScope,
    detail: ImageDetail,
    form: TagsForm,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let gone = CancellationToken::new();
    let stdout = Stdout::start(StartWriting::AtOnce, {
        let gone = gone.clone();
        move || gone.cancel()
    })
    .context("cannot start the thread that writes to stdout")?;
    let mut output = TagsOutput::new(form, columns(scope, detail));
    let mut failures = Failures::default();
    let mut list = std::pin::pin!(session.list_images(scope, detail));
    while let Some(Some(items)) = gone.run_until_cancelled(list.next()).await {
        let text = output.part(&items);
        stdout.send(move |out| out.write_all(text.as_bytes()));
        for item in &items {
            failures.add(item, printer);
        }
    }
    let end = output.end();
    stdout.send(move |out| out.write_all(end.as_bytes()));
    let written = stdout.finish(std::future::pending::<()>()).await;
    let is_complete = failures.print(&output, printer);
    if is_complete && output.count() == 0 && !gone.is_cancelled() {
        printer.warning(&format!("{scope}: {}", empty(scope)));
    }
    if let Err(error) = written {
        printer.error(&format!("cannot write to stdout: {error}"));
        return Ok(Exit::Failed);
    }
    Ok(if is_complete {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Returns the columns of the list.
fn columns(scope: &ImageScope, detail: ImageDetail) -> TagColumns {
    if scope.has_repositories() {
        return TagColumns::Repositories;
    }
    TagColumns::Images {
        detail,
        is_local: scope.is_local(),
    }
}

/// Failures of a list, and advice on them.
#[derive(Default)]
struct Failures {
    /// Number of lists that are incomplete.
    lists: u64,
    /// Advice, each once.
    hints: Vec<String>,
}

impl Failures {
    /// Adds the failure of `item`, if it has one, and prints that of a list, which has no row.
    fn add(&mut self, item: &ImageListItem, printer: &Printer) {
        let failure = match item {
            ImageListItem::Failed { place, failure } => {
                printer.error(&format!("{place}: {}", full_reason(failure)));
                self.lists += 1;
                // The advice on a file is this command.
                Some(failure).filter(|_| !is_file_reference(place))
            }
            ImageListItem::Image(image) => image.failure.as_ref(),
            ImageListItem::Repository(_) => None,
        };
        if self.hints.len() < MAX_HINTS
            && let Some(hint) = failure.and_then(hint)
            && !self.hints.contains(&hint)
        {
            self.hints.push(hint);
        }
    }

    /// Prints the number of images with a failure, and the advice. Returns true if nothing failed.
    fn print(&self, output: &TagsOutput, printer: &Printer) -> bool {
        if output.failed() > 0 {
            let failed = units::grouped(output.failed());
            let all = units::count(output.count(), "image");
            printer.error(&format!(
                "{failed} of {all} could not be read. The list has the reasons."
            ));
        }
        for hint in &self.hints {
            printer.line(&format!("hint: {}", escape::line(hint)));
        }
        self.lists == 0 && output.failed() == 0
    }
}

/// Returns the description of an empty list.
fn empty(scope: &ImageScope) -> &'static str {
    if scope.has_repositories() {
        "no repository"
    } else if scope.is_local() {
        "no image"
    } else {
        "no tag"
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
