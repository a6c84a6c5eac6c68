#![allow(clippy::unwrap_used)]
use std::io::ErrorKind;
use std::sync::{Condvar, Mutex};

use super::*;

/// Stream that blocks until it is opened, and then accepts everything, unless it is closed.
#[derive(Clone, Default)]
struct Pipe(Arc<(Mutex<Taken>, Condvar)>);

#[derive(Default)]
struct Taken {
    text: String,
    open: bool,
    /// Number of write calls.
    calls: u64,
    busy: u64,
    closed: bool,
}

impl Pipe {
    fn with(&self, change: impl FnOnce(&mut Taken)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }
    fn until(&self, condition: impl Fn(&Taken) -> bool) {
        let taken = self.0.0.lock().unwrap();
        drop(
            self.0
                .1
                .wait_while(taken, |taken| !condition(taken))
                .unwrap(),
        );
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut taken = self.0.0.lock().unwrap();
        taken.calls += 1;
        self.0.1.notify_all();
        let mut taken = self.0.1.wait_while(taken, |taken| !taken.open).unwrap();
        if taken.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if taken.busy > 0 {
            taken.busy -= 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        // Accepts small pieces only.
        let (bytes, _) = bytes.split_at(bytes.len().min(1000));
        taken.text.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn a_stopped_terminal_delays_no_producer_and_loses_no_failure() {
    let pipe = Pipe::default();
    let writing = ScreenThread::to(pipe.clone()).unwrap();
    let screen = writing.screen().clone();
    screen.push(LinePriority::Info, "first\n");
    pipe.until(|taken| taken.calls > 0);
    for _ in 0..100_000 {
        screen.push(LinePriority::Info, "a line of thirty-two characters\n");
    }
    screen.push(LinePriority::Attention, "failed\n");
    screen.push(LinePriority::Closing, "the end\n");
    pipe.with(|taken| (taken.open, taken.busy) = (true, 3));
    assert!(runtime().block_on(writing.finish(std::future::pending::<()>())));
    pipe.with(|taken| {
        assert!(taken.text.starts_with("first\na line"));
        let shown = taken.text.matches("a line").count();
        let left_out = units_of(100_000 - shown);
        assert!(
            taken.text.contains("\nfailed\nthe end\nnote "),
            "{}",
            taken.text.len()
        );
        assert!(taken.text.contains(&format!("{left_out} lines omitted")));
        assert!(taken.text.len() <= ROOM + 200);
    });
}

#[test]
fn lines_that_need_attention_have_reserved_space() {
    let pipe = Pipe::default();
    let writing = ScreenThread::to(pipe.clone()).unwrap();
    let screen = writing.screen().clone();
    screen.push(LinePriority::Info, "first\n");
    pipe.until(|taken| taken.calls > 0);
    let line = format!("{}\n", "x".repeat(1023));
    for priority in [LinePriority::Info, LinePriority::Attention] {
        for _ in 0..(ROOM + RESERVE) / 1024 + 5 {
            screen.push(priority, &line);
        }
    }
    screen.push(LinePriority::Closing, "the end\n");
    pipe.with(|taken| taken.open = true);
    assert!(runtime().block_on(writing.finish(std::future::pending::<()>())));
    pipe.with(|taken| {
        // The first line needs space as well while it is being written.
        let fitted = taken.text.lines().filter(|line| line.len() == 1023).count();
        assert_eq!(fitted, (ROOM + RESERVE) / 1024 - 1);
        let end = "\nthe end\nnote         523 lines omitted: the terminal or pipe is too slow (--log FILE keeps all)\n";
        assert!(taken.text.ends_with(end), "{}", &taken.text[taken.text.len() - 200..]);
    });
}

fn units_of(number: usize) -> String {
    crate::ui::units::grouped(number as u64)
}

#[test]
fn a_closed_pipe_ends_the_thread() {
    let pipe = Pipe::default();
    pipe.with(|taken| (taken.open, taken.closed) = (true, true));
    let writing = ScreenThread::to(pipe.clone()).unwrap();
    for _ in 0..10 {
        writing.screen().push(LinePriority::Closing, "a line\n");
    }
    drop(writing);
    pipe.with(|taken| assert_eq!((taken.text.as_str(), taken.calls), ("", 1)));
}

#[test]
fn a_signal_ends_the_wait_for_a_stopped_reader() {
    let pipe = Pipe::default();
    let writing = ScreenThread::to(pipe.clone()).unwrap();
    writing.screen().push(LinePriority::Closing, "the end\n");
    assert!(!runtime().block_on(writing.finish(std::future::ready(()))));
    // Lets the thread end.
    pipe.with(|taken| taken.open = true);
}

struct Clock(u64);

impl View for Clock {
    fn frame(&mut self, _now: Instant, _size: TerminalSize) -> Vec<String> {
        self.0 += 1;
        vec![format!("tick {}", self.0), "below".to_owned()]
    }
}

#[test]
fn a_view_stays_below_the_lines_and_vanishes_at_the_end() {
    let pipe = Pipe::default();
    pipe.with(|taken| taken.open = true);
    let writing = ScreenThread::to(pipe.clone()).unwrap();
    let shown = writing.screen().show(Box::new(Clock(0)));
    pipe.until(|taken| taken.text.contains("tick 1"));
    writing.screen().push(LinePriority::Info, "a line\n");
    pipe.until(|taken| taken.text.contains("a line"));
    drop(shown);
    writing.screen().push(LinePriority::Closing, "the end\n");
    drop(writing);
    pipe.with(|taken| {
        let mut terminal = vt100::Parser::new(10, 40, 0);
        terminal.process(taken.text.replace('\n', "\r\n").as_bytes());
        assert_eq!(terminal.screen().contents(), "a line\nthe end");
    });
}
