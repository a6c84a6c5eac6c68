//! The program in a terminal, and its screen.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::PATIENCE;

/// Start of the escape sequences that begin (`h`) and end (`l`) a frame.
const UPDATE: &[u8] = b"\x1b[?2026";

/// A terminal that shows the output of a program.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    seen: Arc<Seen>,
}

struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    /// The program draws, and a real terminal would still show the screen before.
    drawing: bool,
    ended: bool,
}

/// Exit code and screen of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Text of the screen.
    pub(crate) screen: String,
    /// Every byte that was written.
    pub(crate) raw: String,
}

impl Terminal {
    /// Starts `command` in a terminal of this size, which shows its stderr.
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        command.stdout(Stdio::null());
        Self::open(command, columns, rows, false)
    }

    /// Like [`Terminal::start`], but shows stdout as well.
    pub(crate) fn whole(command: Command, columns: u16, rows: u16) -> Self {
        Self::open(command, columns, rows, true)
    }

    fn open(mut command: Command, columns: u16, rows: u16, whole: bool) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        if whole {
            command.stdout(Stdio::from(slave.try_clone().unwrap()));
        }
        let child = command.stderr(Stdio::from(slave)).spawn().unwrap();
        // The command has the other end open, which must be closed when the program ends.
        drop(command);
        let seen = Arc::new(Seen {
            state: Mutex::new(State::new(columns, rows)),
            changed: Condvar::new(),
        });
        let master = File::from(master);
        let (mut reader, writer) = (master.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // After the other end is closed, reading fails.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                writer.change(|state| state.process(&buffer[..length]));
            }
            writer.change(|state| state.ended = true);
        });
        Self {
            child,
            master,
            seen,
        }
    }

    /// Waits until the screen satisfies a condition, and returns its text. A frame counts when it is whole.
    #[track_caller]
    pub(crate) fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.seen.state.lock().unwrap();
        loop {
            let screen = screen(&state);
            if !state.drawing && wanted(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !state.ended && !left.is_zero(),
                "the screen never showed it:\n{screen}"
            );
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(|screen| screen.contains(text))
    }

    /// Resizes the terminal.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let set = |state: &mut State| state.parser.screen_mut().set_size(rows, columns);
        let tell = || tcsetwinsize(&self.master, size(columns, rows)).unwrap();
        let mut is_wider = true;
        self.seen
            .change(|state| is_wider = state.parser.screen().size().1 < columns);
        if is_wider {
            self.seen.change(set);
            tell();
        } else {
            // A real terminal cuts lines that were drawn for a larger width. This one would wrap them, so it shrinks
            // after the program has noticed the new size.
            tell();
            let fits = |line: &str| line.chars().count() < usize::from(columns);
            self.until(|screen| screen.lines().all(fits));
            self.seen.change(set);
        }
    }

    /// Sends a signal (`-INT`).
    pub(crate) fn signal(&self, name: &str) {
        super::world::signal(&self.child, name);
    }

    /// Waits until the program has stopped, as after Ctrl-Z.
    pub(crate) fn stops(&self) {
        let pid = Pid::from_child(&self.child);
        // The exit status must remain available.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(pid), options).unwrap().unwrap();
        assert!(
            status.stopped(),
            "it ended instead: code {:?}, signal {:?}, and left:\n{}",
            status.exit_status(),
            status.terminating_signal(),
            screen(&self.seen.state.lock().unwrap())
        );
    }

    /// Waits for the program to end.
    pub(crate) fn ends(mut self) -> Ended {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let state = self.seen.state.lock().unwrap();
        let waited = self.seen.changed.wait_while(state, |state| !state.ended);
        let state = waited.unwrap();
        Ended {
            code,
            screen: screen(&state),
            raw: String::from_utf8(state.raw.clone()).unwrap(),
        }
    }
}

impl State {
    fn new(columns: u16, rows: u16) -> Self {
        Self {
            parser: vt100::Parser::new(rows, columns, 0),
            raw: Vec::new(),
            drawing: false,
            ended: false,
        }
    }

    /// Processes output of the program. It may end within a frame, and within an escape sequence.
    fn process(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        let before = self.raw.len().saturating_sub(UPDATE.len());
        self.raw.extend_from_slice(bytes);
        let updates = self.raw[before..].windows(UPDATE.len() + 1);
        if let Some(mark) = updates
            .filter_map(|text| text.strip_prefix(UPDATE))
            .next_back()
        {
            self.drawing = mark == b"h";
        }
    }
}

impl Seen {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

fn screen(state: &State) -> String {
    let contents = state.parser.screen().contents();
    contents
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

#[test]
fn a_frame_counts_when_it_is_whole() {
    let mut state = State::new(40, 5);
    let frames = b"a line\n\x1b[?2026h\rone\r\ntwo\x1b[?2026l\x1b[?2026h\rthree\x1b[?2026l";
    let mut whole = Vec::new();
    for byte in frames {
        let was_drawing = state.drawing;
        state.process(&[*byte]);
        if was_drawing && !state.drawing {
            whole.push(state.raw.len());
        }
    }
    assert_eq!(whole, [32, 54]);
    let mut state = State::new(40, 5);
    state.process(&frames[..50]);
    assert!(state.drawing, "the second frame has begun");
    state.process(&frames[50..]);
    assert!(!state.drawing);
}
