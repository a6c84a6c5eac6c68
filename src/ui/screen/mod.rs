//! Stderr during a run: lines, and a view below them, written by one thread.
//!
//! A producer puts its lines into a bounded queue and continues. So a stopped terminal (Ctrl-S) or an unread pipe never
//! delays a transfer; only the thread waits. Because nothing else writes, lines and view never mix.

mod painter;
mod queue;

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use painter::Painter;
pub(crate) use queue::LinePriority;
use queue::{LineQueue, ViewChange};

/// Interval of the frames: short enough to look alive, long enough to be read.
const FRAME: Duration = Duration::from_millis(100);

/// Pause before a non-blocking stream that is full is tried again.
const BUSY: Duration = Duration::from_millis(20);

/// Time limit for the rest of the output after a signal.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines at the bottom of the terminal that are redrawn again and again.
pub(crate) trait View: Send {
    /// Returns the lines of this moment, none wider than `size` has columns, and fewer than it has rows.
    fn frame(&mut self, now: Instant, size: TerminalSize) -> Vec<String>;
}

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl TerminalSize {
    /// Returns the size of the terminal of stderr, or 80 by 24 if it reports none.
    fn from_stderr() -> Self {
        terminal_size::terminal_size_of(std::io::stderr())
            .filter(|(columns, rows)| columns.0 > 0 && rows.0 > 0)
            .map_or((80, 24).into(), |(columns, rows)| {
                (usize::from(columns.0), usize::from(rows.0)).into()
            })
    }
}

impl From<(usize, usize)> for TerminalSize {
    fn from((columns, rows): (usize, usize)) -> Self {
        Self { columns, rows }
    }
}

/// Handle of the screen. Clones share it.
#[derive(Clone)]
pub(crate) struct Screen(Arc<LineQueue>);

/// Shows a view until it is dropped.
pub(crate) struct ViewGuard(Screen);

/// Thread that writes the screen. Dropping it waits for the rest of the output.
pub(crate) struct ScreenThread {
    screen: Screen,
    thread: Option<JoinHandle<()>>,
    done: Option<oneshot::Receiver<()>>,
}

impl Screen {
    /// Queues lines, each including its end.
    pub(crate) fn push(&self, weight: LinePriority, lines: &str) {
        self.0.push(weight, lines);
    }

    /// Shows `view` below the lines until the guard is dropped.
    pub(crate) fn show(&self, view: Box<dyn View>) -> ViewGuard {
        self.0.change(ViewChange::Show(view));
        ViewGuard(self.clone())
    }

    /// Erases the view and writes nothing until [`Screen::resume`]. Returns when the view is erased, or after a second
    /// if the terminal is stopped.
    pub(crate) async fn pause(&self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.0.pause()).await;
    }

    /// Continues after [`Screen::pause`].
    pub(crate) fn resume(&self) {
        self.0.resume();
    }
}

impl Drop for ViewGuard {
    fn drop(&mut self) {
        self.0.0.change(ViewChange::Hide);
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

impl ScreenThread {
    /// Starts the thread, which writes to `out`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn to(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let queue = Arc::new(LineQueue::default());
        let (sender, done) = oneshot::channel();
        let writer = ScreenWriter {
            out,
            queue: Arc::clone(&queue),
            painter: Painter::default(),
            view: None,
            closed: false,
        };
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                writer.run();
                // The receiver may be gone.
                let _ = sender.send(());
            })?;
        Ok(Self {
            screen: Screen(queue),
            thread: Some(thread),
            done: Some(done),
        })
    }

    /// Returns the handle.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Waits until everything is written, or for a short time after `interrupted` completes. Returns whether everything
    /// was written.
    pub(crate) async fn finish(mut self, interrupted: impl Future) -> bool {
        self.screen.0.end();
        // From here on, nothing joins the thread.
        self.thread = None;
        let Some(mut done) = self.done.take() else {
            return true;
        };
        tokio::select! {
            biased;
            _ = &mut done => true,
            _ = interrupted => tokio::time::timeout(LAST_WORDS, done).await.is_ok(),
        }
    }
}

impl Drop for ScreenThread {
    fn drop(&mut self) {
        self.screen.0.end();
        if let Some(thread) = self.thread.take() {
            // The thread itself printed its panic.
            let _ = thread.join();
        }
    }
}

/// State of the thread.
struct ScreenWriter<W> {
    out: W,
    queue: Arc<LineQueue>,
    painter: Painter,
    view: Option<Box<dyn View>>,
    closed: bool,
}

impl<W: Write> ScreenWriter<W> {
    fn run(mut self) {
        let mut due = None;
        loop {
            let batch = self.queue.next(due);
            let last = batch.last;
            match batch.change {
                Some(ViewChange::Show(view)) if !self.closed => self.view = Some(view),
                Some(_) => self.view = None,
                None => {}
            }
            let now = Instant::now();
            let frame = match &mut self.view {
                Some(view) if !last && batch.pause.is_none() => {
                    view.frame(now, TerminalSize::from_stderr())
                }
                _ => Vec::new(),
            };
            due = self.view.as_ref().map(|_| now + FRAME);
            let text = self.painter.paint(&batch.text, frame);
            self.write(text.as_bytes());
            if let Some(pause) = batch.pause {
                // The receiver may be gone.
                let _ = pause.send(());
            }
            if last {
                return;
            }
        }
    }

    /// Writes all of `bytes`. Writes nothing more if the stream is closed.
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.closed {
            match self.out.write(bytes) {
                Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process may have made the terminal non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(BUSY),
                Ok(_) | Err(_) => {
                    self.closed = true;
                    self.view = None;
                    self.queue.close();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
