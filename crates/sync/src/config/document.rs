//! One parser for YAML and JSON, the only place that knows the parsing library.
//!
//! A file becomes a tree whose nodes have positions, so that the caller can report every mistake at its position.
//! Scalars keep their spelling: an unquoted `1.10` or `0123` is the text as written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Options, Spanned};

/// Maximum number of characters of a key. YAML allows 1024, JSON more. A key may be a source with thousands of tags.
const LONGEST_KEY: usize = 128 * 1024;

/// A value and its position.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: NodeValue,
    pub(super) at: Position,
}

/// Content of a node.
#[derive(Debug)]
pub(super) enum NodeValue {
    /// Empty, `null` or `~`.
    Null,
    /// A text, a number or a boolean, as written.
    Text(String),
    List(Vec<Node>),
    /// Entries in order, duplicate keys included.
    Map(Vec<(Node, Node)>),
}

impl NodeValue {
    /// Returns whether both have the same content, at any position.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Node, other: &Node| one.value.is_same(&other.value);
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Self::Map(one), Self::Map(other)) => {
                let pairs = one.iter().zip(other);
                one.len() == other.len()
                    && pairs
                        .into_iter()
                        .all(|(one, other)| same(&one.0, &other.0) && same(&one.1, &other.1))
            }
            _ => false,
        }
    }
}

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// Number of characters, quotes included; 0 if unknown.
    pub(super) length: usize,
}

/// A syntax error. Its message has nothing of the text but single characters.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: Option<Position>,
    pub(super) message: String,
}

/// Reads one document. An empty one is [`NodeValue::Null`].
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let root: Spanned<RawValue> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| SyntaxError {
            at: error.location().map(|location| place(&location)),
            message: explain(&error),
        })?;
    Ok(node(root, text))
}

fn options() -> Options {
    serde_saphyr::options! {
        // `yes` and `on` stay texts; the reader of a boolean accepts them.
        strict_booleans: true,
        // The caller reports every duplicate key with both positions.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `!name` would disappear from a password without quotes.
        reject_unsupported_tags: true,
        // `1e999` may be a tag of an image or a password.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // Snippets of this crate show no secret.
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 2_000_000,
            max_events: 5_000_000,
            simple_key_max_lookahead: LONGEST_KEY,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
        },
    }
}

/// Returns a message that repeats nothing of the text.
fn explain(error: &Error) -> String {
    match error.without_snippet() {
        Error::ExternalMessage { msg, .. }
            if msg.starts_with("mapping values") || msg.starts_with("unexpected character") =>
        {
            format!("syntax error: {msg}. Put values with special characters in quotes.")
        }
        Error::ExternalMessage { msg, .. } if msg.starts_with("invalid trailing content after") => {
            "text follows a closing quote. Write a `:` or a `,` before it, or put the quotes around all of it.".into()
        }
        Error::ExternalMessage { msg, .. } => format!("syntax error: {msg}"),
        Error::UnknownAnchor { .. } => "`*` begins the name of an anchor. Put a value that begins with it in quotes.".into(),
        Error::UnsupportedTag { .. } => "`!` begins a tag. Put a value that begins with it in quotes.".into(),
        Error::MultipleDocuments { .. } => "a second document begins here. A file can have only one.".into(),
        Error::Eof { .. } => "the file is incomplete".into(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "the file is nested too deeply or too large: the limits are 32 levels and 2,000,000 values".into()
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` needs the alias of a map".into(),
        Error::AliasError { error, .. } => explain(error),
        _ => "the file is neither YAML nor JSON".into(),
    }
}

/// A value as the library returns it.
enum RawValue {
    Null,
    Text(String),
    /// A boolean or a number, whose spelling the library does not keep.
    Typed(String),
    List(Vec<Spanned<RawValue>>),
    Map(Vec<(Spanned<RawValue>, Spanned<RawValue>)>),
}

fn node(raw: Spanned<RawValue>, text: &str) -> Node {
    let value = match raw.value {
        RawValue::Null => NodeValue::Null,
        RawValue::Text(value) => NodeValue::Text(value),
        RawValue::Typed(value) => NodeValue::Text(spelling(&raw.defined, text).unwrap_or(value)),
        RawValue::List(items) => {
            NodeValue::List(items.into_iter().map(|item| node(item, text)).collect())
        }
        RawValue::Map(pairs) => NodeValue::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (node(key, text), node(value, text)))
                .collect(),
        ),
    };
    Node {
        value,
        at: place(&raw.referenced),
    }
}

/// Returns the characters of a scalar as written.
fn spelling(location: &Location, text: &str) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let spelled = text.get(start..start.checked_add(length)?)?;
    (!spelled.is_empty()).then(|| spelled.to_owned())
}

fn place(location: &Location) -> Position {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Position {
        line: number(location.line()),
        column: number(location.column()),
        length: number(location.span().len()),
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(text))
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(RawValue::Map(pairs))
    }
}

/// Text that is always quoted in YAML.
pub use serde_saphyr::DoubleQuoted;

/// Writes `value` as YAML. Keys and texts get quotes if necessary.
///
/// # Errors
/// If `value` has no form in YAML.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String, YamlError> {
    serde_saphyr::to_string(value).map_err(|error| YamlError(error.to_string()))
}

/// Writes `value` to `out` as YAML.
///
/// # Errors
/// If the value has no form in YAML, or the output fails.
pub fn write_yaml<T: serde::Serialize>(
    value: &T,
    out: &mut impl std::io::Write,
) -> Result<(), YamlError> {
    serde_saphyr::to_io_writer(out, value).map_err(|error| YamlError(error.to_string()))
}

/// Error of a value without a form in YAML.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written as YAML: {0}")]
pub struct YamlError(String);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// The tree as text: `line:column value`.
    fn outline(node: &Node) -> String {
        let at = format!("{}:{}", node.at.line, node.at.column);
        match &node.value {
            NodeValue::Null => format!("{at} null"),
            NodeValue::Text(text) => format!("{at} {text:?}"),
            NodeValue::List(items) => {
                let items: Vec<_> = items.iter().map(outline).collect();
                format!("{at} [{}]", items.join(", "))
            }
            NodeValue::Map(pairs) => {
                let pairs: Vec<_> = pairs
                    .iter()
                    .map(|(k, v)| format!("{} = {}", outline(k), outline(v)))
                    .collect();
                format!("{at} {{{}}}", pairs.join(", "))
            }
        }
    }

    fn read(text: &str) -> String {
        outline(&parse(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).unwrap_err();
        let at = error.at.unwrap();
        format!("{}:{} {}", at.line, at.column, error.message)
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was() {
        let keys = [
            "r:5000/a:v1",
            "true",
            "1.10",
            "- a",
            "#",
            "a: b",
            "\u{e9}\n\"",
            "",
        ];
        for key in keys {
            let text = to_yaml(&std::collections::BTreeMap::from([(key, [key])])).unwrap();
            let NodeValue::Map(pairs) = parse(&text).unwrap().value else {
                panic!("no map: {text}");
            };
            let is_key = |node: &Node| matches!(&node.value, NodeValue::Text(text) if text == key);
            let NodeValue::List(list) = &pairs[0].1.value else {
                panic!("no list: {text}");
            };
            assert!(is_key(&pairs[0].0) && is_key(&list[0]), "{text}");
        }
    }

    #[test]
    fn yaml_and_json_are_one() {
        assert_eq!(
            read("a: b\nc:\n  - d\n  - e\n"),
            r#"1:1 {1:1 "a" = 1:4 "b", 2:1 "c" = 3:3 [3:5 "d", 4:5 "e"]}"#
        );
        assert_eq!(
            read("{\n\t\"a\": \"b\\/c\",\n\t\"e\": [1, \"\\ud83d\\ude00\"]\n}\n"),
            r#"1:1 {2:2 "a" = 2:7 "b/c", 3:2 "e" = 3:7 [3:8 "1", 3:11 "😀"]}"#
        );
        assert_eq!(
            read("a: b\r\nc: d\r\n"),
            r#"1:1 {1:1 "a" = 1:4 "b", 2:1 "c" = 2:4 "d"}"#
        );
    }

    #[test]
    fn scalars_keep_their_spelling() {
        for text in [
            "1.10",
            "0123",
            "1_000",
            "0x1F",
            "1e999",
            ".inf",
            "-5",
            "true",
            "True",
            "yes",
            "off",
            "99999999999999999999999999999999999999999999999",
            "2024-01-01",
            "12:30",
        ] {
            assert_eq!(
                read(&format!("a: {text}")),
                format!("1:1 {{1:1 \"a\" = 1:4 {text:?}}}")
            );
            assert_eq!(
                read(&format!("{text}: a")),
                format!("1:1 {{1:1 {text:?} = 1:{} \"a\"}}", text.len() + 3)
            );
            assert_eq!(
                read(&format!("a: \"{text}\"")),
                format!("1:1 {{1:1 \"a\" = 1:4 {text:?}}}")
            );
        }
        assert_eq!(read("é: 1.0"), r#"1:1 {1:1 "é" = 1:4 "1.0"}"#);
    }

    #[test]
    fn nothing_is_null() {
        for text in ["", "# nothing\n", "---\n", "~", "null"] {
            assert!(
                matches!(parse(text).unwrap().value, NodeValue::Null),
                "{text:?}"
            );
        }
        assert_eq!(
            read("a:\nb: ~\n"),
            r#"1:1 {1:1 "a" = 1:2 null, 2:1 "b" = 2:4 null}"#
        );
    }

    #[test]
    fn keys_that_stand_twice_are_handed_out() {
        assert_eq!(
            read("a: b\na: c\n"),
            r#"1:1 {1:1 "a" = 1:4 "b", 2:1 "a" = 2:4 "c"}"#
        );
    }

    #[test]
    fn aliases_and_merges_stand_where_they_are_used() {
        assert_eq!(
            read("a: &x 1.10\nb: *x\n"),
            r#"1:1 {1:1 "a" = 1:7 "1.10", 2:1 "b" = 2:4 "1.10"}"#
        );
        assert_eq!(
            read("x: &m {p: 1.0}\ny:\n  <<: *m\n"),
            r#"1:1 {1:1 "x" = 1:7 {1:8 "p" = 1:11 "1.0"}, 2:1 "y" = 3:3 {3:7 "p" = 3:7 "1.0"}}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_without_repeating_it() {
        for (text, why) in [
            (
                "p: *S3cret",
                "1:4 `*` begins the name of an anchor. Put a value that begins with it in quotes.",
            ),
            (
                "p: !S3cret",
                "1:11 `!` begins a tag. Put a value that begins with it in quotes.",
            ),
            (
                "p: !S3cret x",
                "1:12 `!` begins a tag. Put a value that begins with it in quotes.",
            ),
            (
                "p: @S3cret",
                "1:4 syntax error: unexpected character: `@'. Put values with special characters in quotes.",
            ),
            (
                "p: S3c: ret",
                "1:7 syntax error: mapping values are not allowed in this context. Put values with special characters in quotes.",
            ),
            ("p: 'S3cret", "1:4 syntax error: unclosed quote"),
            (
                "p: \"S3c\\ret\\q\"",
                "1:4 syntax error: while parsing a quoted scalar, found unknown escape character",
            ),
            (
                "a: b\n---\nc: d\n",
                "3:1 a second document begins here. A file can have only one.",
            ),
            (
                "{\"a\" \"S3cret\"}",
                "1:6 text follows a closing quote. Write a `:` or a `,` before it, or put the quotes around all of it.",
            ),
            (
                "p: 'S3'cret",
                "1:8 text follows a closing quote. Write a `:` or a `,` before it, or put the quotes around all of it.",
            ),
            (
                "{\"a\": \"S3cret\"",
                "1:1 syntax error: unclosed bracket '{'",
            ),
        ] {
            assert_eq!(refusal(text), why, "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let limits = "the file is nested too deeply or too large: the limits are 32 levels and 2,000,000 values";
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert!(refusal(&deep).ends_with(limits), "{}", refusal(&deep));
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in ["b", "c", "d", "e", "f"]
            .iter()
            .zip(["a", "b", "c", "d", "e"])
        {
            let items = vec![format!("*{of}"); 10].join(",");
            bomb.push_str(&[name, ": &", name, " [", &items, "]\n"].concat());
        }
        assert!(refusal(&bomb).ends_with(limits), "{}", refusal(&bomb));
    }
}
