//! Runs the table.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image_syncer_sync::report::Summary;
use testkit::Profile;

use crate::expect::Expect;
use crate::faults::{self, Row};
use crate::operations::{End, Operation};
use crate::registry_pair::{RETRIES, RegistryPair, SHORT_STALL};

/// Cells at the same time: most of them wait most of the time.
const WORLDS: usize = 16;
/// Maximum time of a cell; a longer one hangs.
const MAX_CELL_TIME: Duration = Duration::from_secs(60);

/// Result of a run.
struct CellResult {
    summary: Summary,
    hits: u64,
}

/// Runs `judge` on each of `cells`, with a runtime each, many at the same time. Returns their complaints.
pub(crate) fn run_all<C: Sync>(
    cells: &[C],
    judge: impl AsyncFn(&C) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let judged = runtime.block_on(async {
                let judged = tokio::time::timeout(MAX_CELL_TIME, judge(cell)).await;
                judged.unwrap_or_else(|_| Err("it hangs".to_owned()))
            });
            if let Err(complaint) = judged {
                complaints.lock().unwrap().push(complaint);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(work);
        }
    });
    let mut complaints = complaints.into_inner().unwrap();
    complaints.sort();
    complaints
}

#[test]
fn every_fault_at_every_request() {
    let rows = faults::rows();
    let cells = faults::cells(&rows);
    let complaints = run_all(&cells, async |(row, operation, always, expect)| {
        cell(row, *operation, *always, *expect)
            .await
            .map_err(|why| {
                let how = if *always { "always" } else { "once" };
                format!("{}, {how}, at {}: {why}", row.name, operation.name())
            })
    });
    assert!(
        complaints.is_empty(),
        "{} of {} cells:\n{}",
        complaints.len(),
        cells.len(),
        complaints.join("\n")
    );
}

async fn cell(row: &Row, operation: Operation, always: bool, expect: Expect) -> Result<(), String> {
    let (source, destination) = match operation.end() {
        End::Source => (operation.profile(), Profile::distribution3()),
        End::Destination => (Profile::distribution3(), operation.profile()),
    };
    let mut world = RegistryPair::new(source, destination).await;
    world.selector = operation.selector();
    if row.silent {
        world.stall = SHORT_STALL;
    }
    if operation == Operation::Mount || row.one_by_one {
        // Mounted content must be there first.
        world.images = 1;
    }
    let registry = match operation.end() {
        End::Source => &world.source,
        End::Destination => &world.destination,
    };
    let fault = if always {
        operation.fault()
    } else {
        operation.fault().nth(1)
    };
    let handle = registry.fault(fault, (row.action)(registry));
    let summary = world.copy().await;
    let result = CellResult {
        summary,
        hits: handle.hits(),
    };
    judge(&world, operation, expect, &result)
}

/// Judges the cell by its result.
fn judge(
    world: &RegistryPair,
    operation: Operation,
    expect: Expect,
    result: &CellResult,
) -> Result<(), String> {
    let CellResult { summary, hits } = result;
    if *hits == 0 {
        return Err(format!("no request was struck; {:?}", reasons(summary)));
    }
    world
        .check_others_arrived()
        .map_err(|why| format!("another image: {why}; {:?}", reasons(summary)))?;
    has_expected_outcome(world, expect, summary)?;
    if let [failed] = &summary.failures[..] {
        let (failure, hosts) = (&failed.failure, operation.hosts(world));
        let named = failure.reason.contains(&failure.host);
        if !named || !hosts.contains(&failure.host) {
            let host = &failure.host;
            return Err(format!("{hosts:?} is to blame, not {host}: {failure}"));
        }
        if *hits > operation.most(RETRIES) {
            return Err(format!("{hits} tries: {failure}"));
        }
    }
    Ok(())
}

/// Returns whether the target image ended as expected, and no request was made that a correct client never makes.
pub(crate) fn has_expected_outcome(
    world: &RegistryPair,
    expect: Expect,
    summary: &Summary,
) -> Result<(), String> {
    for registry in [&world.source, &world.destination] {
        if let Some(problem) = registry.problems().first() {
            return Err(problem.clone());
        }
    }
    let reasons = reasons(summary);
    match expect {
        Expect::Copied(_) if !reasons.is_empty() => Err(format!("{reasons:?}")),
        Expect::Copied(_) => world.check_target_arrived(),
        Expect::Fails(says) => {
            let [reason] = reasons[..] else {
                return Err(format!("{} failures: {reasons:?}", reasons.len()));
            };
            if !reason.contains(says) || reason.contains("internal error") {
                return Err(format!("does not say {says:?}: {reason}"));
            }
            match world.check_target_arrived() {
                Ok(()) => Err(format!("it is there, but failed: {reason}")),
                Err(_) => Ok(()),
            }
        }
    }
}

/// Returns the reasons of all failures.
pub(crate) fn reasons(summary: &Summary) -> Vec<&str> {
    let failures = summary.failures.iter();
    failures
        .map(|failed| failed.failure.reason.as_str())
        .collect()
}
