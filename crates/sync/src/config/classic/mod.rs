//! Parser of the classic `auth` and `images` files (docs/files.md).

mod auth;
mod images;
mod map_kind;
#[cfg(test)]
mod tests;
mod usage;

#[cfg(any(test, feature = "fuzzing"))]
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::document::{Node, NodeValue};
use super::error::Problem;
use super::file::ConfigFile;
use super::file_kind::Opened;
use super::variables::VariableSyntax;
pub(super) use map_kind::MapKind;

use super::{Config, ConfigError, ConfigFiles, Defaults, Environment, Input};
use crate::rule::{Rule, with_distinct_ids};
use crate::text::nearest;

/// Checks that the flags fit each other: their combination, and that standard input is read once.
pub(super) fn check_inputs(files: &ConfigFiles) -> Result<(), ConfigError> {
    let mut told = Told::default();
    match (&*files.config, &*files.auth, &*files.images) {
        ([_, ..], [], []) | ([], _, [_, ..]) => {}
        ([_, ..], _, _) => told.mistake(
            "--config cannot be used with --auth or --images. Use either --config FILE, or --images FILE with --auth FILE.",
        ),
        ([], [_, ..], []) => told.mistake("--auth alone names no image. Add --images FILE."),
        ([], [], []) => told.mistake(
            "no image is named. Use --images FILE, with --auth FILE for registries that need a login.",
        ),
    }
    check_uses_of_stdin(files, &mut told);
    told.into_result()
}

/// Checks that files of `--config` read standard input once.
pub(super) fn check_stdin(config: &[Input]) -> Result<(), ConfigError> {
    let files = ConfigFiles {
        config: config.to_vec(),
        ..ConfigFiles::default()
    };
    let mut told = Told::default();
    check_uses_of_stdin(&files, &mut told);
    told.into_result()
}

/// Standard input can be read once.
fn check_uses_of_stdin(files: &ConfigFiles, told: &mut Told) {
    let kinds = [
        ("--config", &files.config),
        ("--auth", &files.auth),
        ("--images", &files.images),
    ];
    let uses: Vec<String> = kinds
        .into_iter()
        .flat_map(|(flag, inputs)| {
            let stdin = inputs.iter().filter(|input| **input == Input::Stdin);
            stdin.map(move |_| format!("{flag} -"))
        })
        .collect();
    if uses.len() > 1 {
        told.mistake(format!(
            "{}: standard input can be read only once. Use files for the others.",
            uses.join(" and ")
        ));
    }
}

/// Reads the files; see [`Config::classic`]. `opened` are the combined ones.
pub(super) fn read(
    files: &ConfigFiles,
    opened: Vec<Opened>,
    defaults: &Defaults,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let mut reading = Reading::new(defaults, environment);
    for opened in opened {
        reading.combined(opened);
    }
    for input in &files.auth {
        reading.auth(input);
    }
    for input in &files.images {
        reading.images(input);
    }
    reading.finish(true)
}

/// Reads `auth` files alone; see [`Config::credentials`].
pub(super) fn credentials(
    auth: &[Input],
    rules: Vec<Arc<Rule>>,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let defaults = Defaults::default();
    let mut reading = Reading::new(&defaults, environment);
    let files = ConfigFiles {
        auth: auth.to_vec(),
        ..ConfigFiles::default()
    };
    check_uses_of_stdin(&files, &mut reading.told);
    for input in auth {
        reading.auth(input);
    }
    reading.config.rules = rules;
    reading.finish(false)
}

/// Reads the `auth` halves of combined files alone; see [`Config::registries`].
pub(super) fn combined_credentials(
    opened: Vec<Opened>,
    rules: Vec<Arc<Rule>>,
    environment: Environment<'_>,
) -> Result<Config, ConfigError> {
    let defaults = Defaults::default();
    let mut reading = Reading::new(&defaults, environment);
    for Opened { name, read } in opened {
        reading.order.push(name);
        match read {
            Ok((file, root)) => {
                let halves = split(&file, root, &mut reading.told);
                if let Some(node) = halves.auth {
                    reading.logins(&file, node, VariableSyntax::Combined);
                }
            }
            Err(problem) => reading.told.problems.push(problem),
        }
    }
    reading.config.rules = rules;
    reading.finish(false)
}

/// Reads a text as a file of each kind, for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_text(text: &str, environment: Environment<'_>) -> Vec<Problem> {
    let defaults = Defaults::default();
    let mut problems = Vec::new();
    for kind in ["config", "auth", "images"] {
        let mut reading = Reading::new(&defaults, environment);
        let file = Rc::new(ConfigFile::new(
            Path::new("file.yaml"),
            text,
            kind != "images",
        ));
        match file.parse(|line| MapKind::Sections.of_line(line).form()) {
            Ok(root) if kind == "config" => reading.halves(&file, root),
            Ok(root) if kind == "auth" => reading.logins(&file, root, VariableSyntax::Auth),
            Ok(root) => reading.rules(&file, root),
            Err(problem) => problems.push(problem),
        }
        match reading.finish(true) {
            Ok(config) => problems.extend(config.warnings),
            Err(error) => problems.extend(error.problems),
        }
    }
    problems
}

/// Mistakes and warnings so far.
#[derive(Default)]
struct Told {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Told {
    /// Adds a mistake outside of files.
    fn mistake(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::outside(message));
    }

    /// Returns the mistakes as an error, if there are any.
    fn into_result(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError {
            problems: self.problems,
        })
    }

    /// Adds a warning, without a snippet.
    fn warn(&mut self, warning: Problem) {
        self.warnings.push(Problem {
            snippet: None,
            ..warning
        });
    }
}

/// Reader that merges the files.
struct Reading<'a> {
    defaults: &'a Defaults,
    environment: Environment<'a>,
    told: Told,
    /// Files in the order in which they are read.
    order: Vec<PathBuf>,
    auth: auth::AuthMap,
    images: images::ImagesMap,
    config: Config,
}

impl<'a> Reading<'a> {
    fn new(defaults: &'a Defaults, environment: Environment<'a>) -> Self {
        Self {
            defaults,
            environment,
            told: Told::default(),
            order: Vec::new(),
            auth: auth::AuthMap::default(),
            images: images::ImagesMap::default(),
            config: Config::default(),
        }
    }

    fn combined(&mut self, opened: Opened) {
        self.order.push(opened.name);
        match opened.read {
            Ok((file, root)) => self.halves(&file, root),
            Err(problem) => self.told.problems.push(problem),
        }
    }

    fn auth(&mut self, input: &Input) {
        if let Some((file, root)) = self.open(input, MapKind::Logins) {
            self.logins(&file, root, VariableSyntax::Auth);
        }
    }

    fn images(&mut self, input: &Input) {
        if let Some((file, root)) = self.open(input, MapKind::Images) {
            self.rules(&file, root);
        }
    }

    fn halves(&mut self, file: &Rc<ConfigFile>, root: Node) {
        let before = self.told.problems.len();
        let halves = split(file, root, &mut self.told);
        let is_read = self.told.problems.len() == before;
        if let Some(node) = halves.auth {
            self.logins(file, node, VariableSyntax::Combined);
        }
        // After a mistake, rules may only seem to be missing.
        if is_read || !matches!(halves.images.value, NodeValue::Null) {
            self.rules(file, halves.images);
        }
    }

    fn logins(&mut self, file: &Rc<ConfigFile>, node: Node, dialect: VariableSyntax) {
        let environment = self.environment;
        self.auth
            .read(file, node, dialect, environment, &mut self.told);
    }

    fn rules(&mut self, file: &ConfigFile, node: Node) {
        let (defaults, environment) = (self.defaults, self.environment);
        self.images
            .read(file, node, defaults, environment, &mut self.told);
    }

    fn open(&mut self, input: &Input, kind: MapKind) -> Option<(Rc<ConfigFile>, Node)> {
        self.order.push(input.name().to_owned());
        let read = ConfigFile::read(input, kind != MapKind::Images).and_then(|file| {
            let root = file.parse(|line| kind.of_line(line).form())?;
            Ok((Rc::new(file), root))
        });
        read.map_err(|problem| self.told.problems.push(problem))
            .ok()
    }

    /// Merges the files. `from_files`: the rules come from files, so credentials without a rule get a warning.
    fn finish(mut self, from_files: bool) -> Result<Config, ConfigError> {
        if from_files {
            self.config.rules = self.images.finish(&mut self.told);
        }
        self.config.rules = with_distinct_ids(self.config.rules);
        let Told { problems, warnings } = &mut self.told;
        let is_complete = problems.is_empty();
        let rules = &self.config.rules;
        self.config.credentials =
            self.auth
                .resolve(rules, from_files && is_complete, problems, warnings);
        // Problems are in the order of the files and their lines.
        let order = self.order;
        let place = |problem: &Problem| {
            let file = problem.file.as_ref();
            let file = file.and_then(|file| order.iter().position(|other| other == file));
            (file, problem.position)
        };
        let Told {
            mut problems,
            mut warnings,
        } = self.told;
        problems.sort_by_key(place);
        warnings.sort_by_key(place);
        if problems.is_empty() {
            self.config.warnings = warnings;
            return Ok(self.config);
        }
        Err(ConfigError { problems })
    }
}

/// The two halves of a combined file.
struct Halves {
    auth: Option<Node>,
    images: Node,
}

fn split(file: &ConfigFile, root: Node, told: &mut Told) -> Halves {
    let at = root.at;
    let mut auth = None;
    let mut images = None;
    for (key, value) in entries(file, root, MapKind::Sections, told) {
        let half = match key.text.as_str() {
            "auth" => &mut auth,
            "images" => &mut images,
            other => {
                let hint = nearest(other, &["auth", "images"]);
                let known = "the file has the keys `auth` and `images`";
                unknown_key(file, &key, &value, known, hint, told);
                continue;
            }
        };
        *half = Some(value);
    }
    Halves {
        auth,
        images: images.unwrap_or(Node {
            value: NodeValue::Null,
            at,
        }),
    }
}

/// A key of a map.
struct Key {
    text: String,
    at: super::document::Position,
}

/// Returns the entries of a map with unique text keys. Anything else is a mistake; an equal duplicate is a warning.
fn entries(file: &ConfigFile, node: Node, kind: MapKind, told: &mut Told) -> Vec<(Key, Node)> {
    let NodeValue::Map(pairs) = node.value else {
        if !matches!(node.value, NodeValue::Null) {
            let message = kind.mistake(file, &node);
            told.problems.push(file.hidden(node.at, message));
        }
        return Vec::new();
    };
    let mut found: Vec<(Key, Node)> = Vec::with_capacity(pairs.len());
    let mut places = std::collections::HashMap::new();
    for (key, value) in pairs {
        let text = match key.value {
            NodeValue::Text(text) => text,
            NodeValue::Null => String::new(),
            NodeValue::List(_) | NodeValue::Map(_) => {
                let message = "a key must be a text. Put it in quotes.";
                told.problems.push(file.hidden(key.at, message));
                continue;
            }
        };
        let earlier = places.get(&text).and_then(|at: &usize| found.get(*at));
        if let Some((first, first_value)) = earlier {
            let line = first.at.line;
            if first_value.value.is_same(&value.value) {
                let message =
                    format!("duplicate key with the same value as in line {line}. It counts once.");
                told.warn(file.hidden(key.at, message));
                continue;
            }
            // A registry has a map. A word without a value may be a password, which is not shown.
            told.problems.push(match value.value {
                NodeValue::Map(_) => file.shown(
                    key.at,
                    format!("duplicate key with another value than in line {line}. Keep one of the two."),
                ),
                _ if kind == MapKind::Images => file.shown(
                    key.at,
                    format!(
                        "duplicate source with another destination than in line {line}. Write it once, with a list of its destinations."
                    ),
                ),
                _ => file.hidden(
                    key.at,
                    format!("duplicate key with another value than in line {line}. Keep one of the two."),
                ),
            });
            continue;
        }
        places.insert(text.clone(), found.len());
        found.push((Key { text, at: key.at }, value));
    }
    found
}

/// Reports an unknown key: a mistake if it resembles a known key, otherwise a warning. The key is shown only if it
/// cannot be a password that was written in the place of `key: value`.
fn unknown_key(
    file: &ConfigFile,
    key: &Key,
    value: &Node,
    known: &str,
    hint: Option<&str>,
    told: &mut Told,
) {
    let is_word = key
        .text
        .chars()
        .all(|c| c.is_ascii_alphabetic() || c == '-' || c == '_');
    if !is_word || key.text.is_empty() || matches!(value.value, NodeValue::Null) {
        let message = format!("unknown key: {known}");
        told.problems.push(file.hidden(key.at, message));
        return;
    }
    let message = format!("unknown key `{}`: {known}", key.text);
    match hint {
        Some(hint) => {
            let message = format!("{message}. Write `{hint}`.");
            told.problems.push(file.shown(key.at, message));
        }
        None => told.warn(file.shown(key.at, format!("{message}. It has no effect."))),
    }
}
