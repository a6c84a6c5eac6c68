//! One run of a program between its own registries.

use std::path::Path;
use std::time::Duration;

use crate::measure::{self, Failure, Invocation, Sample};
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
    let counts = directory.path().join("callgrind");
    if tool == Tool::Callgrind {
        under_callgrind(&mut invocation, &counts);
    }
    let mut sample = measure::run(&invocation, directory.path(), limit)?;
    sample.asked = servers.asked();
    if *contender != Contender::Relay {
        servers.complete(content)?;
    }
    if tool == Tool::Callgrind {
        let text = std::fs::read_to_string(&counts).map_err(|error| error.to_string())?;
        sample.instructions = total(&text).ok_or_else(|| "callgrind wrote no total".to_owned())?;
    }
    Ok(sample)
}

fn under_callgrind(invocation: &mut Invocation, counts: &Path) {
    let file = format!("--callgrind-out-file={}", counts.display());
    let callgrind = ["valgrind", "-q", "--tool=callgrind", &file];
    let callgrind = callgrind.map(str::to_owned);
    invocation.arguments.splice(0..0, callgrind);
}

/// Returns the instructions of all threads in a file of callgrind.
fn total(text: &str) -> Option<u64> {
    let totals = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))?;
    totals.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line_of_a_profile() {
        let text = "# callgrind format\nevents: Ir\nsummary: 5\n\nfn=(1) main\n0 5\n\ntotals: 1080655186\n";
        assert_eq!(total(text), Some(1_080_655_186));
        assert_eq!(total("events: Ir\n"), None);
    }
}
