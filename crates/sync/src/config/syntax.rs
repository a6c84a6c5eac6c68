//! Common mistakes in YAML and JSON, for better messages than those of the parser.

use crate::config::document::Position;

/// Finds the first `//` or `/*` that begins a comment in a JSON document.
pub(super) fn json_comment(text: &str) -> Option<Position> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut in_string = false;
    for (number, line) in text.lines().enumerate() {
        let mut before = ' ';
        let mut characters = line.chars().enumerate().peekable();
        while let Some((column, c)) = characters.next() {
            let begins_token = before.is_whitespace() || "{}[],\"".contains(before);
            match c {
                '\\' if in_string => drop(characters.next()),
                '"' => in_string = !in_string,
                // A comment of YAML.
                '#' if !in_string && before.is_whitespace() => break,
                '/' if !in_string && begins_token => {
                    if matches!(characters.peek(), Some((_, '/' | '*'))) {
                        return Some(Position {
                            line: number + 1,
                            column: column + 1,
                            length: 2,
                        });
                    }
                }
                _ => {}
            }
            before = c;
        }
    }
    None
}

/// Finds the first line with a quoted key whose colon touches the value. YAML allows that only between braces.
pub(super) fn colon_without_blank(text: &str) -> Option<Position> {
    if text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    text.lines().enumerate().find_map(|(number, line)| {
        let indentation = line.chars().take_while(|c| c.is_whitespace()).count();
        let rest = line.trim_start().strip_prefix('"')?;
        let (key, value) = rest.split_once("\":")?;
        let is_joined = !key.contains('"') && !value.is_empty() && !value.starts_with([' ', '\t']);
        is_joined.then(|| Position {
            line: number + 1,
            column: indentation + key.chars().count() + 3,
            length: 1,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: Option<Position>) -> Option<(usize, usize)> {
        place.map(|place| (place.line, place.column))
    }

    #[test]
    fn comments_in_json_are_found_and_nothing_else() {
        for (text, expected) in [
            ("{\n  // all tags\n  \"a\": \"b\"\n}", Some((2, 3))),
            ("{\"a\": {            // the registry", Some((1, 20))),
            ("{\"a\": \"b\" /* c */}", Some((1, 11))),
            ("{\"a\": \"b\"}// c", Some((1, 11))),
            ("{\"a//b\": \"c // d \\\" // e\"}", None),
            ("{q.io/x://: r.io/x}", None),
            ("{\"a\": \"b\"} # see // c", None),
            ("a: b // c", None),
        ] {
            assert_eq!(at(json_comment(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_colon_that_touches_its_value_is_found() {
        for (text, expected) in [
            ("\"a:v1\":\"b\"", Some((1, 7))),
            ("# c\n  \"a\":b\n", Some((2, 6))),
            ("\"a\": \"b\"", None),
            ("\"a\":\n  - b", None),
            ("{\"a\":\"b\"}", None),
        ] {
            assert_eq!(at(colon_without_blank(text)), expected, "{text}");
        }
    }
}
