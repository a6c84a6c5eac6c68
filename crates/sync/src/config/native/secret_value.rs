//! Secrets: a text, `{env: NAME}` or `{file: PATH}`.

use image_syncer_registry::auth::{Secret, SecretFile, SecretSource};

use super::fields::{Fields, text};
use super::findings::Findings;
use super::reading::Source;
use super::tables;
use crate::config::document::{Node, NodeValue};

/// Place of a secret that is not in the file.
enum Place<'a> {
    Variable(&'a str),
    File(&'a str),
}

/// Returns true for a map.
pub(super) fn is_map(node: &Node) -> bool {
    matches!(node.value, NodeValue::Map(_))
}

/// Checks that a secret has exactly one place.
pub(super) fn check_form(source: &Source<'_>, key: &str, node: &Node, findings: &mut Findings) {
    if is_map(node) {
        place(source, key, node, findings);
    } else {
        inline(source, key, node, findings);
    }
}

/// Returns the secret of a key; `None` after a mistake.
pub(super) fn read(
    source: &Source<'_>,
    key: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<SecretSource> {
    if !is_map(node) {
        let text = inline(source, key, node, findings)?;
        return Some(SecretSource::Text(Secret::new(text)));
    }
    let read = match place(source, key, node, findings)? {
        Place::Variable(name) => SecretSource::from_variable(name, source.environment),
        Place::File(written) => SecretFile::read(source.path(written)).map(|file| {
            if let Some(warning) = file.warning() {
                findings.warn(&source.file, node.at, warning);
            }
            SecretSource::File(file)
        }),
    };
    read.map_err(|why| findings.mistake(&source.file, node.at, format!("`{key}`: {why}")))
        .ok()
}

/// Returns the text of a secret in the file.
fn inline<'a>(
    source: &Source<'_>,
    key: &str,
    node: &'a Node,
    findings: &mut Findings,
) -> Option<&'a str> {
    let text = text(node)?;
    if text.is_empty() {
        let message =
            format!("`{key}` is empty. Write it, or `{{env: NAME}}` or `{{file: PATH}}`.");
        findings.mistake(&source.file, node.at, message);
        return None;
    }
    Some(text)
}

fn place<'a>(
    source: &Source<'_>,
    key: &str,
    node: &'a Node,
    findings: &mut Findings,
) -> Option<Place<'a>> {
    let fields = Fields::new(&tables::SECRET, node);
    let message = match (fields.node("env"), fields.node("file")) {
        (Some(name), None) => return text(name).map(Place::Variable),
        (None, Some(path)) => return text(path).map(Place::File),
        (Some(_), Some(_)) => format!("`{key}` has both `env` and `file`. Keep one of the two."),
        (None, None) => format!("`{key}` needs a text, `{{env: NAME}}` or `{{file: PATH}}`"),
    };
    findings.mistake(&source.file, node.at, message);
    None
}
