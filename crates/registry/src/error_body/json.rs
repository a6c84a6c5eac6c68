//! Errors as JSON: the form of the specification, and what servers send in its place.

use serde_json::Value;

use super::{MISSING_LIMIT, SHOWN, SHOWN_ERRORS, SHOWN_IN_ALL, Said};
use crate::digest::Digest;
use crate::text;

/// Fields that hold words for a person, in the order in which they are shown. Quay, Harbor and others put the reason
/// into `detail`; token servers send `error` with `error_description` (RFC 6749), proxies `title` with `detail` (RFC
/// 9457). What other fields hold is for programs, and may be a secret.
const WORDS: [&str; 13] = [
    "errors",
    "error",
    "title",
    "message",
    "error_message",
    "msg",
    "reason",
    "error_description",
    "description",
    "details",
    "detail",
    "cause",
    "hint",
];

/// Reads `{"errors": [{"code", "message", "detail"}]}`, and what some send instead.
pub(super) fn read(value: &Value) -> Said {
    let entries = match value.get("errors") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => std::slice::from_ref(value),
    };
    let mut said = Said::default();
    let mut clauses: Vec<String> = Vec::new();
    for entry in entries {
        let code = string(entry, "code");
        let message = string(entry, "message");
        if said.code.is_none() && said.message.is_none() {
            said.message = message.or_else(|| text_of_value(entry));
            said.detail = entry.get("detail").and_then(text_of_value);
            said.errno = errno(entry);
        }
        if let Some(clause) = describe_entry(code.as_deref(), entry)
            && clauses.len() < SHOWN_ERRORS
            && !clauses.contains(&clause)
        {
            clauses.push(clause);
        }
        if let Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN") = code.as_deref()
            && let Some(detail) = entry.get("detail")
        {
            digests(detail, &mut said.missing);
        }
        said.code = said.code.or(code);
    }
    said.clause = joined(clauses.into_iter(), "; ");
    said
}

/// One error for a person: `CODE: message: detail`.
fn describe_entry(code: Option<&str>, entry: &Value) -> Option<String> {
    let storage = errno(entry).map(errno_text);
    let words = joined(text_of_value(entry).into_iter().chain(storage), ": ");
    match (code, words) {
        (Some(code), Some(words)) if !contains(code, &words) => Some(format!("{code}: {words}")),
        (Some(code), _) => Some(code.to_owned()),
        (None, words) => words,
    }
}

/// The text of a field, cleaned; `None` if it has none.
fn string(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?;
    Some(text::clean(text, SHOWN)).filter(|text| !text.is_empty())
}

/// Returns the readable texts of `value`: a text, the texts of an array, or the known fields of an object.
fn text_of_value(value: &Value) -> Option<String> {
    // The parser bounds how deep a document nests, so this recursion is bounded too.
    match value {
        Value::String(text) => Some(text::clean(text, SHOWN)).filter(|text| !text.is_empty()),
        Value::Array(items) => joined(
            items.iter().filter_map(text_of_value).take(SHOWN_ERRORS),
            "; ",
        ),
        Value::Object(fields) => {
            let named = |name: &&str| {
                let mut fields = fields.iter();
                // AWS writes `Message`.
                let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
                field.and_then(|(_, value)| text_of_value(value))
            };
            joined(WORDS.iter().filter_map(named), ": ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// `parts` in one text, without those that another one says already.
fn joined(parts: impl Iterator<Item = String>, separator: &str) -> Option<String> {
    let mut kept: Vec<String> = Vec::new();
    for part in parts {
        if !kept.iter().any(|other| contains(other, &part)) {
            kept.retain(|other| !contains(&part, other));
            kept.push(part);
        }
    }
    let text = text::clean(&kept.join(separator), SHOWN_IN_ALL);
    Some(text).filter(|text| !text.is_empty())
}

/// Returns whether `text` contains the whole words `part`, ignoring case.
fn contains(text: &str, part: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let part = part.trim_end_matches('.').to_ascii_lowercase();
    text.split_once(&part).is_some_and(|(before, after)| {
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

/// The number of a system's error in what a driver of distribution's adds:
/// `{"DriverName": "filesystem", "Enclosed": {"Op": "write", "Path": "…", "Err": 28}}`.
fn errno(error: &Value) -> Option<i64> {
    let detail = error.get("detail")?;
    detail.get("DriverName")?;
    detail.get("Enclosed")?.get("Err")?.as_i64()
}

/// Returns the Linux error message for a number that storage drivers report.
fn errno_text(number: i64) -> String {
    match number {
        13 => "its storage says permission denied".to_owned(),
        27 => "its storage says file too large".to_owned(),
        28 => "its storage says no space left on device".to_owned(),
        30 => "its storage says read-only file system".to_owned(),
        122 => "its storage says disk quota exceeded".to_owned(),
        number => format!("its storage says error {number}"),
    }
}

/// Collects all digests in `detail`, wherever it keeps them: registries differ in its shape.
fn digests(detail: &Value, found: &mut Vec<Digest>) {
    // Bounded as `words` is.
    match detail {
        Value::String(text) => {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')) {
                if let Ok(digest) = Digest::parse(word)
                    && found.len() < MISSING_LIMIT
                    && !found.contains(&digest)
                {
                    found.push(digest);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| digests(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| digests(item, found)),
        _ => {}
    }
}
