//! Signals that end a run: the first one in order, the second one at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives SIGINT, SIGTERM, SIGQUIT and SIGHUP from the moment it is created.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// `None` if the process was started with SIGHUP ignored, as `nohup` does. A closed terminal then ends nothing.
    hangup: Option<Signal>,
}

impl Signals {
    /// Starts to receive the signals. Needs a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let hangup = (!hangup_is_ignored()).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: hangup.transpose()?,
        })
    }

    /// Waits for the next signal and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
            _ = hangup => "SIGHUP",
        }
    }
}

/// Turns a write beyond the limit of `ulimit -f` into an error of that write. By default SIGXFSZ ends the process.
pub(crate) fn survive_file_size_limits() {
    // A handler that only sets a flag has the effect of ignoring the signal. If it cannot be installed, the default
    // stays.
    let exceeded = Arc::new(AtomicBool::new(false));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, exceeded);
}

/// Returns whether SIGHUP is ignored, if the system shows it.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| is_ignored(&status, signal_hook::consts::SIGHUP))
}

/// Returns whether `signal` is in the mask of ignored signals of a `/proc/PID/status`.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tcat\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\tffffffffffffffff\n";
        assert!(is_ignored(status, 1) && is_ignored(status, 13));
        assert!(!is_ignored(status, 2));
        assert!(!is_ignored("Name:\tcat\n", 1));
        assert!(!is_ignored("SigIgn:\tnot hexadecimal\n", 1));
    }
}
