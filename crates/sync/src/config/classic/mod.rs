//! The classic `auth` and `images` files, as written and as meant (docs/files.md).

mod auth;
mod images;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::document::{Node, Value};
use super::error::Problem;
use super::file::File;
use super::variables::Dialect;
use super::{ClassicFiles, Config, ConfigError, Defaults, Environment};
use crate::text::nearest;

/// Reads what was given; see [`Config::classic`].
pub(super) fn read(
    files: &ClassicFiles,
    defaults: &Defaults,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let mut config = Config::default();
    match (&files.config, &files.auth, &files.images) {
        (Some(path), None, None) => {
            if let Some((file, root)) = open(path, true, &mut problems) {
                let halves = split(&file, root, &mut problems);
                if let Some(node) = halves.auth {
                    auth::read(
                        &file,
                        node,
                        Dialect::Combined,
                        environment,
                        &mut config,
                        &mut problems,
                    );
                }
                let node = halves.images;
                images::read(&file, node, defaults, environment, &mut config, &mut problems);
            }
        }
        (None, auth, Some(images)) => {
            if let Some(path) = auth {
                read_auth(path, environment, &mut config, &mut problems);
            }
            if let Some((file, root)) = open(images, false, &mut problems) {
                images::read(&file, root, defaults, environment, &mut config, &mut problems);
            }
        }
        (Some(_), _, _) => problems.push(Problem::outside(
            "--config holds both halves, so it excludes --auth and --images: give either one file or the two",
        )),
        (None, Some(_), None) => problems.push(Problem::outside(
            "--auth alone names nothing to copy: add --images FILE",
        )),
        (None, None, None) => problems.push(Problem::outside(
            "no file names anything to copy: give --images FILE, and --auth FILE for registries that want a login",
        )),
    }
    answer(config, problems)
}

/// Reads an `auth` file alone; see [`Config::credentials`].
pub(super) fn credentials(
    path: &Path,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let mut config = Config::default();
    read_auth(path, environment, &mut config, &mut problems);
    answer(config, problems)
}

/// Reads a text as the file of each kind; an entry for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_text(text: &str, environment: Environment<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut config = Config::default();
    let defaults = Defaults::default();
    for kind in ["config", "auth", "images"] {
        let file = File::new(Path::new("file.yaml"), text, kind != "images");
        let (mut auth, mut images) = (None, None);
        match file.parse() {
            Ok(root) if kind == "config" => {
                let halves = split(&file, root, &mut problems);
                auth = halves.auth.map(|node| (node, Dialect::Combined));
                images = Some(halves.images);
            }
            Ok(root) if kind == "auth" => auth = Some((root, Dialect::Auth)),
            Ok(root) => images = Some(root),
            Err(problem) => problems.push(problem),
        }
        if let Some((node, dialect)) = auth {
            auth::read(
                &file,
                node,
                dialect,
                environment,
                &mut config,
                &mut problems,
            );
        }
        if let Some(node) = images {
            images::read(
                &file,
                node,
                &defaults,
                environment,
                &mut config,
                &mut problems,
            );
        }
    }
    problems
}

fn read_auth(
    path: &Path,
    environment: Environment<'_>,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) {
    if let Some((file, root)) = open(path, true, problems) {
        auth::read(&file, root, Dialect::Auth, environment, config, problems);
    }
}

fn answer(config: Config, mut problems: Vec<Problem>) -> Result<Config, ConfigError> {
    if problems.is_empty() {
        return Ok(config);
    }
    // File by file as they were read, each in the order of its lines, whatever was checked first.
    let mut files = Vec::new();
    for problem in &problems {
        if !files.contains(&problem.file) {
            files.push(problem.file.clone());
        }
    }
    problems.sort_by_key(|problem| {
        let file = files.iter().position(|file| *file == problem.file);
        (file, problem.position)
    });
    Err(ConfigError { problems })
}

fn open(path: &Path, secret: bool, problems: &mut Vec<Problem>) -> Option<(File, Node)> {
    let read = File::read(path, secret).and_then(|file| {
        let root = file.parse()?;
        Ok((file, root))
    });
    read.map_err(|problem| problems.push(problem)).ok()
}

/// The two halves of a combined file.
struct Halves {
    auth: Option<Node>,
    images: Node,
}

fn split(file: &File, root: Node, problems: &mut Vec<Problem>) -> Halves {
    let at = root.at;
    let mut auth = None;
    let mut images = None;
    for (key, value) in entries(file, root, "a map with `auth` and `images`", problems) {
        let half = match key.text.as_str() {
            "auth" => &mut auth,
            "images" => &mut images,
            other => {
                let hint = nearest(other, &["auth", "images"]);
                problems.push(unknown_key(
                    file,
                    &key,
                    &value,
                    "the file has the keys `auth` and `images`",
                    hint,
                ));
                continue;
            }
        };
        *half = Some(value);
    }
    Halves {
        auth,
        images: images.unwrap_or(Node {
            value: Value::Null,
            at,
        }),
    }
}

/// A key of a map.
struct Key {
    text: String,
    at: super::document::Place,
}

/// The entries of a map whose keys are texts and stand once; nothing for what is none. Every mistake is a problem.
fn entries(file: &File, node: Node, wanted: &str, problems: &mut Vec<Problem>) -> Vec<(Key, Node)> {
    let pairs = match node.value {
        Value::Map(pairs) => pairs,
        Value::Null => return Vec::new(),
        Value::Text(_) | Value::List(_) => {
            problems.push(file.hidden(node.at, format!("here {wanted} is expected")));
            return Vec::new();
        }
    };
    let mut found: Vec<(Key, Node)> = Vec::with_capacity(pairs.len());
    let mut lines = std::collections::HashMap::new();
    for (key, value) in pairs {
        let text = match key.value {
            Value::Text(text) => text,
            Value::Null => String::new(),
            Value::List(_) | Value::Map(_) => {
                problems.push(file.hidden(key.at, "a key is a text: put it in quotes"));
                continue;
            }
        };
        if let Some(line) = lines.get(&text) {
            let message =
                format!("this key stands twice, first in line {line}: keep one of the two");
            // A registry has a map; a word with nothing behind it may be a password.
            problems.push(match value.value {
                Value::Map(_) => file.shown(key.at, message),
                _ => file.hidden(key.at, message),
            });
            continue;
        }
        lines.insert(text.clone(), key.at.line);
        found.push((Key { text, at: key.at }, value));
    }
    found
}

/// A key that is not known. It is repeated only where it cannot be a secret that stands alone where `key: value` is
/// meant: a word with a value.
fn unknown_key(file: &File, key: &Key, value: &Node, known: &str, hint: Option<&str>) -> Problem {
    let is_word = key
        .text
        .chars()
        .all(|c| c.is_ascii_alphabetic() || c == '-' || c == '_');
    let hint = hint
        .map(|hint| format!("; write `{hint}`"))
        .unwrap_or_default();
    if is_word && !key.text.is_empty() && !matches!(value.value, Value::Null) {
        file.shown(
            key.at,
            format!("`{}` is no key here: {known}{hint}", key.text),
        )
    } else {
        file.hidden(key.at, format!("this is no key here: {known}{hint}"))
    }
}
