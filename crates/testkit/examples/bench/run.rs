//! One run of a program between its own registries.

use std::time::Duration;

use crate::callgrind;
use crate::measure::{self, Failure, Sample};
use crate::peers::Contender;
use crate::servers::Servers;
use crate::task::Task;
use crate::workloads::{Content, Workload};

/// The tool under which a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// None: the program runs at its own speed.
    None,
    /// Valgrind's callgrind, which counts instructions outside the kernel.
    Callgrind,
}

/// Runs a program once. `limit` is in seconds.
pub(crate) fn run(
    contender: &Contender,
    workload: &Workload,
    content: &Content,
    limit: u64,
    tool: Tool,
) -> Result<Sample, Failure> {
    let servers = Servers::start(workload, content, contender.destinations(workload));
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let task = Task {
        workload,
        content,
        servers: &servers,
        directory: directory.path(),
    };
    let mut invocation = contender.invocation(&task)?;
    let limit = Duration::from_secs(limit);
    if workload.immutable {
        measure::run(&invocation, directory.path(), limit)?;
        servers.clear();
    }
    let profile = directory.path().join("callgrind");
    if tool == Tool::Callgrind {
        callgrind::wrap(&mut invocation, &profile);
    }
    let mut sample = measure::run(&invocation, directory.path(), limit)?;
    sample.asked = servers.asked();
    if !matches!(contender, Contender::Relay(_)) {
        servers.complete(content)?;
    }
    if tool == Tool::Callgrind {
        let profile = std::fs::read_to_string(&profile).map_err(|error| error.to_string())?;
        let counts = callgrind::counts(&profile);
        sample.instructions = counts.ok_or_else(|| "callgrind wrote no total".to_owned())?;
    }
    Ok(sample)
}
