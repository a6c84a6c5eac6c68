//! Bounded queue of lines and view changes, so that a stopped reader needs no memory.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::lock::{lock, wait_timeout_while, wait_while};
use crate::ui::screen::View;
use crate::ui::units;

/// Maximum number of bytes of waiting lines. A terminal takes them in milliseconds; only a stopped one lets them wait.
pub(super) const ROOM: usize = 256 * 1024;

/// Additional bytes for lines that need attention.
pub(super) const RESERVE: usize = 256 * 1024;

/// Time after which a queue without a view returns an empty batch.
const IDLE: Duration = Duration::from_secs(60);

/// Importance of a line if the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinePriority {
    /// May be omitted.
    Info,
    /// Needs attention, and is omitted last.
    Attention,
    /// Belongs to the end of a run, whose length is bounded. It is never omitted.
    Closing,
}

/// Change of the view.
pub(super) enum ViewChange {
    Show(Box<dyn View>),
    Hide,
}

/// Queue between producers and the thread.
#[derive(Default)]
pub(super) struct LineQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines that wait.
    text: String,
    /// Number of bytes that are being written.
    taken: usize,
    left_out: u64,
    change: Option<ViewChange>,
    /// Lines are written together with the next frame.
    paced: bool,
    ending: bool,
    /// The stream is closed.
    closed: bool,
    /// Completed when the view is erased. Nothing is written from then until the end of the pause.
    pause: Option<oneshot::Sender<()>>,
    paused: bool,
}

/// Next output.
#[derive(Default)]
pub(super) struct LineBatch {
    /// Whole lines.
    pub(super) text: String,
    /// Change of the view.
    pub(super) change: Option<ViewChange>,
    /// Nothing follows.
    pub(super) last: bool,
    /// Completed when the view is erased.
    pub(super) pause: Option<oneshot::Sender<()>>,
}

impl State {
    /// Returns whether the thread has something to do before the next frame.
    fn has_output(&self) -> bool {
        let is_full = self.text.len() > ROOM / 2;
        let has_lines = !self.text.is_empty() && (!self.paced || is_full);
        let has_request = self.change.is_some() || self.pause.is_some() || self.ending;
        has_lines || has_request || self.left_out > 0
    }
}

impl LineQueue {
    /// Queues lines, if there is space for them.
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

    /// Changes the view.
    pub(super) fn change(&self, change: ViewChange) {
        let mut state = self.lock();
        state.paced = matches!(change, ViewChange::Show(_));
        state.change = Some(change);
        self.changed.notify_one();
    }

    /// Requests that the view is erased, and that nothing is written until [`LineQueue::resume`]. The receiver
    /// completes when it is erased.
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

    /// Ends the queue: no more lines will come.
    pub(super) fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_one();
    }

    /// Drops all lines, now and later, because the stream is closed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.text = String::new();
    }

    /// Waits for output, or until `due`. The previous batch counts as written.
    pub(super) fn next(&self, due: Option<Instant>) -> LineBatch {
        let mut state = self.lock();
        state.taken = 0;
        state = wait_while(&self.changed, state, |state| state.paused && !state.ending);
        let left = due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()));
        (state, _) = wait_timeout_while(&self.changed, state, left, |state| !state.has_output());
        let mut text = std::mem::take(&mut state.text);
        // Omitted lines came after those that fitted.
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
        lock(&self.state)
    }
}

/// Returns the line that counts omitted lines.
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
    fn omitted_lines_are_counted_after_the_others() {
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
        // Lines that are being written need space as well.
        queue.push(LinePriority::Info, &line);
        assert_eq!(queue.next(None).text.lines().count(), 1);
        queue.push(LinePriority::Info, &line);
        assert_eq!(queue.next(None).text, line);
    }

    #[test]
    fn lines_that_need_attention_have_reserved_space() {
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
    fn a_closed_queue_keeps_nothing() {
        let queue = LineQueue::default();
        queue.push(LinePriority::Attention, "a line\n");
        queue.close();
        queue.push(LinePriority::Closing, "another\n");
        queue.end();
        assert_eq!(queue.next(None).text, "");
    }
}
