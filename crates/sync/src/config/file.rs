//! A file of the user, and problems at positions in it.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use image_syncer_registry::io_clause;

use crate::config::Input;
use crate::config::document::{self, Node, NodeValue, Position};
use crate::config::error::Problem;
use crate::config::{snippet, syntax};

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Words that are in files with credentials.
const SIGNS: [&str; 5] = ["password", "username", "token", "secret", "login"];

/// Keys of native files below which nothing is a secret.
const PUBLIC: [&str; 4] = ["version", "include", "defaults", "rules"];

/// Suffixes of file names (docs/files.md#rules); the parser is the same for all of them.
const SUFFIXES: [&str; 3] = ["yaml", "yml", "json"];

/// A file that was read.
pub(super) struct ConfigFile {
    path: PathBuf,
    text: String,
    secrecy: Secrecy,
}

/// Lines that may have credentials. Their snippets show known keys, and the position of the problem at most.
enum Secrecy {
    /// No line has credentials, or any may.
    Whole(bool),
    /// The positions of the secrets are known.
    Known {
        lines: HashSet<usize>,
        starts: HashSet<(usize, usize)>,
    },
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
            secrecy: Secrecy::Whole(secret || SIGNS.iter().any(|sign| lower.contains(sign))),
        }
    }
    /// Declares the values at these positions, and what is in these lines, as the only secrets of the file.
    pub(super) fn with_secrets(self, secrets: &[Position], lines: Vec<usize>) -> Self {
        let text: Vec<&str> = self.text.lines().collect();
        let mut lines: HashSet<usize> = lines.into_iter().collect();
        for at in secrets {
            let following = text.iter().skip(at.line.saturating_sub(1));
            let mut rest = at.column.saturating_sub(1) + at.length;
            for (number, line) in following.enumerate() {
                lines.insert(at.line + number);
                // A value that ends with its line may have a line break, which counts as one character.
                let length = line.chars().count() + 1;
                if rest < length {
                    break;
                }
                rest -= length;
            }
        }
        let starts = secrets.iter().map(|at| (at.line, at.column)).collect();
        Self {
            secrecy: Secrecy::Known { lines, starts },
            ..self
        }
    }
    /// The path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
    /// Reads the text as YAML or JSON. `form` returns what to write instead of a line without a colon.
    pub(super) fn parse(&self, form: impl Fn(&str) -> &'static str) -> Result<Node, Problem> {
        if let Some(at) = syntax::json_comment(&self.text) {
            let message = "JSON has no comments. Remove this one, or write the file as YAML, in which comments begin with `#`.";
            return Err(self.hidden(at, message));
        }
        document::parse(&self.text)
            .map_err(|mut error| {
                let line = error.at.map(|at| self.line(at)).unwrap_or_default();
                if let Some(message) = syntax::unquoted_braces(line, &error) {
                    error.message = message;
                } else if let Some(at) = syntax::colon_without_blank(&self.text) {
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
    /// Returns the part of a scalar's text that begins at the byte `start`, if the scalar is written as it is read, in
    /// one line.
    pub(super) fn part_of(&self, node: &Node, start: usize, length: usize) -> Option<Position> {
        let NodeValue::Text(text) = &node.value else {
            return None;
        };
        let column = node.at.column.saturating_sub(1);
        let written: String = self.line(node.at).chars().skip(column).collect();
        let quotes = usize::from(written.starts_with(['"', '\'']));
        written
            .get(quotes..)?
            .starts_with(text.as_str())
            .then_some(())?;
        let before = text.get(..start)?.chars().count();
        let part = text.get(start..start.checked_add(length)?)?;
        Some(Position {
            line: node.at.line,
            column: node.at.column + quotes + before,
            length: part.chars().count(),
        })
    }
    /// Returns the text before a position in its line.
    pub(super) fn before(&self, at: Position) -> String {
        let column = at.column.saturating_sub(1);
        self.line(at).chars().take(column).collect()
    }
    /// Returns the text between the brace at a position and the next closing one, both included.
    pub(super) fn braces_at(&self, at: Position) -> String {
        let column = at.column.saturating_sub(1);
        let rest: String = self.line(at).chars().skip(column).take(80).collect();
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        rest.get(..end).unwrap_or_default().to_owned()
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
    /// Returns true if the position is below a key at the left margin whose values are never secrets.
    fn is_public(&self, at: Position) -> bool {
        let before = self.text.lines().take(at.line);
        let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
        let section = before.filter(is_key).last();
        let key = section.and_then(|line| line.split(':').next());
        key.is_some_and(|key| PUBLIC.contains(&key))
    }
    /// Returns true if the line of a position may have a secret.
    pub(super) fn may_hold_secret(&self, at: Position) -> bool {
        match &self.secrecy {
            Secrecy::Whole(secret) => *secret,
            Secrecy::Known { lines, .. } => lines.contains(&at.line),
        }
    }
    fn problem(&self, at: Position, message: impl Into<String>, safe: bool) -> Problem {
        let line = self.line(at);
        let snippet = match &self.secrecy {
            Secrecy::Whole(true) if !self.is_public(at) => snippet::masked(line, at, safe),
            Secrecy::Known { lines, starts } if lines.contains(&at.line) => {
                let is_secret = starts.contains(&(at.line, at.column));
                snippet::masked(line, at, safe && !is_secret)
            }
            Secrecy::Whole(_) | Secrecy::Known { .. } => snippet::masked_line(line, at),
        };
        Problem {
            file: Some(self.path.clone()),
            position: Some((at.line, at.column)),
            message: message.into(),
            snippet,
        }
    }
}
