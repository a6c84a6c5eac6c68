//! The child process.

use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::lock::lock;

const PROGRAM: &str = "docker-registry";

/// A running program; killed when it is dropped.
pub(super) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts the program and waits until it prints the port that it listens on, or ends.
    pub(super) fn start(
        config: &Path,
        environment: &[(String, String)],
        largest_file: Option<u64>,
    ) -> io::Result<(Self, u16)> {
        let mut child = program(largest_file)
            .arg("serve")
            .arg(config)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let log = Arc::<Mutex<String>>::default();
        let (sender, receiver) = channel();
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || follow(stderr, &log, &sender));
        }
        let process = Self { child, log };
        let port = wait(&receiver).ok_or_else(|| {
            let log = process.log();
            io::Error::other(format!("{PROGRAM} ended before it listened:\n{log}"))
        })?;
        Ok((process, port))
    }

    /// Ends it by SIGTERM, and waits until it has ended.
    pub(super) fn terminate(mut self) -> io::Result<()> {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("kill: {status}")));
        }
        self.child.wait().map(drop)
    }

    pub(super) fn log(&self) -> String {
        lock(&self.log).clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only if the program has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the output of the program, and sends the port in it. Ends, and closes the channel, when the program ends.
fn follow(stderr: ChildStderr, log: &Mutex<String>, port: &Sender<u16>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let found = port_in(&line);
        {
            let mut log = lock(log);
            log.push_str(&line);
            log.push('\n');
        }
        // After the log, so that a receiver of the port finds the line there.
        if let Some(found) = found {
            let _ = port.send(found);
        }
    }
}

/// The program with a limit on the size of files that it writes, in bytes.
fn program(largest_file: Option<u64>) -> Command {
    let Some(bytes) = largest_file else {
        return Command::new(PROGRAM);
    };
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={bytes}")).arg(PROGRAM);
    command
}

fn wait(receiver: &Receiver<u16>) -> Option<u16> {
    receiver.recv().ok()
}

/// Parses `… msg="listening on 127.0.0.1:42831, tls" …`.
fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn not_started(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let message = format!("{PROGRAM} is not installed: apt-get install {PROGRAM}");
    io::Error::new(error.kind(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let line = |text| port_in(&format!("time=\"x\" level=info msg=\"{text}\" version=2"));
        assert_eq!(line("listening on 127.0.0.1:42831"), Some(42831));
        assert_eq!(line("listening on 127.0.0.1:42831, tls"), Some(42831));
        assert_eq!(line("redis not configured"), None);
    }
}
