//! The `auth` map (docs/files.md#credentials).

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use image_syncer_registry::Registry;
use image_syncer_registry::auth::{Credential, KeychainEntry, Secret};

use super::super::Environment;
use super::super::document::{Node, NodeValue, Position};
use super::super::error::Problem;
use super::super::file::ConfigFile;
use super::super::variables::{self, VariableSyntax};
use super::map_kind::MapKind;
use super::usage::Usage;
use super::{Key, Told, entries, unknown_key};
use crate::rule::Rule;
use crate::text::nearest;

const KEYS: [&str; 3] = ["username", "password", "insecure"];

/// The entries of all files.
#[derive(Default)]
pub(super) struct AuthMap {
    entries: Vec<Login>,
    by_prefix: HashMap<(Registry, String), usize>,
    ignored: Vec<Ignored>,
}

/// An entry as it is written.
struct Login {
    file: Rc<ConfigFile>,
    at: Position,
    /// The entry, complete unless variables are missing.
    entry: KeychainEntry,
    /// Variables that are not set.
    unset: Vec<Problem>,
}

/// A key that is no registry.
struct Ignored {
    file: Rc<ConfigFile>,
    key: Key,
    why: String,
}

impl AuthMap {
    /// Reads the entries of a file. A mistake leaves its entry out.
    pub(super) fn read(
        &mut self,
        file: &Rc<ConfigFile>,
        node: Node,
        dialect: VariableSyntax,
        environment: Environment<'_>,
        told: &mut Told,
    ) {
        for (key, value) in entries(file, node, MapKind::Logins, told) {
            if dialect == VariableSyntax::Auth && matches!(key.text.as_str(), "auth" | "images") {
                let message = format!(
                    "`{}` is a key of a combined file. Use this file with --config.",
                    key.text
                );
                told.problems.push(file.shown(key.at, message));
                continue;
            }
            let prefix = match prefix(&key.text) {
                Ok(prefix) => Some(prefix),
                Err(why) => {
                    let file = Rc::clone(file);
                    let key = Key {
                        text: key.text.clone(),
                        at: key.at,
                    };
                    self.ignored.push(Ignored { file, key, why });
                    None
                }
            };
            let mut reader = AuthReader {
                file,
                dialect,
                environment,
                told,
                unset: Vec::new(),
            };
            let read = reader.entry(&key, value);
            let unset = reader.unset;
            if let (Some((credential, insecure)), Some(prefix)) = (read, prefix) {
                let entry = KeychainEntry::new(
                    key.text,
                    credential,
                    format!("{}:{}", file.path().display(), key.at.line),
                )
                .with_insecure(insecure);
                let login = Login {
                    file: Rc::clone(file),
                    at: key.at,
                    entry,
                    unset,
                };
                self.add(prefix, login, told);
            }
        }
    }

    /// Adds an entry, unless there is one for the same: files that serve several versions of the Go tool name Docker
    /// Hub by several of its names.
    fn add(&mut self, prefix: (Registry, String), login: Login, told: &mut Told) {
        let earlier = self.by_prefix.get(&prefix);
        let Some(earlier) = earlier.and_then(|at| self.entries.get(*at)) else {
            self.by_prefix.insert(prefix, self.entries.len());
            self.entries.push(login);
            return;
        };
        let (one, other) = (&earlier.entry, &login.entry);
        let is_same = one.login == other.login
            && one.insecure == other.insecure
            && earlier.unset.len() == login.unset.len();
        if !is_same {
            let place = if earlier.file.path() == login.file.path() {
                format!("line {}", earlier.at.line)
            } else {
                one.origin.clone()
            };
            let message = format!(
                "this is the same registry as the key in {place}, with another value. Keep one of the two."
            );
            told.problems.push(login.file.shown(login.at, message));
        }
    }

    /// Returns the entries that can be used. A variable that is not set is a problem where a rule uses its entry, and a
    /// warning elsewhere. `all`: entries that no rule uses are told, not only those that resemble a registry of the
    /// rules.
    pub(super) fn resolve(
        self,
        rules: &[Arc<Rule>],
        all: bool,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Vec<KeychainEntry> {
        let entries: Vec<&KeychainEntry> = self.entries.iter().map(|login| &login.entry).collect();
        let usage = Usage::new(&entries, rules);
        for Ignored { file, key, why } in &self.ignored {
            let near = usage.resembles(&key.text);
            let near = near.map(|near| format!("; the nearest registry of the rules is `{near}`"));
            let message = format!("this key is ignored: {why}{}", near.unwrap_or_default());
            warnings.push(plain(file.shown(key.at, message)));
        }
        let mut unused: Vec<(&Rc<ConfigFile>, BTreeSet<&str>)> = Vec::new();
        for login in &self.entries {
            if usage.uses(&login.entry) {
                problems.extend(login.unset.iter().cloned());
                continue;
            }
            let prefix = login.entry.prefix.as_str();
            if let Some(near) = usage.resembles(prefix) {
                let message = format!(
                    "no rule uses the login for `{prefix}`: the nearest registry of the rules is `{near}`. Write that if you mean it."
                );
                warnings.push(plain(login.file.shown(login.at, message)));
            } else if login.unset.is_empty() && all {
                let file = unused
                    .iter_mut()
                    .find(|(file, _)| Rc::ptr_eq(file, &login.file));
                match file {
                    Some((_, prefixes)) => drop(prefixes.insert(prefix)),
                    None => unused.push((&login.file, BTreeSet::from([prefix]))),
                }
            }
            for unset in &login.unset {
                let message = format!(
                    "{} No rule uses this entry, so it is ignored.",
                    unset.message
                );
                warnings.push(plain(Problem {
                    message,
                    ..unset.clone()
                }));
            }
        }
        for (file, prefixes) in unused {
            warnings.push(Problem {
                file: Some(file.path().to_owned()),
                ..Problem::outside(not_used(&prefixes))
            });
        }
        let logins = self.entries.into_iter();
        let usable = logins.filter(|login| login.unset.is_empty());
        usable.map(|login| login.entry).collect()
    }
}

/// A warning in one line.
fn plain(problem: Problem) -> Problem {
    Problem {
        snippet: None,
        ..problem
    }
}

fn not_used(prefixes: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = prefixes.iter().take(SHOWN).copied().collect();
    let more = match prefixes.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("no rule uses the entries for {}{more}", shown.join(", "))
}

/// Returns the registry that a key covers, and the path below it, which may be empty.
fn prefix(text: &str) -> Result<(Registry, String), String> {
    // A scheme, blanks and a user name are refused by the registry's own rules.
    let is_plain = !text.contains("://") && !text.contains('@');
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let (host, path) = match trimmed.split_once('/') {
        Some((host, path)) if is_plain => (host, path),
        _ => (trimmed, ""),
    };
    if text.starts_with('$') {
        return Err(format!(
            "`{text}` is not a registry, and a key cannot be a variable. Write the name of the registry."
        ));
    }
    if is_plain && !host.is_empty() && !host.contains(['.', ':']) && host != "localhost" {
        return Err(format!(
            "`{host}` is not a registry: its name has neither a dot nor a port. For Docker Hub write `docker.io/{trimmed}`."
        ));
    }
    let registry = Registry::parse(host).map_err(|error| error.to_string())?;
    if !path.is_empty() {
        image_syncer_registry::Repository::new(registry.clone(), path)
            .map_err(|error| error.to_string())?;
    }
    Ok((registry, path.to_owned()))
}

struct AuthReader<'a> {
    file: &'a ConfigFile,
    dialect: VariableSyntax,
    environment: Environment<'a>,
    told: &'a mut Told,
    /// Variables that are not set.
    unset: Vec<Problem>,
}

impl AuthReader<'_> {
    /// Returns the credential, and whether the registry is insecure. `None` after a mistake.
    fn entry(&mut self, key: &Key, value: Node) -> Option<(Credential, bool)> {
        let before = self.told.problems.len();
        let mut username = None;
        let mut password = None;
        let mut insecure = false;
        for (field, value) in entries(self.file, value, MapKind::Login, self.told) {
            match field.text.as_str() {
                "username" => username = self.text(&field, value),
                "password" => password = self.text(&field, value),
                "insecure" => insecure = self.boolean(&field, &value),
                other => {
                    let known = "an entry has the keys `username`, `password` and `insecure`";
                    let hint = nearest(other, &KEYS);
                    unknown_key(self.file, &field, &value, known, hint, self.told);
                }
            }
        }
        if self.told.problems.len() > before {
            return None;
        }
        if !self.unset.is_empty() {
            return Some((Credential::Anonymous, insecure));
        }
        let credential = match (username, password) {
            (None, None) => Credential::Anonymous,
            (Some(username), Some(password)) => Credential::Basic {
                username,
                password: Secret::new(password),
            },
            (Some(_), None) => self.incomplete_login(key, "username", "password"),
            (None, Some(_)) => self.incomplete_login(key, "password", "username"),
        };
        Some((credential, insecure))
    }

    /// Warns about a half credential. It counts as none, as in the Go tool.
    fn incomplete_login(&mut self, key: &Key, given: &str, missing: &str) -> Credential {
        let message = format!(
            "the entry `{}` has a {given}, and its {missing} is missing or empty, so it counts as one without a login. Write both or none. A {missing} that begins with `#` or `&` needs quotes.",
            key.text
        );
        self.told.warn(self.file.shown(key.at, message));
        Credential::Anonymous
    }

    /// Returns a user name or a password; `None` if it is empty.
    fn text(&mut self, field: &Key, value: Node) -> Option<String> {
        let text = match value.value {
            NodeValue::Text(text) => text,
            NodeValue::Null => return None,
            NodeValue::List(_) | NodeValue::Map(_) => {
                let message = format!("`{}` must be a text. Put it in quotes.", field.text);
                self.told.problems.push(self.file.shown(field.at, message));
                return None;
            }
        };
        match variables::credential(&text, self.dialect, self.environment) {
            Ok(text) => Some(text).filter(|text| !text.is_empty()),
            Err(why) => {
                self.unset.push(self.file.hidden(value.at, why));
                None
            }
        }
    }

    /// Returns a boolean, in the spellings of YAML 1.1 as well, which the parser of the Go tool accepts.
    fn boolean(&mut self, field: &Key, value: &Node) -> bool {
        let read = match &value.value {
            NodeValue::Null => Some(false),
            NodeValue::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some(true),
                "false" | "no" | "off" | "n" => Some(false),
                _ => None,
            },
            NodeValue::List(_) | NodeValue::Map(_) => None,
        };
        read.unwrap_or_else(|| {
            let message = format!("`{}` must be true or false.", field.text);
            self.told.problems.push(self.file.shown(field.at, message));
            false
        })
    }
}
