//! The log file. A thread of its own appends to it, so that a slow disk delays nothing.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::lock::{lock, wait_timeout_while, wait_while};

/// Maximum number of bytes that wait for the disk.
const ROOM: usize = 4 << 20;

/// Time for which a full queue delays a line before the line is dropped. After that, nothing waits until there is space
/// again.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 2_000 });

/// Formats a line that counts missing lines.
type GapMessage = fn(u64) -> String;

/// Queue of lines for the file. Clones share it.
#[derive(Clone)]
pub(super) struct LogFile(Arc<LogQueue>);

struct LogQueue {
    state: Mutex<State>,
    changed: Condvar,
    gap: GapMessage,
    /// Called once if the file cannot be written.
    complain: Box<dyn Fn(&std::io::Error) + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    /// Number of bytes in `waiting`.
    bytes: usize,
    /// Lines that were dropped since the last one that was queued.
    missed: u64,
    /// The thread is writing lines.
    writing: bool,
    /// Nothing waits for space.
    stuck: bool,
    closed: bool,
}

impl LogFile {
    /// Opens the file at `path` and starts its thread. `complain` is called once if the file cannot be written.
    pub(super) fn open(
        path: &Path,
        gap: GapMessage,
        complain: impl Fn(&std::io::Error) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| {
            anyhow!(
                "cannot open the log file {}: {}; name a writable file in an existing directory",
                path.display(),
                image_syncer_registry::io_clause(&error)
            )
        })?;
        Self::start(file, gap, complain).context("cannot start a thread for the log file")
    }

    fn start(
        out: impl Write + Send + 'static,
        gap: GapMessage,
        complain: impl Fn(&std::io::Error) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(LogQueue {
            state: Mutex::default(),
            changed: Condvar::new(),
            gap,
            complain: Box::new(complain),
        });
        let writer = LogWriter {
            out,
            shared: Arc::clone(&shared),
            torn: false,
            lost: 0,
            complained: false,
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Queues a line, including its end.
    pub(super) fn append(&self, line: &str) {
        let mut state = self.0.lock();
        if state.bytes >= ROOM && !state.stuck {
            let full = |state: &mut State| state.bytes >= ROOM && !state.closed;
            (state, _) = wait_timeout_while(&self.0.changed, state, PATIENCE, full);
            state.stuck = state.bytes >= ROOM;
        }
        if state.bytes >= ROOM || state.closed {
            state.missed = state.missed.saturating_add(1);
            return;
        }
        let missed = std::mem::take(&mut state.missed);
        if missed > 0 {
            state.drop_line((self.0.gap)(missed));
        }
        state.drop_line(line.to_owned());
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, at most for `patience`. Later lines are dropped. Returns whether everything
    /// was written.
    pub(super) fn close(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        let missed = std::mem::take(&mut state.missed);
        if missed > 0 {
            state.drop_line((self.0.gap)(missed));
        }
        state.closed = true;
        self.0.changed.notify_all();
        let left = deadline.saturating_duration_since(Instant::now());
        let under_way = |state: &mut State| state.writing || !state.waiting.is_empty();
        !wait_timeout_while(&self.0.changed, state, left, under_way).1
    }
}

impl State {
    fn drop_line(&mut self, line: String) {
        self.bytes += line.len();
        self.waiting.push_back(line);
    }
}

impl LogQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the waiting lines, or `None` if no more will come.
    fn take_lines(&self) -> Option<VecDeque<String>> {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        state = wait_while(&self.changed, state, idle);
        if state.waiting.is_empty() {
            return None;
        }
        state.writing = true;
        state.stuck = false;
        state.bytes = 0;
        let lines = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        Some(lines)
    }
}

/// State of the thread.
struct LogWriter<W> {
    out: W,
    shared: Arc<LogQueue>,
    /// The file ends in the middle of a line.
    torn: bool,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    complained: bool,
}

impl<W: Write> LogWriter<W> {
    fn run(mut self) {
        while let Some(lines) = self.shared.take_lines() {
            for line in lines {
                self.line(&line);
            }
        }
    }

    /// Writes a line, and before it the number of missing lines, if any.
    fn line(&mut self, line: &str) {
        let mut written = Ok(());
        if self.lost > 0 {
            let gap = (self.shared.gap)(self.lost);
            written = self.write_line(&gap);
        }
        if written.is_ok() {
            self.lost = 0;
            written = self.write_line(line);
        }
        if let Err(error) = written {
            self.lost = self.lost.saturating_add(1);
            if !std::mem::replace(&mut self.complained, true) {
                (self.shared.complain)(&error);
            }
        }
    }

    /// Writes one line with one call, if the system accepts it whole, because other processes may append to the same
    /// file. A line that was cut before is ended first.
    fn write_line(&mut self, line: &str) -> std::io::Result<()> {
        let separated;
        let mut rest = if self.torn {
            separated = format!("\n{line}");
            separated.as_bytes()
        } else {
            line.as_bytes()
        };
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    let (written, left) = rest.split_at(taken.min(rest.len()));
                    self.torn = written.last() != Some(&b'\n');
                    rest = left;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    fn gap(lines: u64) -> String {
        format!("{lines} missing\n")
    }

    /// Accepts as many bytes as there is space for, then fails until it gets more.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn room(&self, bytes: usize) {
            self.0.lock().unwrap().1 = bytes;
        }
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let taken = bytes.len().min(disk.1);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.1 -= taken;
            disk.0.extend(bytes.iter().take(taken));
            Ok(taken)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_counted_whole_lines() {
        let disk = Disk::default();
        disk.room(5);
        let (complaints, heard) = mpsc::channel();
        let mut writer = LogWriter {
            out: disk.clone(),
            shared: Arc::new(LogQueue {
                state: Mutex::default(),
                changed: Condvar::new(),
                gap,
                complain: Box::new(move |error| complaints.send(error.kind()).unwrap()),
            }),
            torn: false,
            lost: 0,
            complained: false,
        };
        writer.line("one\n");
        writer.line("two\n");
        writer.line("three\n");
        disk.room(1000);
        writer.line("four\n");
        writer.line("five\n");
        assert_eq!(disk.text(), "one\nt\n2 missing\nfour\nfive\n");
        disk.room(0);
        writer.line("six\n");
        disk.room(1000);
        writer.line("seven\n");
        assert!(disk.text().ends_with("five\n1 missing\nseven\n"));
        drop(writer);
        assert_eq!(heard.iter().collect::<Vec<_>>(), [ErrorKind::StorageFull]);
    }

    /// Accepts nothing until it is released.
    struct Stuck(mpsc::Receiver<()>, Disk);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // When the sender is gone, everything is accepted.
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_costs_bounded_memory_and_then_lines() {
        let disk = Disk::default();
        disk.room(usize::MAX);
        let (go, stuck) = mpsc::channel();
        let file = LogFile::start(Stuck(stuck, disk.clone()), gap, |_| {}).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        // The thread may hold one line and those before it. Nothing waits twice.
        for _ in 0..3 * ROOM / line.len() {
            file.append(&line);
        }
        assert!(file.0.lock().bytes <= ROOM);
        assert!(file.0.lock().missed > 0);
        drop(go);
        assert!(file.close(Duration::from_secs(60)));
        let text = disk.text();
        assert!(text.ends_with(" missing\n"), "{}", &text[text.len() - 40..]);
        assert!(
            text.lines()
                .all(|line| line.len() == 1023 || line.ends_with("missing"))
        );
    }

    #[test]
    fn queued_lines_are_written_before_the_log_closes() {
        let disk = Disk::default();
        disk.room(usize::MAX);
        let file = LogFile::start(disk.clone(), gap, |_| {}).unwrap();
        for number in 0..1000 {
            file.append(&format!("{number}\n"));
        }
        assert!(file.close(Duration::from_secs(60)));
        let expected: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(disk.text(), format!("{}\n", expected.join("\n")));
    }
}
