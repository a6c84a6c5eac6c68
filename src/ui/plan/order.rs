//! Natural order of names.

use std::cmp::Ordering;

/// Compares two names. Numbers in them compare by value, so that `1.9` comes before `1.10`.
pub(crate) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let (one, other) = (part(left), part(right));
        let order = match (number(one), number(other)) {
            (Some(one), Some(other)) => one.len().cmp(&other.len()).then(one.cmp(other)),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
        left = left.strip_prefix(one).unwrap_or_default();
        right = right.strip_prefix(other).unwrap_or_default();
    }
    // Names that differ only in leading zeros are different.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Returns the leading digits of `text`, or the text before the next digit.
fn part(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Returns a number without leading zeros. The longer one is larger. Numbers of every length are compared.
fn number(part: &str) -> Option<&str> {
    let is_number = part.starts_with(|c: char| c.is_ascii_digit());
    is_number.then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_compare_by_value() {
        let mut names = [
            "v1.10",
            "v1.9",
            "1.9-alpine",
            "1.9",
            "v2",
            "latest",
            "1.09",
            "10",
            "9",
            "20241124000000000000000000000",
            "20241123999999999999999999999",
            "1.9-alpine3.9",
        ];
        names.sort_unstable_by(|a, b| by_name(a, b));
        let expected = [
            "1.09",
            "1.9",
            "1.9-alpine",
            "1.9-alpine3.9",
            "9",
            "10",
            "20241123999999999999999999999",
            "20241124000000000000000000000",
            "latest",
            "v1.9",
            "v1.10",
            "v2",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn only_identical_names_are_equal() {
        assert_eq!(by_name("v01", "v01"), Ordering::Equal);
        assert_eq!(by_name("v01", "v1"), Ordering::Less);
        assert_eq!(by_name("v1", "v01"), Ordering::Greater);
        assert_eq!(by_name("", "0"), Ordering::Less);
    }
}
