//! Ranges of versions.

use std::fmt;

use crate::rule::RuleError;
use crate::rule::tag_policy::TagVersion;
use crate::rule::tag_policy::version::NUMBERS;

/// Range of versions: `>=1.20 <2`, `^1.2`, `~1.2`, `1.x`, `=1.2.3`; blanks or commas mean and, `||` means or.
///
/// Only numbers are compared: a prerelease is in a range if its release is. Numbers that a range does not write match
/// any value: `=1.2` is every 1.2, `>1.2` begins at 1.3, and `<=1.2` ends before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    text: String,
    alternatives: Vec<Interval>,
}

type Numbers = [u64; NUMBERS];

/// Versions from `low` to before `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Interval {
    low: Numbers,
    high: Option<Numbers>,
}

/// Operators, each before those that begin like it.
const OPERATORS: [(&str, Operator); 8] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
    ("^", Operator::Caret),
    ("~", Operator::Tilde),
];

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    Above,
    AtLeast,
    Below,
    AtMost,
    Caret,
    Tilde,
}

/// Version of a comparator: the numbers before the first wildcard.
struct Bound {
    numbers: Numbers,
    written: usize,
}

impl VersionRange {
    /// Parses a range.
    ///
    /// # Errors
    /// For a text that is not a range, and for a range that no version satisfies: why, and what to write.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let alternatives = text.split("||").map(|part| {
            let refuse = |why: String| RuleError(format!("the range {text} {why}"));
            let interval = Interval::parse(part).map_err(refuse)?;
            if interval.is_empty() {
                let part = part.trim();
                return Err(refuse(if part == text.trim() {
                    "is empty: no version satisfies it. Write a range such as >=1.20 <2.".into()
                } else {
                    format!("has an alternative that no version satisfies: {part}. Remove it, or correct it.")
                }));
            }
            Ok(interval)
        });
        Ok(Self {
            alternatives: alternatives.collect::<Result<_, _>>()?,
            text: text.trim().to_owned(),
        })
    }
    /// Returns true if the version is in the range.
    pub fn contains(&self, version: &TagVersion) -> bool {
        let numbers = version.numbers();
        let mut alternatives = self.alternatives.iter();
        alternatives.any(|interval| {
            interval.low <= numbers && interval.high.is_none_or(|high| numbers < high)
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Interval {
    const ALL: Self = Self {
        low: [0; NUMBERS],
        high: None,
    };

    /// Parses comparators that must all hold.
    fn parse(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL;
        let mut count = 0;
        let mut operator = None;
        for word in text
            .split([' ', '\t', '\n', ','])
            .filter(|it| !it.is_empty())
        {
            let found = OPERATORS.iter().find(|(sign, _)| word.starts_with(sign));
            let (own, version) = match found {
                Some((sign, own)) => (Some(*own), word.get(sign.len()..).unwrap_or_default()),
                None => (None, word),
            };
            if operator.is_some() && own.is_some() {
                return Err("has two signs in a row. Write one, such as >=1.20.".into());
            }
            operator = operator.or(own);
            // A blank may follow the sign.
            if version.is_empty() {
                continue;
            }
            let sign = operator.take().unwrap_or(Operator::Equal);
            all = all.and(Self::new(sign, &Bound::parse(version)?)?);
            count += 1;
        }
        if operator.is_some() {
            return Err("ends with a sign. Write a version after it, such as >=1.20.".into());
        }
        match count {
            0 => Err(
                "has an empty part. Write a range such as >=1.20 <2, or * for every version."
                    .into(),
            ),
            _ => Ok(all),
        }
    }

    fn new(operator: Operator, bound: &Bound) -> Result<Self, String> {
        let low = bound.numbers;
        if bound.written == 0 {
            return match operator {
                Operator::Above | Operator::Below => Err(
                    "compares with every version. Write a number after the sign, such as >1.20."
                        .into(),
                ),
                _ => Ok(Self::ALL),
            };
        }
        let after = |kept: usize| bound.next(kept).map(Some);
        let last = bound.written;
        let from_zero = [0; NUMBERS];
        let (low, high) = match operator {
            Operator::Equal => (low, after(last)?),
            Operator::AtLeast => (low, None),
            Operator::Above => (bound.next(last)?, None),
            Operator::Below => (from_zero, Some(low)),
            Operator::AtMost => (from_zero, after(last)?),
            Operator::Tilde => (low, after(last.min(2))?),
            Operator::Caret => {
                // The first number that is not zero may not change; of zeros alone, the last one.
                let first = low.iter().take(last).position(|number| *number > 0);
                (low, after(first.map_or(last, |first| first + 1))?)
            }
        };
        Ok(Self { low, high })
    }

    fn and(self, other: Self) -> Self {
        let high = match (self.high, other.high) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            low: self.low.max(other.low),
            high,
        }
    }

    fn is_empty(&self) -> bool {
        self.high.is_some_and(|high| high <= self.low)
    }
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "has {text}, which {why}. Write numbers such as 1.20 or 1.20.3, or a wildcard such as 1.x."
            )
        };
        let mut bound = Self {
            numbers: [0; NUMBERS],
            written: 0,
        };
        let mut wild = false;
        for (position, part) in text
            .strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .enumerate()
        {
            let Some(number) = bound.numbers.get_mut(position) else {
                return Err(wrong("has more than four numbers"));
            };
            if matches!(part, "x" | "X" | "*") {
                wild = true;
                continue;
            }
            if wild {
                return Err(wrong("has a number after a wildcard"));
            }
            if part.starts_with(|it: char| it.is_ascii_digit()) && part.contains(['-', '_']) {
                return Err(wrong(
                    "has a suffix: prereleases and variants are chosen with `prerelease` and `variants`",
                ));
            }
            if part.is_empty() || !part.bytes().all(|it| it.is_ascii_digit()) {
                return Err(wrong("is not a version"));
            }
            *number = part.parse().map_err(|_| wrong("has too large a number"))?;
            bound.written = position + 1;
        }
        Ok(bound)
    }

    /// Returns the first version above all that have the first `kept` numbers of the bound.
    fn next(&self, kept: usize) -> Result<Numbers, String> {
        let mut next = [0; NUMBERS];
        for (number, own) in next.iter_mut().zip(self.numbers).take(kept) {
            *number = own;
        }
        let last = next.iter_mut().take(kept).next_back();
        match last.and_then(|last| last.checked_add(1).map(|more| *last = more)) {
            Some(()) => Ok(next),
            None => Err("has too large a number. Write a smaller one.".into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn contained(range: &str, versions: &[&str]) -> Vec<bool> {
        let range = VersionRange::parse(range).unwrap();
        let versions = versions.iter().map(|it| TagVersion::parse(it).unwrap());
        versions.map(|version| range.contains(&version)).collect()
    }

    #[test]
    fn every_form_of_a_range() {
        for (range, within, without) in [
            (
                ">=1.20 <2",
                vec!["1.20", "v1.20.0", "1.99.9.9"],
                vec!["1.19.9", "2", "2.0.0"],
            ),
            (">=1.20,<2", vec!["1.20"], vec!["2"]),
            (">= 1.20 , < 2", vec!["1.20"], vec!["2"]),
            (">1.2", vec!["1.3", "2"], vec!["1.2", "1.2.9"]),
            ("<=1.2", vec!["1.2", "1.2.9", "0"], vec!["1.3"]),
            ("<1.2", vec!["1.1.9", "1"], vec!["1.2"]),
            ("^1.2", vec!["1.2", "1.9"], vec!["1.1", "2"]),
            ("^0.2.3", vec!["0.2.3", "0.2.9"], vec!["0.3", "0.2.2"]),
            ("^0.0.3", vec!["0.0.3", "0.0.3.1"], vec!["0.0.4"]),
            ("^0", vec!["0.9"], vec!["1"]),
            ("^0.0", vec!["0.0.9"], vec!["0.1"]),
            ("~1.2", vec!["1.2.9"], vec!["1.3"]),
            ("~1.2.3", vec!["1.2.3", "1.2.9"], vec!["1.2.2", "1.3"]),
            ("~1", vec!["1.9"], vec!["2"]),
            ("1.x", vec!["1", "1.9.9"], vec!["2", "0.9"]),
            ("1.2.*", vec!["1.2.3"], vec!["1.3"]),
            ("v1.2", vec!["1.2.3"], vec!["1.3"]),
            ("=1.2.3", vec!["1.2.3", "1.2.3.4"], vec!["1.2.4"]),
            ("==1.2.3.4", vec!["1.2.3.4"], vec!["1.2.3", "1.2.3.5"]),
            ("1.x || >=3", vec!["1.5", "3", "4"], vec!["2.9"]),
            ("*", vec!["0", "9"], vec![]),
            (">=1.31", vec!["1.31.0-rc.1"], vec!["1.30.0-rc.1"]),
        ] {
            assert!(
                contained(range, &within).into_iter().all(|it| it),
                "{range}"
            );
            assert!(
                !contained(range, &without).into_iter().any(|it| it),
                "{range}"
            );
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (range, why) in [
            (
                ">=2 <1",
                "the range >=2 <1 is empty: no version satisfies it. Write a range such as >=1.20 <2.",
            ),
            ("<0", "no version satisfies it"),
            ("1.x 2.x", "no version satisfies it"),
            (
                "1.x || >=2 <2",
                "has an alternative that no version satisfies: >=2 <2.",
            ),
            ("", "has an empty part"),
            ("1 ||", "has an empty part"),
            (">=", "ends with a sign"),
            (">= <2", "two signs in a row"),
            ("latest", "has latest, which is not a version"),
            ("1.2.3.4.5", "more than four numbers"),
            ("1.x.2", "a number after a wildcard"),
            (">=1.2.3-rc.1", "prereleases and variants are chosen with"),
            (">x", "compares with every version"),
            ("1.2 - 1.4", "is not a version"),
            ("99999999999999999999", "too large a number"),
            ("=18446744073709551615", "too large a number"),
        ] {
            let error = VersionRange::parse(range).unwrap_err().to_string();
            assert!(error.contains(why), "{range}: {error}");
        }
    }
}
