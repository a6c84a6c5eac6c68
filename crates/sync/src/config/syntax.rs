//! Common mistakes in YAML and JSON, for better messages than those of the parser.

use crate::config::document::{self, Position, SyntaxError};

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

/// Finds the line without `: ` that causes `error`: the line of the error, or the first of those directly before it,
/// which the parser takes for the beginning of the next key. Returns its content and its position.
pub(super) fn line_without_colon<'a>(
    text: &'a str,
    error: &SyntaxError,
) -> Option<(&'a str, Position)> {
    let last = error.at?.line;
    let lines: Vec<&str> = text.lines().take(last).collect();
    let (mut first, mut corrected) = (None, Vec::new());
    for (number, line) in lines.iter().enumerate().rev() {
        let content = line.split(" #").next().unwrap_or(line).trim();
        let indentation = line.len() - line.trim_start().len();
        if has_no_colon(content) {
            first = Some((content, number, indentation));
            corrected.push(format!("{}x:", " ".repeat(indentation)));
        } else if number + 1 == last || content.is_empty() || content.starts_with('#') {
            corrected.push((*line).to_owned());
        } else {
            corrected.extend(
                lines
                    .iter()
                    .take(number + 1)
                    .rev()
                    .map(|&line| line.to_owned()),
            );
            break;
        }
    }
    let (content, number, indentation) = first?;
    // With the colon, the parser gets further.
    corrected.reverse();
    corrected.extend(text.lines().skip(last).map(str::to_owned));
    let next = document::parse(&corrected.join("\n")).err();
    let is_cause = next.is_none_or(|next| next.at.is_some_and(|at| at.line > last));
    is_cause.then(|| {
        let at = Position {
            line: number + 1,
            column: indentation + 1,
            length: content.chars().count(),
        };
        (content, at)
    })
}

/// Returns whether a line of a block map consists of a key alone.
fn has_no_colon(content: &str) -> bool {
    let is_other =
        content.is_empty() || content.starts_with(['#', '-', '{', '[', '}', ']', '?', '%']);
    !is_other && !content.ends_with(':') && !content.contains(": ")
}

/// Returns the message for a syntax error that braces without quotes cause: `[a/{b}]`, `{a}/b`.
pub(super) fn unquoted_braces(line: &str, error: &SyntaxError) -> Option<String> {
    let column = error.at?.column.saturating_sub(1);
    let before: String = line.chars().take(column).collect();
    let rest: String = line.chars().skip(column).collect();
    let is_inside = rest.starts_with('{') && !before.ends_with([' ', ',', '[', '{', ':', '"']);
    let is_behind = before.ends_with('}') && rest.starts_with(|c: char| !",]}\" #".contains(c));
    let place = match innermost_bracket(&before) {
        Some('{') if is_inside => "inside `{ }`",
        None if is_behind && !is_json(line) => "at its beginning",
        _ if is_inside || is_behind => "inside `[ ]`",
        _ => return None,
    };
    Some(format!(
        "YAML needs quotes around text with `{{ }}` {place}"
    ))
}

fn is_json(line: &str) -> bool {
    line.trim_start().starts_with(['{', '[', '"'])
}

/// Returns the innermost bracket that is open at the end of a text. Texts in quotes are skipped.
pub(super) fn innermost_bracket(text: &str) -> Option<char> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    for c in text.chars() {
        match (quote, c) {
            (Some(own), c) if own == c => quote = None,
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[' | '{') => open.push(c),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        before = c;
    }
    open.pop()
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
