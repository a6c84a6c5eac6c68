//! Versions in tags.

use std::cmp::Ordering;

use crate::rule::tag_policy::natural::{self, Token, is_separator};

/// Maximum count of the numbers of a version.
pub(super) const NUMBERS: usize = 4;

/// Words that mark a prerelease, each with its stage: a lower stage precedes a higher one.
const PRERELEASE_WORDS: [(&str, u8); 10] = [
    ("snapshot", 0),
    ("dev", 0),
    ("nightly", 0),
    ("canary", 0),
    ("alpha", 1),
    ("beta", 2),
    ("m", 3),
    ("preview", 4),
    ("pre", 4),
    ("rc", 5),
];

/// Version in a tag: `v?N(.N){0,3}` and a suffix. The suffix has the prerelease and the variant.
///
/// Versions are ordered by their numbers (missing ones are 0), prereleases before their release, and then by the
/// variant, numbers in it by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagVersion {
    numbers: [u64; NUMBERS],
    /// Count of the numbers that are written.
    written: usize,
    prerelease: Option<Prerelease>,
    variant: String,
}

/// Prerelease of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prerelease {
    stage: u8,
    text: String,
}

impl TagVersion {
    /// Parses a tag. Returns `None` if it has no version.
    ///
    /// A prerelease is a word such as `rc` or `beta` between separators, anywhere in the suffix, with the numbers that
    /// follow it; `m` is one only with a number. The rest of the suffix is the variant, without separators at its ends.
    /// Numbers beyond 64 bits are no version.
    pub fn parse(tag: &str) -> Option<Self> {
        let mut rest = tag.strip_prefix('v').unwrap_or(tag);
        let mut numbers = [0; NUMBERS];
        let mut written = 0;
        for number in &mut numbers {
            let digits = if written == 0 {
                rest
            } else {
                match rest.strip_prefix('.') {
                    Some(digits) if digits.starts_with(|it: char| it.is_ascii_digit()) => digits,
                    _ => break,
                }
            };
            let (text, after) = split_number(digits);
            *number = text.parse().ok()?;
            rest = after;
            written += 1;
        }
        let (prerelease, variant) = split_suffix(rest);
        Some(Self {
            numbers,
            written,
            prerelease,
            variant,
        })
    }
    /// Returns the numbers; missing ones are 0.
    pub(super) fn numbers(&self) -> [u64; NUMBERS] {
        self.numbers
    }
    /// Returns the prerelease as it is written (`rc.1`).
    pub fn prerelease(&self) -> Option<&str> {
        self.prerelease.as_ref().map(|it| it.text.as_str())
    }
    /// Returns the variant (`alpine3.20`); empty if there is none.
    pub fn variant(&self) -> &str {
        &self.variant
    }
}

impl Ord for TagVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let prereleases = match (&self.prerelease, &other.prerelease) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) => one.cmp(other),
        };
        self.numbers
            .cmp(&other.numbers)
            .then(prereleases)
            .then_with(|| natural::compare(&self.variant, &other.variant))
            // `1.27` is a name that moves to the newest patch, and so precedes `1.27.0` only by this.
            .then(self.written.cmp(&other.written))
            .then_with(|| self.variant.cmp(&other.variant))
    }
}

impl PartialOrd for TagVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Prerelease {
    fn cmp(&self, other: &Self) -> Ordering {
        self.stage
            .cmp(&other.stage)
            .then_with(|| natural::compare(&self.text.to_lowercase(), &other.text.to_lowercase()))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Prerelease {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits digits off the front.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|it: char| !it.is_ascii_digit());
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

/// Splits a suffix into prerelease and variant.
fn split_suffix(suffix: &str) -> (Option<Prerelease>, String) {
    let mut found: Option<Prerelease> = None;
    let mut variant = String::new();
    let mut rest = suffix;
    while !rest.is_empty() {
        let trimmed = rest.trim_start_matches(is_separator);
        if let Some((stage, text, after)) = prerelease_at_start(trimmed) {
            if let Some(found) = &mut found {
                found.text.push('-');
                found.text.push_str(text);
            } else {
                let text = text.to_owned();
                found = Some(Prerelease { stage, text });
            }
            rest = after;
            continue;
        }
        // The part up to the next separator belongs to the variant, with the separators before it.
        let separators = rest.len() - trimmed.len();
        let part = trimmed.find(is_separator).unwrap_or(trimmed.len());
        let Some((part, after)) = rest.split_at_checked(separators + part) else {
            break;
        };
        variant.push_str(part);
        rest = after;
    }
    let variant = variant.trim_matches(is_separator).to_owned();
    (found, variant)
}

/// Returns the stage and the text of a prerelease with which `text` begins, and the rest after it.
fn prerelease_at_start(text: &str) -> Option<(u8, &str, &str)> {
    let Some(Token::Word(word)) = natural::tokens(text).next() else {
        return None;
    };
    let known = |(known, _): &&(&str, u8)| word.eq_ignore_ascii_case(known);
    let (_, stage) = PRERELEASE_WORDS.iter().find(known)?;
    let mut length = word.len();
    loop {
        let rest = text.get(length..)?;
        let digits = rest.strip_prefix(is_separator).unwrap_or(rest);
        let (number, after) = split_number(digits);
        // `dev-4f3a9c1` has no number but a commit.
        if number.is_empty() || !(after.is_empty() || after.starts_with(is_separator)) {
            break;
        }
        length = text.len() - after.len();
    }
    if length == word.len() {
        let after = text.get(length..)?;
        let ends = after.is_empty() || after.starts_with(is_separator);
        if !ends || word.eq_ignore_ascii_case("m") {
            return None;
        }
    }
    Some((*stage, text.get(..length)?, text.get(length..)?))
}
