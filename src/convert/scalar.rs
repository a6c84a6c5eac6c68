//! Scalars of YAML.

use image_syncer_sync::config::{DoubleQuoted, to_yaml};

use crate::escape;

/// Returns `text` as a scalar of YAML on one line: a key or a value in the block or flow style, with quotes if
/// necessary.
pub(super) fn scalar(text: &str) -> String {
    if text.contains(char::is_control) || escape::needs_quotes(text) {
        let quoted = to_yaml(&DoubleQuoted(text)).unwrap_or_default();
        return escape::document(quoted.trim_end()).into_owned();
    }
    // Of the flow style, these characters end a plain scalar.
    let is_plain = !text.contains([',', '[', ']', '{', '}', '"', '\'']);
    let plain = is_plain.then(|| to_yaml(&text).ok()).flatten();
    plain
        .map(|plain| plain.trim_end().to_owned())
        .filter(|plain| plain == text)
        .unwrap_or_else(|| format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_yaml_needs_it() {
        for (text, expected) in [
            ("registry.example.com/a:v1", "registry.example.com/a:v1"),
            ("registry.example.com:5000", "registry.example.com:5000"),
            ("quay.io/a/b:/^v1/", "quay.io/a/b:/^v1/"),
            ("r.example/a:v1,v2", "'r.example/a:v1,v2'"),
            ("${MIRROR}/app", "'${MIRROR}/app'"),
            ("it's a,b", "'it''s a,b'"),
            ("two\nlines", "\"two\\nlines\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
        for text in [
            "1.10", "true", "#a", "&a", "a: b", "a #b", "", " a", "- a", "*a", "!a", "'",
        ] {
            let line = scalar(text);
            assert_eq!(line, format!("'{}'", text.replace('\'', "''")));
        }
    }
}
