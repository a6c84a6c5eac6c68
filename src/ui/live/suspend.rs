//! Ctrl-Z: erases the view before the process stops, and draws it again when the process continues.

use std::convert::Infallible;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::ui::screen::Screen;

/// Stops the process cleanly at each SIGTSTP, while it is polled.
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
        let _pause = screen.pause().await;
        // Returns when the process is continued; a process may always signal itself.
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

/// Returns whether a shell with job control started this process. Without one (`docker run -t`, `ssh -t`) nobody could
/// continue a stopped process; the system ignores SIGTSTP there by itself, unlike SIGSTOP.
///
/// Systems without `/proc` count as having such a shell: there a process is rarely started by anything else.
fn can_be_continued() -> bool {
    // `getsid` of rustix panics where the leader of the session is outside of the PID namespace.
    std::fs::read_to_string("/proc/self/stat").map_or(true, |stat| is_a_job(&stat))
}

/// Returns whether a `/proc/PID/stat` names a process group other than that of the session: a shell creates one for
/// each job. Both are 0 if they belong to an outer PID namespace.
fn is_a_job(stat: &str) -> bool {
    // The name of the program is in parentheses, and may contain blanks and parentheses.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
    // The state, the parent, the process group, the session.
    let mut fields = fields.unwrap_or_default().split(' ').skip(2);
    match (fields.next(), fields.next()) {
        (Some(group), Some(session)) => group != session,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_a_process_group_of_its_own() {
        assert!(is_a_job("71 (image-syncer) R 60 71 60 34816 71 4194304"));
        assert!(!is_a_job("60 (image-syncer) R 1 60 60 34816 60 4194304"));
        assert!(is_a_job("7 (odd) S 1 1 1 name) R 1 7 1 34816 7 0"));
    }

    #[test]
    fn a_session_outside_the_namespace_has_the_id_zero() {
        assert!(is_a_job("7 (image-syncer) R 1 7 0 34816 7 4194304"));
        assert!(!is_a_job("1 (image-syncer) R 0 0 0 34816 1 4194304"));
        assert!(!is_a_job("not a line of that file"));
    }
}
