//! A file of the user, and problems at positions in it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use image_syncer_registry::io_clause;

use crate::config::Input;
use crate::config::document::{self, Node, Position};
use crate::config::error::Problem;
use crate::config::{snippet, syntax};

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Suffixes of file names (docs/files.md#rules); the parser is the same for all of them.
const SUFFIXES: [&str; 3] = ["yaml", "yml", "json"];

/// A file that was read.
pub(super) struct ConfigFile {
    path: PathBuf,
    text: String,
    /// True if lines may have credentials. Snippets then show known keys only.
    secret: bool,
}

impl Input {
    /// Name for messages.
    pub(super) fn name(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdin => Path::new("<stdin>"),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let suffix = path.extension().and_then(|suffix| suffix.to_str());
    if !suffix.is_some_and(|suffix| SUFFIXES.iter().any(|s| s.eq_ignore_ascii_case(suffix))) {
        return Err("the suffix of the file is unknown. Use .yaml, .yml or .json.".to_owned());
    }
    let file = fs::File::open(path);
    file.map_err(|error| unreadable(&error))
        .and_then(read_up_to)
}

fn read_up_to(input: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error)).map(|_| bytes)
}

fn unreadable(error: &std::io::Error) -> String {
    format!("the file cannot be read: {}", io_clause(error))
}

impl ConfigFile {
    /// Reads a file or standard input. A file that mentions passwords counts as one with credentials, as it may be the
    /// wrong file.
    pub(super) fn read(input: &Input, secret: bool) -> Result<Self, Problem> {
        let path = input.name();
        let refuse = |message: String| Problem {
            file: Some(path.to_owned()),
            ..Problem::outside(message)
        };
        let bytes = match input {
            Input::File(path) => read_file(path),
            Input::Stdin => read_up_to(std::io::stdin().lock()),
        };
        let bytes = bytes.map_err(refuse)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refuse(format!(
                "the file has more than {} MiB",
                MAX_BYTES / 1024 / 1024
            )));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("the file is not UTF-8 text".to_owned()))?;
        Ok(Self::new(path, &text, secret))
    }
    pub(super) fn new(path: &Path, text: &str, secret: bool) -> Self {
        let lower = text.to_ascii_lowercase();
        Self {
            path: path.to_owned(),
            text: text.trim_start_matches('\u{feff}').to_owned(),
            secret: secret || lower.contains("password") || lower.contains("username"),
        }
    }
    /// The path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// Reads the text as YAML or JSON. `form` returns what to write instead of a line without a colon.
    pub(super) fn parse(&self, form: impl Fn(&str) -> &'static str) -> Result<Node, Problem> {
        if let Some(at) = syntax::json_comment(&self.text) {
            let message = "JSON has no comments. Remove this one, or write the file as YAML, in which comments begin with `#`.";
            return Err(self.hidden(at, message));
        }
        document::parse(&self.text)
            .map_err(|mut error| {
                if let Some(at) = syntax::colon_without_blank(&self.text) {
                    error.at = Some(at);
                    "a blank after the colon is missing. Write `\"source\": \"destination\"`."
                        .clone_into(&mut error.message);
                } else if let Some((line, at)) = syntax::line_without_colon(&self.text, &error) {
                    error.message = format!("this line has no `: `. Write {}.", form(line));
                    error.at = Some(at);
                }
                error
            })
            .map_err(|error| match error.at {
                Some(at) => self.hidden(at, error.message),
                None => Problem {
                    file: Some(self.path.clone()),
                    ..Problem::outside(error.message)
                },
            })
    }
    /// Returns whether only blanks precede the position in its line.
    pub(super) fn begins_line(&self, at: Position) -> bool {
        let mut before = self.line(at).chars().take(at.column.saturating_sub(1));
        before.all(char::is_whitespace)
    }
    /// Returns whether an entry of a flow map ends after its key: `{"a", "b"}`.
    pub(super) fn lacks_colon(&self, key: Position) -> bool {
        let end = key.column.saturating_sub(1) + key.length;
        let mut after = self.line(key).chars().skip(end);
        matches!(after.find(|c| !c.is_whitespace()), Some(',' | '}'))
    }
    fn line(&self, at: Position) -> &str {
        let mut lines = self.text.lines();
        lines.nth(at.line.saturating_sub(1)).unwrap_or_default()
    }
    /// Returns a problem at a position that may be shown.
    pub(super) fn shown(&self, at: Position, message: impl Into<String>) -> Problem {
        self.problem(at, message, true)
    }
    /// Returns a problem at a position that may be a secret.
    pub(super) fn hidden(&self, at: Position, message: impl Into<String>) -> Problem {
        self.problem(at, message, false)
    }
    fn problem(&self, at: Position, message: impl Into<String>, safe: bool) -> Problem {
        let line = self.line(at);
        let snippet = if self.secret {
            snippet::masked(line, at, safe)
        } else {
            snippet::masked_line(line, at)
        };
        Problem {
            file: Some(self.path.clone()),
            position: Some((at.line, at.column)),
            message: message.into(),
            snippet,
        }
    }
}
