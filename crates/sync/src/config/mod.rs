//! Files of the user: rules and credentials.
//!
//! `document` is the one parser for YAML and JSON. `classic` reads the `auth` and `images` files of the Go tool, and
//! `native` the files with `rules` and `registries`. Later modules see only [`Config`].

mod classic;
mod document;
mod error;
mod file;
mod file_kind;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod native;
mod registry_entry;
mod schedule;
mod service;
mod snippet;
mod syntax;
mod variables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_syncer_registry::Registry;
use image_syncer_registry::auth::KeychainEntry;

use crate::Repository;
use crate::rule::{
    DestinationTemplate, OptionOverrides, PatternRule, Rule, RuleError, RuleFilter, RuleSet,
};
use file_kind::{FileKind, Opened};

pub use document::{DoubleQuoted, YamlError, to_yaml, write_yaml};
pub use error::{ConfigError, Problem};
pub use native::{native_reference, native_schema};
pub use registry_entry::{InvalidLimit, RegistryEntry, RegistryLimits};
pub use schedule::{CronTime, Schedule, Times};
pub use service::{
    HookConfig, NOTIFY_EVENTS, NotifyConfig, NotifyKind, SecretPlace, ServiceConfig, ShareConfig,
    TlsFiles, TokenConfig, TokenScope,
};

/// Content of the files.
#[derive(Debug, Default)]
pub struct Config {
    /// The rules, in the order in which they were written, duplicates merged.
    pub rules: Vec<Arc<Rule>>,
    /// Rules over repositories that only a list reveals, in the order in which they were written.
    pub patterns: Vec<Arc<PatternRule>>,
    /// The credentials of classic files.
    pub credentials: Vec<KeychainEntry>,
    /// The registries of native files.
    pub registries: Vec<RegistryEntry>,
    /// Times of the runs of rules with a schedule, by the name of the rule. Only a service reads them.
    pub schedules: HashMap<Arc<str>, Schedule>,
    /// Settings of the service.
    pub service: ServiceConfig,
    /// Server that machines share their runs on.
    pub share: Option<ShareConfig>,
    /// The files that were read, included ones as well.
    pub files: Vec<PathBuf>,
    /// Likely mistakes that do not stop a run.
    pub warnings: Vec<Problem>,
}

/// Paths of the files. Several of a kind are merged, in their order.
#[derive(Clone, Debug, Default)]
pub struct ConfigFiles {
    /// Native files, or classic files with `auth` and `images` at the top. They exclude the other two.
    pub config: Vec<Input>,
    /// Credentials.
    pub auth: Vec<Input>,
    /// Rules.
    pub images: Vec<Input>,
}

impl ConfigFiles {
    /// Returns the files without standard input.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let inputs = self.config.iter().chain(&self.auth).chain(&self.images);
        inputs.filter_map(|input| match input {
            Input::File(path) => Some(path.as_path()),
            Input::Stdin => None,
        })
    }
}

/// A file or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input of the process, which can be read once.
    Stdin,
}

impl From<PathBuf> for Input {
    /// `-` is standard input.
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" {
            return Self::Stdin;
        }
        Self::File(path)
    }
}

/// Parts of the default destination, which an empty text means.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The registry (`--registry`, `DEFAULT_REGISTRY`).
    pub registry: Option<String>,
    /// The namespace (`--namespace`, `DEFAULT_NAMESPACE`).
    pub namespace: Option<String>,
}

/// Lookup of environment variables. This crate does not read those of the process.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

impl Config {
    /// Reads the files, native (docs/config.md) or classic (docs/files.md). All problems of all files are reported
    /// together. `flags` are the options of the command line, which override the defaults of native files.
    ///
    /// # Errors
    /// Every mistake, with file, line, column, a snippet without secrets, and what to write instead.
    pub fn read(
        files: &ConfigFiles,
        defaults: &Defaults,
        environment: Environment<'_>,
        flags: &OptionOverrides,
    ) -> Result<Self, ConfigError> {
        classic::check_inputs(files)?;
        let opened: Vec<Opened> = files.config.iter().map(Opened::read).collect();
        match file_kind::of_all(&opened)? {
            FileKind::Native => native::read(opened, defaults, environment, flags),
            FileKind::Classic => {
                let mut config = classic::read(files, opened, defaults, environment)?;
                config.set_options(flags);
                config.files = files.paths().map(Path::to_owned).collect();
                Ok(config)
            }
        }
    }
    /// Reads classic files alone (docs/files.md), with the built-in options.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn classic(
        files: &ConfigFiles,
        defaults: &Defaults,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        classic::check_inputs(files)?;
        let opened: Vec<Opened> = files.config.iter().map(Opened::read).collect();
        file_kind::refuse_native(&opened)?;
        classic::read(files, opened, defaults, environment)
    }
    /// Sets the options of all rules to those of the command line.
    pub fn set_options(&mut self, flags: &OptionOverrides) {
        let options = Arc::new(OptionOverrides::resolve([flags]));
        for rule in &mut self.rules {
            Arc::make_mut(rule).options = Arc::clone(&options);
        }
    }
    /// Returns the rules of a run.
    pub fn rule_set(&self) -> RuleSet {
        RuleSet {
            rules: self.rules.clone(),
            patterns: self.patterns.clone(),
            ..RuleSet::default()
        }
    }
    /// Reads `auth` files alone (docs/files.md#credentials), for rules that are named on the command line.
    ///
    /// # Errors
    /// As [`Config::classic`].
    pub fn credentials(
        auth: &[Input],
        rules: Vec<Arc<Rule>>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        classic::credentials(auth, rules, environment)
    }
    /// Reads the registries of native files, or the `auth` half of classic ones, for rules that are named on the command
    /// line. Everything else in the files is ignored.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn registries(
        files: &[Input],
        rules: Vec<Arc<Rule>>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        classic::check_stdin(files)?;
        let opened: Vec<Opened> = files.iter().map(Opened::read).collect();
        match file_kind::of_all(&opened)? {
            FileKind::Native => native::read_registries(opened, rules, environment),
            FileKind::Classic => classic::combined_credentials(opened, rules, environment),
        }
    }

    /// Keeps the rules that `filter` selects.
    ///
    /// # Errors
    /// If a glob of the filter matches no rule.
    pub fn keep_rules(&mut self, filter: &RuleFilter) -> Result<(), RuleError> {
        let named = self.rules.iter().map(|rule| &*rule.name);
        let patterns = self.patterns.iter().map(|rule| &*rule.name);
        filter.check(&named.chain(patterns).collect::<Vec<&str>>())?;
        self.rules.retain(|rule| filter.selects(&rule.name));
        self.patterns.retain(|rule| filter.selects(&rule.name));
        Ok(())
    }
}

impl Defaults {
    /// Returns the destination that an empty text means: the last component of the source's repository, in the default
    /// namespace of the default registry.
    ///
    /// # Errors
    /// If one of the two is missing or invalid.
    pub fn destination(&self, source: &Repository) -> Result<Repository, RuleError> {
        let (registry, namespace) = self.registry_and_namespace()?;
        let name = source.path().rsplit('/').next().unwrap_or_default();
        image_syncer_registry::Repository::new(registry, &format!("{namespace}/{name}"))
            .map(Repository::from)
            .map_err(|why| RuleError(format!("--namespace: {why}")))
    }

    /// Returns the same destination for many sources.
    ///
    /// # Errors
    /// As [`Defaults::destination`].
    pub fn template(&self) -> Result<DestinationTemplate, RuleError> {
        let (registry, namespace) = self.registry_and_namespace()?;
        let template = DestinationTemplate::parse(&format!("{registry}/{namespace}/{{name}}"));
        template.map_err(RuleError::from)
    }

    fn registry_and_namespace(&self) -> Result<(Registry, String), RuleError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (registry, namespace) = match (given(&self.registry), given(&self.namespace)) {
            (Some(registry), Some(namespace)) => (registry, namespace),
            (None, Some(_)) => {
                return Err(no_default(
                    "registry. Write --registry HOST, or set DEFAULT_REGISTRY.",
                ));
            }
            (Some(_), None) => {
                return Err(no_default(
                    "namespace. Write --namespace NAME, or set DEFAULT_NAMESPACE.",
                ));
            }
            (None, None) => {
                return Err(no_default(
                    "registry and namespace. Write --registry HOST and --namespace NAME, or set DEFAULT_REGISTRY and DEFAULT_NAMESPACE.",
                ));
            }
        };
        let wrong = |flag: &str, why: &dyn std::fmt::Display| RuleError(format!("{flag}: {why}"));
        let registry = Registry::parse(&registry).map_err(|why| wrong("--registry", &why))?;
        let namespace = namespace.trim_matches('/');
        image_syncer_registry::Repository::new(registry.clone(), namespace)
            .map_err(|why| wrong("--namespace", &why))?;
        Ok((registry, namespace.to_owned()))
    }
}

fn no_default(what: &str) -> RuleError {
    RuleError(format!("an empty destination needs a default {what}"))
}
