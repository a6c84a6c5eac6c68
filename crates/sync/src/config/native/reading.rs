//! Reader that merges the files.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fields::{Fields, text};
use super::findings::Findings;
use super::registries::Registries;
use super::rules::Rules;
use super::service::ServiceSettings;
use super::{check, include, options, rules, secrets, substitution, tables};
use crate::config::document::{Node, NodeValue, Position};
use crate::config::file::ConfigFile;
use crate::config::file_kind::Opened;
use crate::config::{Config, ConfigError, Defaults, Environment};
use crate::rule::{Location, OptionOverrides};
use crate::store::FileKind;

/// Reader that merges the files.
pub(super) struct Reading<'a> {
    defaults: &'a Defaults,
    environment: Environment<'a>,
    flags: &'a OptionOverrides,
    pub(super) findings: Findings,
    /// Files in the order in which they are read.
    order: Vec<PathBuf>,
    /// The same files, each by a path that is the same for every way to write it.
    identities: HashSet<PathBuf>,
    registries: Registries,
    /// `None` to read registries alone.
    rules: Option<Rules>,
    service: ServiceSettings,
}

/// A file, and what its parts have in common.
#[derive(Clone)]
pub(super) struct Source<'a> {
    pub(super) file: Rc<ConfigFile>,
    pub(super) environment: Environment<'a>,
}

impl Source<'_> {
    /// Returns a path of the file, relative to the file itself.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        let folder = self.file.path().parent().unwrap_or(Path::new(""));
        folder.join(written)
    }
    /// Returns a reference of the file. The path of a layout or an archive is relative to the file itself.
    pub(super) fn reference<'t>(&self, written: &'t str) -> Cow<'t, str> {
        let folder = self.file.path().parent().unwrap_or(Path::new(""));
        match FileKind::strip(written) {
            Some((kind, rest)) if is_relative(rest) && !folder.as_os_str().is_empty() => {
                Cow::Owned(format!("{}{}/{rest}", kind.scheme(), folder.display()))
            }
            _ => Cow::Borrowed(written),
        }
    }
    /// Returns the place of a position.
    pub(super) fn location(&self, at: Position) -> Location {
        Location {
            file: self.file.path().to_owned(),
            line: at.line,
        }
    }
    /// Returns a place as seen from the file: `in line 3`, or `in other.yaml:3`.
    pub(super) fn place(&self, place: &Location) -> String {
        if place.file == self.file.path() {
            return format!("in line {}", place.line);
        }
        format!("in {place}")
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        defaults: &'a Defaults,
        environment: Environment<'a>,
        flags: &'a OptionOverrides,
    ) -> Self {
        Self {
            defaults,
            environment,
            flags,
            findings: Findings::default(),
            order: Vec::new(),
            identities: HashSet::new(),
            registries: Registries::default(),
            rules: Some(Rules::default()),
            service: ServiceSettings::default(),
        }
    }

    /// Reads registries alone.
    pub(super) fn without_rules(self) -> Self {
        Self {
            rules: None,
            ..self
        }
    }

    /// Adds a file, with the files that it includes.
    pub(super) fn add(&mut self, opened: Opened) {
        if self.is_read(&include::identity(&opened.name)) {
            let name = opened.name.display();
            let message = format!("{name} is given or included twice. It counts once.");
            return self.findings.warn_outside(message);
        }
        self.add_included(opened, &mut Vec::new());
    }

    /// Adds a file. `including` are the files that lead to it.
    pub(super) fn add_included(&mut self, opened: Opened, including: &mut Vec<PathBuf>) {
        self.identities.insert(include::identity(&opened.name));
        self.order.push(opened.name);
        let (file, root) = match opened.read {
            Ok(read) => read,
            Err(problem) => return self.findings.push(problem),
        };
        let Ok(file) = Rc::try_unwrap(file) else {
            return;
        };
        let secrets = secrets::find(&root, &tables::FILE);
        let file = Rc::new(file.with_secrets(&secrets.values, secrets.lines));
        self.content(&file, root, including);
    }

    fn content(&mut self, file: &Rc<ConfigFile>, mut root: Node, including: &mut Vec<PathBuf>) {
        if let (None, NodeValue::Map(pairs)) = (&self.rules, &mut root.value) {
            let unused = ["defaults", "rules", "service", "share"];
            pairs.retain(|(key, _)| text(key).is_none_or(|key| !unused.contains(&key)));
        }
        substitution::substitute(
            file,
            &mut root,
            &tables::FILE,
            self.environment,
            &mut self.findings,
        );
        check::check(file, &root, &mut self.findings);
        let source = Source {
            file: Rc::clone(file),
            environment: self.environment,
        };
        let fields = Fields::new(&tables::FILE, &root);
        // The check has reported another version.
        let _ = fields.text("version");
        if let Some(rules) = &mut self.rules {
            rules.set.add_file(&source, root.at);
        }
        include::include(self, &source, &fields, including);
        if let Some(node) = fields.node("registries") {
            self.registries.read(&source, node, &mut self.findings);
        }
        if let Some(rules) = &mut self.rules {
            let defaults = fields.node("defaults").map(|node| {
                let fields = Fields::new(&tables::DEFAULTS, node);
                options::Defaults::read(&source, &fields, &mut self.findings)
            });
            if let Some(node) = fields.node("rules") {
                let context = rules::Context {
                    source: &source,
                    defaults: &defaults.unwrap_or_default(),
                    flags: self.flags,
                    destination: self.defaults,
                };
                rules.read(&context, node, &mut self.findings);
            }
        }
        self.service.read(&source, &fields, &mut self.findings);
    }

    /// Returns true if a file was read before.
    pub(super) fn is_read(&self, identity: &Path) -> bool {
        self.identities.contains(identity)
    }

    /// Returns the content of all files.
    pub(super) fn finish(mut self) -> Result<Config, ConfigError> {
        let has_mistakes = self.findings.count() > 0;
        let registries = self.registries.finish();
        let (rules, schedules) = self.rules.map(Rules::into_parts).unzip();
        let (rules, patterns) = rules
            .map(|mut set| {
                set.check_harbor(&registries, &mut self.findings);
                set.finish(has_mistakes, &mut self.findings)
            })
            .unwrap_or_default();
        let (problems, warnings) = self.findings.finish(&self.order);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let (service, share) = self.service.finish();
        Ok(Config {
            rules,
            patterns,
            credentials: Vec::new(),
            registries,
            schedules: schedules.unwrap_or_default(),
            service,
            share,
            files: self.order,
            warnings,
        })
    }
}

/// Returns true for a relative path in a reference. `-` is a standard stream.
fn is_relative(path: &str) -> bool {
    let is_stream = path == "-" || path.starts_with("-#");
    !path.starts_with('/') && !is_stream
}
