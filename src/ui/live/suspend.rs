//! Ctrl-Z: the view is erased before the process stops, and drawn again when it goes on.

use std::convert::Infallible;

use rustix::process::{Signal, getpgrp, getpid, getsid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::ui::screen::Screen;

/// Stops the process cleanly at each SIGTSTP, for as long as it is polled.
pub(super) async fn stop_on_request(screen: &Screen) -> Infallible {
    let Ok(mut requests) = signal(SignalKind::from_raw(Signal::TSTP.as_raw())) else {
        return std::future::pending().await;
    };
    loop {
        if requests.recv().await.is_none() {
            return std::future::pending().await;
        }
        if !can_be_continued() {
            continue;
        }
        screen.pause().await;
        // Returns when the process is continued; a process may always signal itself.
        let _ = kill_process(getpid(), Signal::STOP);
        screen.resume();
    }
}

/// Returns whether a shell with job control started this process. Without one (`docker run -t`, `ssh -t`) nobody could
/// continue a stopped process; the system ignores SIGTSTP there by itself, unlike SIGSTOP.
fn can_be_continued() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
