//! Variables of the environment in values: `${NAME}`, `${NAME:-default}` and `${NAME:?message}`.

use super::findings::Findings;
use super::table::{Shape, Table};
use crate::config::Environment;
use crate::config::document::{Node, NodeValue};
use crate::config::file::ConfigFile;

/// Mistake in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VariableError {
    /// Position of the variable in the text, in bytes.
    start: usize,
    length: usize,
    message: String,
}

/// Replaces the variables in all values of a file, and in keys whose map says so. Ignored keys stay as they are.
pub(super) fn substitute(
    file: &ConfigFile,
    root: &mut Node,
    table: &'static Table,
    environment: Environment<'_>,
    findings: &mut Findings,
) {
    let mut substitution = Substitution {
        file,
        environment,
        findings,
    };
    substitution.node(root, Some(&Shape::Map(table)));
}

struct Substitution<'a> {
    file: &'a ConfigFile,
    environment: Environment<'a>,
    findings: &'a mut Findings,
}

impl Substitution<'_> {
    fn node(&mut self, node: &mut Node, shape: Option<&Shape>) {
        let shape = shape.and_then(|shape| shape.for_node(node));
        match &mut node.value {
            NodeValue::Null => {}
            NodeValue::Text(_) => self.text(node),
            NodeValue::List(items) => {
                let item = match shape {
                    Some(Shape::List(item, _)) => Some(*item),
                    _ => None,
                };
                for node in items {
                    self.node(node, item);
                }
            }
            NodeValue::Map(pairs) => {
                for (key, value) in pairs {
                    self.pair(key, value, shape);
                }
            }
        }
    }

    fn pair(&mut self, key: &mut Node, value: &mut Node, shape: Option<&Shape>) {
        match shape {
            Some(Shape::Map(table)) => {
                let name = super::fields::text(key).unwrap_or_default();
                if !table.ignores(name) {
                    let shape = table.key(name).map(|key| &key.shape);
                    self.node(value, shape);
                }
            }
            Some(Shape::Entries(entries)) => {
                if entries.has_variables {
                    self.node(key, None);
                }
                self.node(value, Some(&entries.value));
            }
            _ => self.node(value, None),
        }
    }

    fn text(&mut self, node: &mut Node) {
        let NodeValue::Text(text) = &node.value else {
            return;
        };
        if !text.contains('$') {
            return;
        }
        match replaced(text, self.environment) {
            Ok(text) => node.value = NodeValue::Text(text),
            Err(error) => {
                let part = (error.start, error.length);
                self.findings
                    .mistake_in_text(self.file, node, part, error.message);
            }
        }
    }
}

/// Returns `text` with its variables replaced. `$$` is `$`, and any other `$` stays.
pub(super) fn replaced(text: &str, environment: Environment<'_>) -> Result<String, VariableError> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        replaced.push_str(before);
        if let Some(after) = behind.strip_prefix('$') {
            replaced.push('$');
            rest = after;
        } else if let Some((inner, after)) = braced(behind) {
            let error = |message: String| VariableError {
                start: text.len() - behind.len() - 1,
                length: inner.len() + 3,
                message,
            };
            replaced.push_str(&value(inner, environment).map_err(error)?);
            rest = after;
        } else {
            replaced.push('$');
            rest = behind;
        }
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Returns the content of the braces at the beginning of `text` if it begins with a name, and the text behind them.
fn braced(text: &str) -> Option<(&str, &str)> {
    let (inner, after) = text.strip_prefix('{')?.split_once('}')?;
    let begins_name = inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins_name.then_some((inner, after))
}

/// Returns the value of `NAME`, `NAME:-default` or `NAME:?message`.
fn value(inner: &str, environment: Environment<'_>) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let set = environment(name);
    let given = set.clone().filter(|value| !value.is_empty());
    if operator.is_empty() {
        return set.ok_or_else(|| {
            format!(
                "the environment variable {name} is not set. Set it, or write `${{{name}:-DEFAULT}}`; `$$` for a `$` itself."
            )
        });
    }
    if let Some(default) = operator.strip_prefix(":-") {
        return Ok(given.unwrap_or_else(|| default.to_owned()));
    }
    if let Some(message) = operator.strip_prefix(":?") {
        return given.ok_or_else(|| {
            let message = if message.is_empty() {
                "Set it."
            } else {
                message
            };
            format!("the environment variable {name} is not set: {message}")
        });
    }
    Err(format!(
        "a variable is written `${{{name}}}`, `${{{name}:-DEFAULT}}` or `${{{name}:?MESSAGE}}`. Write `$$` for a `$` itself."
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("r.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_and_other_dollars_stay() {
        for (text, expected) in [
            ("${HOST}/a", "r.example/a"),
            (
                "a${HOST}b${HOST}",
                "ar.exampleb r.example".replace(' ', "").as_str(),
            ),
            ("${NOPE:-d.io}/x", "d.io/x"),
            ("${NOPE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${HOST:?needed}", "r.example"),
            // A value is not read again.
            ("${NESTED}", "${HOST}"),
            ("$${HOST}", "${HOST}"),
            ("a$$b", "a$b"),
            ("robot$ci", "robot$ci"),
            ("$HOST", "$HOST"),
            ("/^v1$/", "/^v1$/"),
            ("core/$1", "core/$1"),
            ("${1}", "${1}"),
            ("${", "${"),
            ("${HOST", "${HOST"),
            ("$", "$"),
        ] {
            assert_eq!(replaced(text, &environment).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn variables_that_are_missing_are_mistakes() {
        let error = |text: &str| {
            let error = replaced(text, &environment).unwrap_err();
            (error.start, error.length, error.message)
        };
        assert_eq!(
            error("é/${NOPE}"),
            (
                3,
                7,
                "the environment variable NOPE is not set. Set it, or write `${NOPE:-DEFAULT}`; `$$` for a `$` itself."
                    .to_owned()
            )
        );
        assert_eq!(
            error("${EMPTY:?the host of the mirror}").2,
            "the environment variable EMPTY is not set: the host of the mirror"
        );
        assert_eq!(
            error("${NOPE:?}").2,
            "the environment variable NOPE is not set: Set it."
        );
        assert_eq!(
            error("${HOST:+x}").2,
            "a variable is written `${HOST}`, `${HOST:-DEFAULT}` or `${HOST:?MESSAGE}`. Write `$$` for a `$` itself."
        );
    }

    proptest::proptest! {
        #[test]
        fn doubled_dollars_are_read_as_they_were(text in "[a${}:?-]{0,12}|\\PC*") {
            let doubled = text.replace('$', "$$");
            proptest::prop_assert_eq!(replaced(&doubled, &environment), Ok(text));
        }
        #[test]
        fn a_mistake_is_within_its_text(text in "([$]|[{]|[}]|A|:|-|[?]|é){0,12}") {
            if let Err(error) = replaced(&text, &|_| None) {
                let part = text.get(error.start..error.start + error.length);
                let is_variable = part.is_some_and(|part| part.starts_with("${") && part.ends_with('}'));
                proptest::prop_assert!(is_variable);
            }
        }
    }
}
