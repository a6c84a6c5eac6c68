//! Stderr during a run: everybody's lines, and a view below them, written by one thread.
//!
//! Whoever has something to say leaves it in a bounded queue and goes on, so that a terminal that is stopped (Ctrl-S)
//! or a pipe that nobody reads never holds up a transfer; only the thread waits for it. As nobody else writes, lines
//! and view do not run into each other.

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

/// How often the view is drawn: often enough to be alive, seldom enough to be read.
const FRAME: Duration = Duration::from_millis(100);

/// How long a stream is left alone that was made not to wait, and takes nothing now.
const BUSY: Duration = Duration::from_millis(20);

/// How long, after a signal, what is left to be written may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Something below the lines that is drawn again and again.
pub(crate) trait View: Send {
    /// Its lines at this moment, none wider than `size` has columns, and fewer than it has rows.
    fn frame(&mut self, now: Instant, size: TerminalSize) -> Vec<String>;
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl TerminalSize {
    /// That of the terminal behind stderr; the usual one where it does not say.
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

/// The way to the screen; clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Screen(Arc<LineQueue>);

/// A view is below the lines for as long as this lives.
pub(crate) struct ViewGuard(Screen);

/// The thread that writes. What is left is written when this is dropped.
pub(crate) struct ScreenThread {
    screen: Screen,
    thread: Option<JoinHandle<()>>,
    done: Option<oneshot::Receiver<()>>,
}

impl Screen {
    /// Appends lines, each with its end.
    pub(crate) fn push(&self, weight: LinePriority, lines: &str) {
        self.0.push(weight, lines);
    }

    /// Puts `view` below the lines until what this gives is dropped.
    pub(crate) fn show(&self, view: Box<dyn View>) -> ViewGuard {
        self.0.change(ViewChange::Show(view));
        ViewGuard(self.clone())
    }

    /// Erases the view and writes nothing more until [`Screen::resume`]. Returns when it is erased, or after a second
    /// where the terminal takes nothing.
    pub(crate) async fn pause(&self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.0.pause()).await;
    }

    /// Goes on writing after [`Screen::pause`].
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
    /// Starts the thread, which writes to `out`, nothing at first.
    ///
    /// # Errors
    /// When the system has no thread left.
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
                // Nobody may be waiting for it.
                let _ = sender.send(());
            })?;
        Ok(Self {
            screen: Screen(queue),
            thread: Some(thread),
            done: Some(done),
        })
    }

    /// The way to it.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Waits until everything is written; not much longer where `interrupted` completes. Says whether it is.
    pub(crate) async fn finish(mut self, interrupted: impl Future) -> bool {
        self.screen.0.end();
        // From here on nothing is waited for by anybody else.
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
            // A panic there was told by the thread itself.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
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
                // Whoever asked may have stopped waiting.
                let _ = pause.send(());
            }
            if last {
                return;
            }
        }
    }

    /// Writes all of `bytes`, or none any more where nobody reads them.
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.closed {
            match self.out.write(bytes) {
                Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody who has the same terminal may have made it so.
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
