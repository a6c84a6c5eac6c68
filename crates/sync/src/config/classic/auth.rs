//! The `auth` map (docs/files.md#credentials).

use std::collections::HashMap;

use registry::auth::{Credential, Entry, Secret};
use registry::{Registry, Repository};

use super::super::document::{Node, Value};
use super::super::error::Problem;
use super::super::file::File;
use super::super::variables::{self, Dialect};
use super::super::{Config, Environment};
use super::{Key, entries, unknown_key};
use crate::text::nearest;

const KEYS: [&str; 3] = ["username", "password", "insecure"];

/// Reads the entries into `config`, with warnings about what cannot be meant. What is wrong becomes a problem, and its
/// entry is left out.
pub(super) fn read(
    file: &File,
    node: Node,
    dialect: Dialect,
    environment: Environment<'_>,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) {
    let mut reader = Reader {
        file,
        dialect,
        environment,
        problems,
        warnings: &mut config.warnings,
    };
    let wanted = "a map from registry to username, password and insecure";
    let mut seen: HashMap<(Registry, String), (usize, usize)> = HashMap::new();
    for (key, value) in entries(file, node, wanted, reader.problems) {
        if dialect == Dialect::Auth && matches!(key.text.as_str(), "auth" | "images") {
            reader.problems.push(file.shown(
                key.at,
                format!(
                    "`{}` belongs into a combined file: give this file with --config",
                    key.text
                ),
            ));
            continue;
        }
        let prefix = match prefix(&key.text) {
            Ok(prefix) => Some(prefix),
            Err(why) => {
                reader.problems.push(file.shown(key.at, why));
                None
            }
        };
        let (Some((credential, insecure)), Some(prefix)) = (reader.entry(&key, value), prefix)
        else {
            continue;
        };
        if let Some((line, at)) = seen.get(&prefix) {
            // Files that serve several versions of the Go tool name Docker Hub by several of its names.
            let same = config.credentials.get(*at).is_some_and(|earlier| {
                earlier.credential == credential && earlier.insecure == insecure
            });
            if !same {
                reader.problems.push(contradiction(file, &key, *line));
            }
            continue;
        }
        seen.insert(prefix, (key.at.line, config.credentials.len()));
        config.credentials.push(Entry {
            origin: format!("{}:{}", file.path().display(), key.at.line),
            prefix: key.text,
            credential,
            insecure,
        });
    }
}

/// Two keys mean the same registry and path, and their entries differ.
fn contradiction(file: &File, key: &Key, line: usize) -> Problem {
    file.shown(
        key.at,
        format!(
            "this means the same as the key in line {line}, and says something else: keep one of the two"
        ),
    )
}

/// What a key covers: a registry, and a path below it that may be empty.
fn prefix(text: &str) -> Result<(Registry, String), String> {
    // A scheme, blanks and a user name are refused by the registry's own rules.
    let is_plain = !text.contains("://") && !text.contains('@');
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let (host, path) = match trimmed.split_once('/') {
        Some((host, path)) if is_plain => (host, path),
        _ => (trimmed, ""),
    };
    if is_plain && !host.is_empty() && !host.contains(['.', ':']) && host != "localhost" {
        return Err(format!(
            "`{host}` is not a registry, which has a dot or a port in its name: for Docker Hub write \
             `docker.io/{trimmed}`"
        ));
    }
    let registry = Registry::parse(host).map_err(|error| error.to_string())?;
    if !path.is_empty() {
        Repository::new(registry.clone(), path).map_err(|error| error.to_string())?;
    }
    Ok((registry, path.to_owned()))
}

struct Reader<'a> {
    file: &'a File,
    dialect: Dialect,
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// As whom, and whether insecure; `None` where something is wrong.
    fn entry(&mut self, key: &Key, value: Node) -> Option<(Credential, bool)> {
        let before = self.problems.len();
        let mut username = None;
        let mut password = None;
        let mut insecure = false;
        let wanted = "a map with username, password and insecure";
        for (field, value) in entries(self.file, value, wanted, self.problems) {
            match field.text.as_str() {
                "username" => username = self.text(&field, value),
                "password" => password = self.text(&field, value),
                "insecure" => insecure = self.boolean(&field, &value),
                other => {
                    let known = "an entry has the keys `username`, `password` and `insecure`";
                    let hint = nearest(other, &KEYS);
                    self.problems
                        .push(unknown_key(self.file, &field, &value, known, hint));
                }
            }
        }
        if self.problems.len() > before {
            return None;
        }
        let credential = match (username, password) {
            (None, None) => Credential::Anonymous,
            (Some(username), Some(password)) => Credential::Basic {
                username,
                password: Secret::new(password),
            },
            (Some(_), None) => self.half(key, "username", "password"),
            (None, Some(_)) => self.half(key, "password", "username"),
        };
        Some((credential, insecure))
    }

    /// Nobody logs in with half a credential: as in the Go tool it counts as none.
    fn half(&mut self, key: &Key, given: &str, missing: &str) -> Credential {
        let message = format!(
            "the entry `{}` has a {given}, but its {missing} is missing or empty, so it is taken for one without a \
             login: write both, or none; a {missing} that begins with `#` or `&` must stand in quotes",
            key.text
        );
        self.warnings.push(Problem {
            snippet: None,
            ..self.file.shown(key.at, message)
        });
        Credential::Anonymous
    }

    /// A user name or a password; `None` where it is empty.
    fn text(&mut self, field: &Key, value: Node) -> Option<String> {
        let text = match value.value {
            Value::Text(text) => text,
            Value::Null => return None,
            Value::List(_) | Value::Map(_) => {
                let message = format!("`{}` is a text: put it in quotes", field.text);
                self.problems.push(self.file.shown(field.at, message));
                return None;
            }
        };
        match variables::credential(&text, self.dialect, self.environment) {
            Ok(text) => Some(text).filter(|text| !text.is_empty()),
            Err(why) => {
                self.problems.push(self.file.hidden(value.at, why));
                None
            }
        }
    }

    /// A boolean, in the spellings of YAML 1.1 as well: the Go tool's parser takes those.
    fn boolean(&mut self, field: &Key, value: &Node) -> bool {
        let read = match &value.value {
            Value::Null => Some(false),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some(true),
                "false" | "no" | "off" | "n" => Some(false),
                _ => None,
            },
            Value::List(_) | Value::Map(_) => None,
        };
        read.unwrap_or_else(|| {
            let message = format!("`{}` is either true or false", field.text);
            self.problems.push(self.file.shown(field.at, message));
            false
        })
    }
}
