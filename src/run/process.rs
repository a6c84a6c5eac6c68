//! The log and the runtime, which a process has once.

use anyhow::Context;
use tokio::runtime::Runtime;

use crate::cli::Logging;
use crate::ui::{Log, Printer};

/// Maximum number of worker threads of the runtime. Each costs memory, and threads beyond the cores are useless.
const MOST_THREADS: usize = 512;

/// Opens the log. A file that cannot be opened is a warning, and the log goes to stderr.
///
/// # Errors
/// `RUST_LOG` is invalid.
pub(crate) fn open_log(
    logging: &mut Logging,
    warnings: &mut Vec<String>,
    printer: &Printer,
) -> anyhow::Result<Log> {
    match Log::open(logging, printer.clone()) {
        Err(error) if logging.log.is_some() => {
            let warning = format!("{error:#}; the log goes to stderr");
            warnings.push(warning);
            logging.log = None;
            Log::open(logging, printer.clone())
        }
        opened => opened,
    }
}

/// Returns a runtime whose threads log to `log`.
///
/// # Errors
/// The system has no threads left.
pub(crate) fn runtime(log: &Log) -> anyhow::Result<Runtime> {
    let log = log.clone();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads(std::env::var("TOKIO_WORKER_THREADS").ok()))
        .enable_all()
        .on_thread_start(move || log.attach_thread())
        .build()
        .context("cannot start the runtime")
}

/// Returns the number of threads in `requested` (`TOKIO_WORKER_THREADS`), by default one for each core. Tokio itself
/// panics if the variable is not a positive number.
fn worker_threads(requested: Option<String>) -> usize {
    let requested = requested.and_then(|number| number.trim().parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match requested {
        Some(number @ 1..=MOST_THREADS) => number,
        _ => cores().min(MOST_THREADS),
    }
}

#[cfg(test)]
mod tests {
    use super::worker_threads;

    #[test]
    fn a_number_of_threads_that_is_none_counts_as_unset() {
        let cores = worker_threads(None);
        assert!(cores > 0);
        for unset in ["", "0", "-1", "many", "99999999999999999999", "1000000"] {
            assert_eq!(worker_threads(Some(unset.to_owned())), cores, "{unset}");
        }
        assert_eq!(worker_threads(Some(" 3".to_owned())), 3);
    }
}
