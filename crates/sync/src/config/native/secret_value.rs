//! Secrets: a text, `{env: NAME}` or `{file: PATH}`.

use image_syncer_registry::auth::{Secret, SecretSource};

use super::fields::{Fields, text};
use super::findings::Findings;
use super::reading::Source;
use super::tables;
use crate::config::SecretPlace;
use crate::config::document::{Node, NodeValue};

/// Returns true for a map.
pub(super) fn is_map(node: &Node) -> bool {
    matches!(node.value, NodeValue::Map(_))
}

/// Returns the secret of a key; `None` after a mistake.
pub(super) fn read(
    source: &Source<'_>,
    key: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<SecretSource> {
    let place = place(source, key, node, findings)?;
    let read = place.resolve(source.environment);
    if let Ok(SecretSource::File(file)) = &read
        && let Some(warning) = file.warning()
    {
        findings.warn(&source.file, node.at, warning);
    }
    read.map_err(|why| findings.mistake(&source.file, node.at, format!("`{key}`: {why}")))
        .ok()
}

/// Returns the place of a secret, which is not looked up; `None` after a mistake.
pub(super) fn place(
    source: &Source<'_>,
    key: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<SecretPlace> {
    if !is_map(node) {
        let text = inline(source, key, node, findings)?;
        return Some(SecretPlace::Text(Secret::new(text)));
    }
    let fields = Fields::new(&tables::SECRET, node);
    let message = match (fields.node("env"), fields.node("file")) {
        (Some(name), None) => return text(name).map(|it| SecretPlace::Variable(it.to_owned())),
        (None, Some(path)) => return text(path).map(|it| SecretPlace::File(source.path(it))),
        (Some(_), Some(_)) => format!("`{key}` has both `env` and `file`. Keep one of the two."),
        (None, None) => format!("`{key}` needs a text, `{{env: NAME}}` or `{{file: PATH}}`"),
    };
    findings.mistake(&source.file, node.at, message);
    None
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
