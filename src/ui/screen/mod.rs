//! Stderr during a run: lines, and a view below them, written by one thread.
//!
//! A producer puts its lines into a bounded queue and continues. So a stopped terminal (Ctrl-S) or an unread pipe never
//! delays a transfer; only the thread waits. Because nothing else writes, lines and view never mix.

mod painter;

use std::io::{Result, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ui::background_writer::{BackgroundWriter, Batch, Overflow, Sink, WriteEnd};
use crate::ui::units;
use painter::Painter;

/// Interval of the frames: short enough to look alive, long enough to be read.
const FRAME: Duration = Duration::from_millis(100);

/// Time limit for the rest of the output after a signal.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Maximum number of bytes of waiting lines. A terminal takes them in milliseconds; only a stopped one lets them wait.
const ROOM: usize = 256 * 1024;

/// Additional bytes for lines that need attention.
const RESERVE: usize = 256 * 1024;

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

/// Piece of output.
enum ScreenPiece {
    /// Whole lines.
    Lines(String),
    Show(Box<dyn View>),
    Hide,
    Pause(Pause),
}

/// Request to erase the view and to write nothing for some time.
struct Pause {
    /// Completed when the view is erased.
    erased: oneshot::Sender<()>,
    /// Closed at the end of the pause.
    resumed: Receiver<()>,
}

/// Handle of the screen. Clones share it.
#[derive(Clone)]
pub(crate) struct Screen(Arc<BackgroundWriter<ScreenPiece>>);

/// Shows a view until it is dropped.
pub(crate) struct ViewGuard(Screen);

/// Pauses the screen until it is dropped.
pub(crate) struct PauseGuard {
    _resumed: Sender<()>,
}

impl Screen {
    /// Queues lines, each including its end, if there is space for them.
    pub(crate) fn push(&self, priority: LinePriority, lines: &str) {
        let overflow = match priority {
            LinePriority::Info => Overflow::Drop(ROOM),
            LinePriority::Attention => Overflow::Drop(ROOM + RESERVE),
            LinePriority::Closing => Overflow::Grow,
        };
        let piece = ScreenPiece::Lines(lines.to_owned());
        self.0.push(piece, lines.len(), overflow);
    }

    /// Shows `view` below the lines until the guard is dropped.
    pub(crate) fn show(&self, view: Box<dyn View>) -> ViewGuard {
        self.send(ScreenPiece::Show(view));
        ViewGuard(self.clone())
    }

    /// Erases the view and writes nothing until the guard is dropped. Returns when the view is erased, or after a
    /// second if the terminal is stopped.
    pub(crate) async fn pause(&self) -> PauseGuard {
        let (sender, erased) = oneshot::channel();
        let (sends_nothing, resumed) = channel();
        self.send(ScreenPiece::Pause(Pause {
            erased: sender,
            resumed,
        }));
        let _ = tokio::time::timeout(LAST_WORDS, erased).await;
        PauseGuard {
            _resumed: sends_nothing,
        }
    }

    fn send(&self, piece: ScreenPiece) {
        self.0.push(piece, 0, Overflow::Grow);
    }
}

impl Drop for ViewGuard {
    fn drop(&mut self) {
        self.0.send(ScreenPiece::Hide);
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

/// Owner of the screen. Dropping it waits for the rest of the output.
pub(crate) struct ScreenThread(Screen);

impl ScreenThread {
    /// Starts the thread, which writes to `out`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn to(out: impl Write + Send + 'static) -> Result<Self> {
        // An error of stderr has no reader.
        let writer = BackgroundWriter::start("screen", out, ScreenSink::default(), |_| {});
        Ok(Self(Screen(Arc::new(writer?))))
    }

    /// Returns the handle.
    pub(crate) fn screen(&self) -> &Screen {
        &self.0
    }

    /// Waits until everything is written, or for a short time after `interrupted` completes. Returns whether everything
    /// was written.
    pub(crate) async fn finish(self, interrupted: impl Future) -> bool {
        let end = self.0.0.finish(interrupted, LAST_WORDS).await;
        !matches!(end, Ok(WriteEnd::Interrupted))
    }
}

impl Drop for ScreenThread {
    fn drop(&mut self) {
        if !self.0.0.is_ended() {
            self.0.0.close(Duration::MAX);
        }
    }
}

#[derive(Default)]
struct ScreenSink {
    painter: Painter,
    view: Option<Box<dyn View>>,
}

impl Sink for ScreenSink {
    type Piece = ScreenPiece;

    fn write(&mut self, out: &mut dyn Write, batch: Batch<ScreenPiece>) -> Result<Option<Instant>> {
        let (mut lines, mut pause) = (String::new(), None);
        for piece in batch.pieces {
            match piece {
                ScreenPiece::Lines(more) => lines.push_str(&more),
                ScreenPiece::Show(view) => self.view = Some(view),
                ScreenPiece::Hide => self.view = None,
                ScreenPiece::Pause(requested) => pause = Some(requested),
            }
        }
        if batch.dropped > 0 {
            lines.push_str(&omitted(batch.dropped));
        }
        let now = Instant::now();
        let frame = match &mut self.view {
            Some(view) if !batch.is_last && pause.is_none() => {
                view.frame(now, TerminalSize::from_stderr())
            }
            _ => Vec::new(),
        };
        out.write_all(self.painter.paint(&lines, frame).as_bytes())?;
        if let Some(Pause { erased, resumed }) = pause {
            // Both ends may be gone: the run may have ended in the meantime.
            let _ = (erased.send(()), resumed.recv());
        }
        Ok(self.view.as_ref().map(|_| now + FRAME))
    }
}

/// Returns the line that counts omitted lines.
fn omitted(lines: u64) -> String {
    format!(
        "{:<11}  {} omitted: the terminal or pipe is too slow (--log FILE keeps all)\n",
        "note",
        units::count(lines, "line"),
    )
}

#[cfg(test)]
mod tests;
