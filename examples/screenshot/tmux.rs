//! A terminal for the program: a separate tmux server with one session.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Prompt of the shell.
const PROMPT: &str = "$";
/// Time limit of a command.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ends with this value.
pub(crate) struct Tmux {
    socket: String,
}

impl Tmux {
    /// Starts a shell in `directory` with `program` on its `PATH`, and with an otherwise neutral environment.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        columns: usize,
        rows: usize,
    ) -> Result<Self> {
        let tmux = Self {
            socket: directory.join("tmux").display().to_string(),
        };
        let program = std::path::absolute(program)?;
        let bin = program.parent().ok_or("the program is in no directory")?;
        let path = format!("PATH={}:/usr/bin:/bin", bin.display());
        let home = format!("HOME={}", directory.display());
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let shell = "exec env -i \"$@\" TERM=xterm-256color COLORTERM=truecolor LANG=C.UTF-8 PS1='$ ' sh -i";
        tmux.call(&[
            "-f",
            "/dev/null",
            "-u",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "-c",
            &directory.display().to_string(),
            "sh",
            "-c",
            shell,
            "sh",
            &path,
            &home,
        ])?;
        tmux.call(&["set-option", "-g", "status", "off"])?;
        tmux.wait_for_prompt()?;
        Ok(tmux)
    }

    /// Types a command.
    pub(crate) fn run(&self, command: &str) -> Result<()> {
        self.call(&["send-keys", "-l", command])?;
        self.call(&["send-keys", "Enter"])?;
        Ok(())
    }

    /// Returns the screen, with its colours.
    pub(crate) fn capture(&self) -> Result<String> {
        self.call(&["capture-pane", "-e", "-p"])
    }

    /// Returns true after the end of a command: the last line of the screen is an empty prompt.
    pub(crate) fn is_at_prompt(&self) -> Result<bool> {
        let screen = self.call(&["capture-pane", "-p"])?;
        let last = screen.trim_end().lines().next_back();
        Ok(last.is_some_and(|line| line.trim_end() == PROMPT))
    }

    /// Waits for the end of a command.
    pub(crate) fn wait_for_prompt(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.is_at_prompt()? {
            if Instant::now() > end {
                return Err(format!("the command does not end:\n{}", self.capture()?).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn call(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        let output = command.args(["-S", &self.socket]).args(arguments).output();
        let output = output.map_err(|error| format!("tmux: {error}: install it"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("tmux {arguments:?}: {why}").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.call(&["kill-server"]));
    }
}
