//! Every sentence of docs/files.md that a file decides; the rows of its table of rules are tested beside the rules.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod auth_map;
mod colons;
mod command_line;
mod images_map;
mod several_files;
mod unused;

use std::fs;

use image_syncer_registry::auth::{Credential, KeychainEntry};
use insta::assert_snapshot;

use super::*;
use crate::id::RuleId;
use crate::rule::{Naming, Rule, Selection};

const D: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn environment(name: &str) -> Option<String> {
    match name {
        "USER_NAME" => Some("me".to_owned()),
        "SECRET" => Some("S3cret".to_owned()),
        "HOST" => Some("d.io".to_owned()),
        "TAG" => Some("v9".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn defaults() -> Defaults {
    Defaults {
        registry: Some("d.io".to_owned()),
        namespace: Some("team/mirror".to_owned()),
    }
}

/// Writes files `name = text` to a directory and reads them; paths in what is told are the bare names.
fn read_with(files: &[(&str, &str)], defaults: &Defaults) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut given = ConfigFiles::default();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        match name.split('.').next().unwrap() {
            "config" => given.config.push(path.into()),
            "auth" => given.auth.push(path.into()),
            "images" => given.images.push(path.into()),
            other => panic!("{other}"),
        }
    }
    let prefix = format!("{}/", directory.path().display());
    Config::classic(&given, defaults, &environment)
        .map_err(|error| error.to_string().replace(&prefix, ""))
}

fn read(files: &[(&str, &str)]) -> Result<Config, String> {
    read_with(files, &Defaults::default())
}

fn problems(files: &[(&str, &str)]) -> String {
    let told = read(files).unwrap_err();
    assert!(!told.contains("S3cret"), "{told}");
    told
}

/// The entries of an auth file: `prefix user:password insecure`.
fn entries(text: &str) -> Vec<String> {
    let config = read(&[("auth.yaml", text), ("images.yaml", "q.io/x: d.io/y")]);
    config
        .unwrap_or_else(|told| panic!("{told}"))
        .credentials
        .iter()
        .map(outline)
        .collect()
}

fn outline(entry: &KeychainEntry) -> String {
    let credential = match &entry.login.credential() {
        Credential::Basic { username, password } => format!("{username}:{}", password.reveal()),
        Credential::Anonymous => "anonymous".to_owned(),
        other => panic!("{other:?}"),
    };
    let insecure = if entry.insecure { " insecure" } else { "" };
    format!("{} {credential}{insecure}", entry.prefix)
}

/// Returns the mistakes of an auth file.
fn auth_problems(text: &str) -> String {
    problems(&[("auth.yaml", text), ("images.yaml", "q.io/x: d.io/y")])
}

/// The rules of an images file: `source -> destinations`.
fn rules(text: &str) -> Vec<String> {
    let config = read_with(&[("images.yaml", text)], &defaults());
    config
        .unwrap_or_else(|told| panic!("{told}"))
        .rules
        .iter()
        .map(|rule| effect(rule))
        .collect()
}

fn effect(rule: &Rule) -> String {
    let source = &rule.source;
    let select = match &source.select {
        Selection::All => "*".to_owned(),
        Selection::Tags(tags) => join(tags),
        Selection::Matching(pattern) => format!("/{}/", pattern.as_str()),
        Selection::Policy(policy) => policy.to_string(),
        Selection::Digest { tag, .. } => format!(
            "{}@",
            tag.iter().map(ToString::to_string).collect::<String>()
        ),
    };
    let destinations: Vec<_> = rule
        .destinations
        .iter()
        .map(|destination| match &destination.naming {
            Naming::Keep => destination.repository.to_string(),
            Naming::Tags(tags) => format!("{}:{}", destination.repository, join(tags)),
            Naming::Template(template) => format!("{}:{template}", destination.repository),
            Naming::Untagged => format!("{}@", destination.repository),
        })
        .collect();
    format!(
        "{} {select} -> {}",
        source.repository,
        destinations.join(" + ")
    )
}

fn join(tags: &[image_syncer_registry::Tag]) -> String {
    tags.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// Warnings about files that are right.
fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    let config = read_with(files, &defaults()).unwrap_or_else(|told| panic!("{told}"));
    let bare = |warning: &Problem| {
        let text = warning.to_string();
        text.rsplit_once("/auth")
            .map(|(_, rest)| format!("auth{rest}"))
            .or_else(|| {
                text.rsplit_once("/images")
                    .map(|(_, rest)| format!("images{rest}"))
            })
            .unwrap_or(text)
    };
    config.warnings.iter().map(bare).collect()
}

fn image_problems(text: &str) -> String {
    problems(&[("images.yaml", text)])
}
