//! Snippets: the line of a mistake with marks below the position. Possible secrets are left out.

use crate::config::document::Position;

/// Maximum number of characters of a line.
const WIDTH: usize = 100;
/// Sign for text that is left out.
const HIDDEN: char = '…';
/// Keys that are never secrets themselves.
const KEYS: [&str; 5] = ["auth", "images", "username", "password", "insecure"];

/// Returns the whole line, or the [`masked`] one if a host in it may have a user name in front.
pub(super) fn masked_line(line: &str, at: Position) -> Option<String> {
    if has_userinfo(line) {
        return masked(line, at, true);
    }
    Some(draw(line, at))
}

/// Returns the line of a file with credentials: its indentation, a known key at its beginning, and the position itself
/// if that is `safe`. `None` if nothing of it can be shown.
pub(super) fn masked(line: &str, at: Position, safe: bool) -> Option<String> {
    let column = at.column.saturating_sub(1);
    let indentation = line.chars().take_while(|c| c.is_whitespace()).count();
    let known = indentation + key_length(line.trim_start());
    let end = line.chars().count();
    let mut drawn: String = line.chars().take(known).collect();
    let place: String = line.chars().skip(column).take(at.length).collect();
    let (mark, length) = if column < known {
        drawn.extend((known < end).then_some(HIDDEN));
        (column, at.length.min(known - column))
    } else if safe && !place.is_empty() && !has_userinfo(&place) {
        drawn.extend((known < column).then_some(HIDDEN));
        let mark = drawn.chars().count();
        drawn.push_str(&place);
        drawn.extend((column + at.length < end).then_some(HIDDEN));
        (mark, at.length)
    } else {
        drawn.extend((known < end).then_some(HIDDEN));
        (known, 1)
    };
    let is_drawn = drawn.chars().any(|c| !c.is_whitespace() && c != HIDDEN);
    let at = Position {
        column: mark + 1,
        length,
        ..at
    };
    is_drawn.then(|| draw(&drawn, at))
}

/// Returns the number of characters of a known key at the beginning of `text`, with its colon and the blanks after it.
fn key_length(text: &str) -> usize {
    let known = |key: &&str| {
        let quoted = format!("\"{key}\"");
        [*key, quoted.as_str()].into_iter().find_map(|key| {
            let rest = text.strip_prefix(key)?.strip_prefix(':')?;
            Some(key.chars().count() + 1 + rest.chars().take_while(|&c| c == ' ').count())
        })
    };
    KEYS.iter().find_map(known).unwrap_or(0)
}

/// Returns whether something other than a digest follows an `@`.
fn has_userinfo(text: &str) -> bool {
    text.split('@').skip(1).any(|rest| {
        !["sha256:", "sha512:"]
            .iter()
            .any(|digest| rest.starts_with(digest))
    })
}

fn draw(line: &str, at: Position) -> String {
    let column = at.column.saturating_sub(1);
    // A position far to the right in a long line moves into view.
    let skipped = if column > WIDTH / 2 {
        column - WIDTH / 4
    } else {
        0
    };
    let visible: String = line
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let left = if skipped > 0 { "…" } else { "" };
    let right = if line.chars().count() > skipped + WIDTH {
        "…"
    } else {
        ""
    };
    let before = column - skipped + left.chars().count();
    let room = visible.chars().count().saturating_sub(column - skipped);
    let marks = at.length.clamp(1, room.max(1));
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    format!(
        "{margin} |\n{number} | {left}{}{right}\n{margin} | {}{}",
        visible.trim_end(),
        " ".repeat(before),
        "^".repeat(marks)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(column: usize, length: usize) -> Position {
        Position {
            line: 7,
            column,
            length,
        }
    }

    #[test]
    fn the_place_is_marked() {
        assert_eq!(
            masked_line("a: b c", at(4, 3)).unwrap(),
            "  |\n7 | a: b c\n  |    ^^^"
        );
        assert_eq!(masked_line("a:", at(3, 0)).unwrap(), "  |\n7 | a:\n  |   ^");
        assert_eq!(masked_line("\ta", at(2, 9)).unwrap(), "  |\n7 |  a\n  |  ^");
        assert_eq!(
            masked_line("é: ü", at(4, 1)).unwrap(),
            "  |\n7 | é: ü\n  |    ^"
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let line = format!("{}HERE{}", "a".repeat(200), "b".repeat(200));
        let drawn = masked_line(&line, at(201, 4)).unwrap();
        let expected = format!(
            "  |\n7 | …{}HERE{}…\n  | {}^^^^",
            "a".repeat(25),
            "b".repeat(71),
            " ".repeat(26)
        );
        assert_eq!(drawn, expected);
    }

    /// Rows of a line, the column and length of the place, and the expected excerpt.
    type Row = (&'static str, (usize, usize), &'static str);

    fn assert_masked(rows: &[Row], safe: bool) {
        for (line, (column, length), expected) in rows {
            assert_eq!(
                masked(line, at(*column, *length), safe).unwrap_or_default(),
                *expected,
                "{line}"
            );
        }
    }

    #[test]
    fn masked_lines_show_known_keys_and_safe_places() {
        let secret_places = [
            (
                "  password: S3cret",
                (13, 6),
                "  |\n7 |   password: …\n  |             ^",
            ),
            (
                "  password: S3cret: x",
                (19, 0),
                "  |\n7 |   password: …\n  |             ^",
            ),
            (
                "  \"password\": \"S3cret\",",
                (15, 8),
                "  |\n7 |   \"password\": …\n  |               ^",
            ),
            (
                "  password:",
                (11, 0),
                "  |\n7 |   password:\n  |           ^",
            ),
            ("  S3cret", (3, 6), ""),
            ("{\"q.io\": {\"password\": \"S3cret\"}}", (23, 8), ""),
        ];
        let safe_places = [
            (
                "  password: S3cret",
                (3, 8),
                "  |\n7 |   password: …\n  |   ^^^^^^^^",
            ),
            (
                "  pasword: S3cret",
                (3, 7),
                "  |\n7 |   pasword…\n  |   ^^^^^^^",
            ),
            (
                "{\"password\": \"S3cret\", \"x\": 1}",
                (24, 3),
                "  |\n7 | …\"x\"…\n  |  ^^^",
            ),
            ("me:S3cret@q.io: x", (1, 14), ""),
        ];
        assert_masked(&secret_places, false);
        assert_masked(&safe_places, true);
    }

    #[test]
    fn a_user_in_front_of_a_host_is_left_out() {
        let digest = "q.io/a@sha256:ab: r";
        assert!(masked_line(digest, at(1, 2)).unwrap().contains(digest));
        assert_eq!(masked_line("https://me:S3cret@q.io/a: r", at(1, 24)), None);
    }
}
