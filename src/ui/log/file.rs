//! The log file. A thread of its own appends to it, so that a slow disk delays nothing.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::ui::background_writer::{BackgroundWriter, Batch, Overflow, Sink};

/// Maximum number of bytes that wait for the disk.
const ROOM: usize = 4 << 20;

/// Time for which a full queue delays a line before lines are dropped.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 2_000 });

/// Formats a line that counts missing lines.
type GapMessage = fn(u64) -> String;

/// Queue of lines for the file. Clones share it.
#[derive(Clone)]
pub(super) struct LogFile(Arc<BackgroundWriter<String>>);

impl LogFile {
    /// Opens the file at `path` and starts its thread. `complain` is called once if the file cannot be written.
    pub(super) fn open(
        path: &Path,
        gap: GapMessage,
        complain: impl FnOnce(&Error) + Send + 'static,
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
        complain: impl FnOnce(&Error) + Send + 'static,
    ) -> Result<Self> {
        let writer = BackgroundWriter::start("log", out, LogFileSink::new(gap), complain)?;
        Ok(Self(Arc::new(writer)))
    }

    /// Queues a line, including its end.
    pub(super) fn append(&self, line: String) {
        let size = line.len();
        self.0
            .push(line, size, Overflow::WaitThenDrop(ROOM, PATIENCE));
    }

    /// Waits until everything is written, at most for `patience`. Later lines are dropped. Returns whether everything
    /// was written.
    pub(super) fn close(&self, patience: Duration) -> bool {
        self.0.close(patience)
    }
}

struct LogFileSink {
    gap: GapMessage,
    /// The file ends in the middle of a line.
    torn: bool,
    /// Lines that are missing after the last one that was written.
    missing: u64,
}

impl Sink for LogFileSink {
    type Piece = String;

    /// Space on the disk may become free.
    const RECOVERS: bool = true;

    fn write(&mut self, out: &mut dyn Write, batch: Batch<String>) -> Result<Option<Instant>> {
        let mut first = Ok(());
        for line in batch.pieces {
            let written = self
                .write_gap(out)
                .and_then(|()| self.write_line(out, &line));
            self.missing += u64::from(written.is_err());
            first = first.and(written);
        }
        self.missing += batch.dropped;
        first.and(self.write_gap(out)).map(|()| None)
    }
}

impl LogFileSink {
    fn new(gap: GapMessage) -> Self {
        Self {
            gap,
            torn: false,
            missing: 0,
        }
    }

    /// Writes the number of missing lines, if any.
    fn write_gap(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.missing > 0 {
            self.write_line(out, &(self.gap)(self.missing))?;
            self.missing = 0;
        }
        Ok(())
    }

    /// Writes one line with one call, if the system accepts it whole, because other processes may append to the same
    /// file. A line that was cut before is ended first.
    fn write_line(&mut self, out: &mut dyn Write, line: &str) -> Result<()> {
        let start = if self.torn { "\n" } else { "" };
        let line = format!("{start}{line}");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let written = out.write(rest)?;
            let (written, left) = rest.split_at(written.min(rest.len()));
            let last = *written.last().ok_or(ErrorKind::WriteZero)?;
            self.torn = last != b'\n';
            rest = left;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Mutex, mpsc};

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
        let (mut sink, mut out) = (LogFileSink::new(gap), disk.clone());
        let mut write = |line: &str| {
            let batch = Batch {
                pieces: vec![line.to_owned()],
                dropped: 0,
                is_last: false,
            };
            sink.write(&mut out, batch)
        };
        write("one\n").unwrap();
        assert_eq!(write("two\n").unwrap_err().kind(), ErrorKind::StorageFull);
        write("three\n").unwrap_err();
        disk.room(1000);
        write("four\n").unwrap();
        write("five\n").unwrap();
        assert_eq!(disk.text(), "one\nt\n2 missing\nfour\nfive\n");
        disk.room(0);
        write("six\n").unwrap_err();
        disk.room(1000);
        write("seven\n").unwrap();
        assert!(disk.text().ends_with("five\n1 missing\nseven\n"));
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
            file.append(line.clone());
        }
        drop(go);
        assert!(file.close(Duration::from_secs(60)));
        let text = disk.text();
        assert!(text.ends_with(" missing\n"), "{}", &text[text.len() - 40..]);
        let (whole, gaps): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.len() == 1023);
        assert!(whole.len() * 1024 <= ROOM, "{}", whole.len());
        let missing: Vec<&str> = gaps
            .iter()
            .map(|gap| gap.strip_suffix(" missing").unwrap())
            .collect();
        let missing: usize = missing
            .iter()
            .map(|lines| lines.parse::<usize>().unwrap())
            .sum();
        assert_eq!(whole.len() + missing, 3 * ROOM / 1024);
    }

    #[test]
    fn queued_lines_are_written_before_the_log_closes() {
        let disk = Disk::default();
        disk.room(usize::MAX);
        let file = LogFile::start(disk.clone(), gap, |_| {}).unwrap();
        for number in 0..1000 {
            file.append(format!("{number}\n"));
        }
        assert!(file.close(Duration::from_secs(60)));
        let expected: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(disk.text(), format!("{}\n", expected.join("\n")));
    }
}
