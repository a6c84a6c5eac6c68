//! What is to be written and was not yet: bounded, so that a reader who takes nothing costs no memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::ui::screen::View;
use crate::ui::units;

/// How many bytes of lines may wait. A terminal takes them in milliseconds; only one that is stopped lets them wait.
pub(super) const ROOM: usize = 256 * 1024;

/// How many bytes more may wait of lines that need attention.
pub(super) const RESERVE: usize = 256 * 1024;

/// How much a line matters where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinePriority {
    /// It may be left out.
    Info,
    /// It needs attention: it is left out last.
    Attention,
    /// It belongs to the end of a run, whose length is bounded: it is never left out.
    Closing,
}

/// What is to become of the view.
pub(super) enum ViewChange {
    Show(Box<dyn View>),
    Hide,
}

/// The queue between those who say something and the one who writes.
#[derive(Default)]
pub(super) struct LineQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines, not taken yet.
    text: String,
    /// Bytes that were taken and are being written.
    taken: usize,
    left_out: u64,
    change: Option<ViewChange>,
    /// Lines are written together with the next frame.
    paced: bool,
    ending: bool,
    /// Nobody reads any more.
    closed: bool,
    /// Completed when the view is erased; nothing is written from then until the end of the pause.
    pause: Option<oneshot::Sender<()>>,
    paused: bool,
}

/// What is to be written next.
#[derive(Default)]
pub(super) struct LineBatch {
    /// Whole lines.
    pub(super) text: String,
    /// What is to become of the view.
    pub(super) change: Option<ViewChange>,
    /// Nothing comes after this.
    pub(super) last: bool,
    /// The view is to be erased, and this to be completed then.
    pub(super) pause: Option<oneshot::Sender<()>>,
}

impl LineQueue {
    /// Appends lines, if there is room for them.
    pub(super) fn push(&self, weight: LinePriority, lines: &str) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let waiting = state.taken + state.text.len() + lines.len();
        let fits = match weight {
            LinePriority::Info => waiting <= ROOM,
            LinePriority::Attention => waiting <= ROOM + RESERVE,
            LinePriority::Closing => true,
        };
        if !fits {
            state.left_out += 1;
            return;
        }
        state.text.push_str(lines);
        if !state.paced || waiting > ROOM / 2 {
            self.changed.notify_one();
        }
    }

    /// Changes what is below the lines.
    pub(super) fn change(&self, change: ViewChange) {
        let mut state = self.lock();
        state.paced = matches!(change, ViewChange::Show(_));
        state.change = Some(change);
        self.changed.notify_one();
    }

    /// Asks for the view to be erased, and for nothing to be written until [`LineQueue::resume`]. The receiver completes
    /// when it is erased.
    pub(super) fn pause(&self) -> oneshot::Receiver<()> {
        let (sender, erased) = oneshot::channel();
        self.lock().pause = Some(sender);
        self.changed.notify_one();
        erased
    }

    /// Ends a pause.
    pub(super) fn resume(&self) {
        let mut state = self.lock();
        state.pause = None;
        state.paused = false;
        self.changed.notify_one();
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_one();
    }

    /// Nobody reads any more: nothing is kept from now on.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.text = String::new();
    }

    /// Waits until there is something to write, or until `due`; what was taken before is written.
    pub(super) fn next(&self, due: Option<Instant>) -> LineBatch {
        let mut state = self.lock();
        state.taken = 0;
        while state.paused && !state.ending {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            let full = state.text.len() > ROOM / 2;
            let has_lines = !state.text.is_empty() && (!state.paced || full);
            let is_asked = state.change.is_some() || state.pause.is_some() || state.ending;
            if has_lines || state.left_out > 0 || is_asked {
                break;
            }
            state = match due {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let mut text = std::mem::take(&mut state.text);
        // What was left out came after what had room.
        if state.left_out > 0 {
            text.push_str(&left_out(std::mem::take(&mut state.left_out)));
        }
        state.taken = text.len();
        let pause = state.pause.take();
        state.paused = pause.is_some();
        LineBatch {
            text,
            change: state.change.take(),
            last: state.ending,
            pause,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says how much was left out.
fn left_out(lines: u64) -> String {
    format!(
        "{:<11}  {} omitted: the terminal or pipe is too slow (--log FILE keeps all)\n",
        "note",
        units::count(lines, "line"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_told_behind_what_had() {
        let queue = LineQueue::default();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..ROOM / 1024 + 1_234 {
            queue.push(LinePriority::Info, &line);
        }
        let batch = queue.next(None);
        let lines: Vec<&str> = batch.text.lines().collect();
        assert_eq!(lines.len(), ROOM / 1024 + 1);
        let note = "note         1,234 lines omitted: the terminal or pipe is too slow (--log FILE keeps all)";
        assert_eq!(lines.last(), Some(&note));
        // What is being written takes room as well; when it is written, there is room again.
        queue.push(LinePriority::Info, &line);
        assert_eq!(queue.next(None).text.lines().count(), 1);
        queue.push(LinePriority::Info, &line);
        assert_eq!(queue.next(None).text, line);
    }

    #[test]
    fn what_needs_attention_has_room_of_its_own_and_the_end_always() {
        let queue = LineQueue::default();
        let line = format!("{}\n", "x".repeat(1023));
        for weight in [LinePriority::Info, LinePriority::Attention] {
            for _ in 0..(ROOM + RESERVE) / 1024 + 5 {
                queue.push(weight, &line);
            }
        }
        queue.push(LinePriority::Closing, "the end\n");
        queue.end();
        let batch = queue.next(None);
        assert_eq!(batch.text.lines().count(), (ROOM + RESERVE) / 1024 + 2);
        assert!(batch.text.contains("\nthe end\n") && batch.last);
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let queue = LineQueue::default();
        queue.push(LinePriority::Attention, "a line\n");
        queue.close();
        queue.push(LinePriority::Closing, "another\n");
        queue.end();
        assert_eq!(queue.next(None).text, "");
    }
}
