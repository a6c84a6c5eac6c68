//! The program as a child process.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory with files, in which the program runs with an empty environment.
pub(crate) struct Place {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// Exit code and output of the program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// Creates an empty directory.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// Adds a file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the text of a file that the program wrote.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the program, ready to start. Its home is the directory, so its records stay there.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.prepared(env!("CARGO_BIN_EXE_image-syncer"));
        command.args(arguments);
        command
    }

    /// Returns a shell in the same environment, ready to execute `script`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self.prepared("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn prepared(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }
}

impl Outcome {
    /// Returns the outcome of a child process.
    pub(crate) fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code. Shows the output if it differs.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts that stderr contains `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in stderr:\n{}",
            self.stderr
        );
        self
    }

    /// Asserts that stderr does not contain `text`.
    #[track_caller]
    pub(crate) fn does_not_say(self, text: &str) -> Self {
        assert!(
            !self.stderr.contains(text),
            "{text:?} in stderr:\n{}",
            self.stderr
        );
        self
    }

    /// Asserts that stderr contains `text` once.
    #[track_caller]
    pub(crate) fn says_once(&self, text: &str) {
        let times = self.stderr.matches(text).count();
        assert_eq!(times, 1, "{text:?} in stderr:\n{}", self.stderr);
    }

    /// Returns the lines of stderr that begin with `word`.
    pub(crate) fn lines(&self, word: &str) -> Vec<&str> {
        let begins = |line: &&str| line.split_whitespace().next() == Some(word);
        self.stderr.lines().filter(begins).collect()
    }
}

/// Returns `text` without differences between runs: hosts become names, times `T`, speeds `V`.
pub(crate) fn normalised(text: &str, hosts: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (host, name) in hosts {
        text = text.replace(host, name);
    }
    let speed = regex::Regex::new(r"[0-9.]+ ([KMGT]i)?B/s").unwrap();
    let time = regex::Regex::new(r"[0-9.]+ s\b").unwrap();
    time.replace_all(&speed.replace_all(&text, "V"), "T")
        .into_owned()
}
