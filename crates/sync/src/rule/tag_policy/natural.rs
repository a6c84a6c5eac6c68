//! Natural order of texts: numbers in them are compared by value.

use std::cmp::Ordering;

/// Part of a text: a run of digits, or a run of letters. Separators only divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Digits, without zeros in front.
    Number(&'a str),
    /// Anything but digits and separators.
    Word(&'a str),
}

/// Returns true for a character between the parts of a tag.
pub(super) fn is_separator(character: char) -> bool {
    matches!(character, '.' | '-' | '_')
}

/// Returns the parts of `text`, in their order.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_separator);
        let digits = rest.starts_with(|first: char| first.is_ascii_digit());
        let end = rest.find(|it: char| is_separator(it) || it.is_ascii_digit() != digits);
        let (token, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        match token {
            "" => None,
            _ if digits => Some(Token::Number(token.trim_start_matches('0'))),
            _ => Some(Token::Word(token)),
        }
    })
}

/// Compares two texts part by part. A text that continues is greater than its beginning.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    tokens(one).cmp(tokens(other))
}

/// Returns `text` with `#` instead of each number: equal for texts that differ in numbers only.
pub(super) fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_ascii_digit() {
            shape.push(character);
        } else if !shape.ends_with('#') {
            shape.push('#');
        }
    }
    shape
}

impl Ord for Token<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => {
                one.len().cmp(&other.len()).then_with(|| one.cmp(other))
            }
            (Self::Word(one), Self::Word(other)) => one.cmp(other),
            (Self::Number(_), Self::Word(_)) => Ordering::Less,
            (Self::Word(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Token<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let sorted = [
            "",
            "9",
            "010",
            "alpine",
            "alpine3",
            "alpine3.9",
            "alpine3.20",
            "debian-12-r9",
            "debian-12-r19",
            "debian-12-r99999999999999999999999999999",
            "debian-12-r100000000000000000000000000000",
        ];
        for (position, one) in sorted.iter().enumerate() {
            for (other_position, other) in sorted.iter().enumerate() {
                let expected = position.cmp(&other_position);
                assert_eq!(compare(one, other), expected, "{one} {other}");
            }
        }
        assert_eq!(compare("r007", "r7"), Ordering::Equal);
        assert_eq!(compare("rc.1", "rc-1"), Ordering::Equal);
    }

    #[test]
    fn texts_that_differ_in_numbers_have_one_shape() {
        for (text, expected) in [
            ("", ""),
            ("alpine3.20-slim", "alpine#.#-slim"),
            ("alpine3.9-slim", "alpine#.#-slim"),
            ("debian-12-r19", "debian-#-r#"),
            ("slim", "slim"),
        ] {
            assert_eq!(shape(text), expected);
        }
    }
}
