//! The service as a child process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use super::{Outcome, PATIENCE, Place, signal};

/// A service in progress. It is killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    /// Lines of stderr as they are written, until it is closed.
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    heard: String,
}

impl Service {
    /// Starts `serve` on a free port of this machine, with its state in the directory `state`.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let own = ["serve", "--listen", "127.0.0.1:0", "--state", "state"];
        Self::spawn(&mut place.command(&[&own, arguments].concat()))
    }

    /// Starts a command of the service.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                // A test that has ended reads nothing more.
                let _ = sender.send(line.unwrap());
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
            heard: String::new(),
        }
    }

    /// Waits for a line that contains `text`, and returns it.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> String {
        let found = self.next(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("no line with {text:?}:\n{}", self.heard))
    }

    /// Waits for the end of a run, or of the process.
    pub(crate) fn until_run_ended(&mut self) {
        let ends = ["succeeded", "failed", "cancelled", "interrupted"];
        let is_end = |line: &str| {
            line.contains("run ") && ends.iter().any(|end| line.contains(&format!(" {end}:")))
        };
        self.next(is_end);
    }

    /// Returns the first URL of the service.
    #[track_caller]
    pub(crate) fn url(&mut self) -> String {
        let line = self.until("listening on ");
        let (_, url) = line.split_once("listening on ").unwrap();
        url.split_whitespace().next().unwrap().to_owned()
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`-HUP`).
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends the service in order, and returns its exit and all of its lines.
    pub(crate) fn stop(mut self) -> Outcome {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("-TERM");
        }
        self.wait()
    }

    /// Waits for the end of the process, and returns its exit and all of its lines.
    pub(crate) fn wait(&mut self) -> Outcome {
        let code = self.child.wait().unwrap().code();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.next(|_| false);
        Outcome {
            code: code.unwrap_or(-1),
            stdout: String::new(),
            stderr: std::mem::take(&mut self.heard),
        }
    }

    /// Returns the next line that is wanted; `None` after the last line.
    fn next(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(error) => panic!("{error}:\n{}", self.heard),
            };
            self.heard.push_str(&line);
            self.heard.push('\n');
            if is_wanted(&line) {
                return Some(line);
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
