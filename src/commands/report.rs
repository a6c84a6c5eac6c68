//! The command `report`.

use std::path::Path;

use crate::cli::{ReportAction, ReportArgs, ReportMerge};
#[cfg(feature = "share")]
use crate::commands::shared_report;
use crate::exit::Exit;
use crate::problems::Problems;
use crate::replacement::{self, AtomicFile};
use crate::report::ShardReports;
use crate::run::Inputs;
use crate::run::collisions;
use crate::ui::Printer;

/// Flag of the merged report.
const FLAG: &str = "--output";

/// Executes the action.
pub(super) fn execute(arguments: &ReportArgs, printer: &Printer) -> anyhow::Result<Exit> {
    match &arguments.action {
        Some(ReportAction::Merge(arguments)) => merge(arguments, printer),
        #[cfg(feature = "share")]
        None => shared_report::execute(&arguments.shared, printer),
        #[cfg(not(feature = "share"))]
        None => anyhow::bail!("report needs an action. Write image-syncer report merge FILE..."),
    }
}

/// Merges the reports of shards.
///
/// # Errors
/// If a report cannot be used, or the output is one of them.
fn merge(arguments: &ReportMerge, printer: &Printer) -> anyhow::Result<Exit> {
    let mut inputs = Inputs::default();
    inputs.add("FILE", &arguments.files);
    let mut problems = Problems::default();
    let outputs: Vec<_> = arguments
        .output
        .iter()
        .map(|path| (FLAG, path.as_path()))
        .collect();
    collisions::refuse(&inputs, &outputs, &mut problems);
    let reports = problems.collect(ShardReports::read(&arguments.files));
    problems.finish()?;
    let Some(reports) = reports else {
        return Ok(Exit::Usage);
    };
    for warning in &reports.warnings {
        printer.warning(warning);
    }
    if let Err(error) = write(&reports, arguments.output.as_deref()) {
        printer.error(&format!("{error:#}"));
        return Ok(Exit::Failed);
    }
    Ok(match reports.exit_code() {
        _ if !arguments.exit_code => Exit::Done,
        0 => Exit::Done,
        3 => Exit::Differs,
        130 => Exit::Interrupted,
        _ => Exit::Failed,
    })
}

fn write(reports: &ShardReports, path: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = path else {
        return reports.write(std::io::stdout().lock()).map(drop);
    };
    let file = AtomicFile::create(FLAG, path)?;
    let name = file.name();
    let written = reports.write(file).and_then(|file| Ok(file.put()?));
    written.map_err(|error| replacement::failed(FLAG, &name, &error))
}
