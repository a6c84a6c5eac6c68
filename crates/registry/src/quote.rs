//! Texts from outside, as errors repeat them.

/// The most characters of a text that an error repeats.
const SHOWN: usize = 200;

/// `text` between backquotes: shortened where it is long, control characters escaped, and without the user name and
/// password that stand in front of a host in a URL.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// As [`quoted`], without the backquotes.
pub(crate) fn shown(text: &str) -> String {
    let (before, hidden, after) = match userinfo(text) {
        Some(range) => (
            text.get(..range.start).unwrap_or_default(),
            "…",
            text.get(range.end..).unwrap_or_default(),
        ),
        None => (text, "", ""),
    };
    let mut shown = String::new();
    let mut characters = before.chars().chain(hidden.chars()).chain(after.chars());
    for c in characters.by_ref().take(SHOWN) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// `text` without the user name and password in front of its host; a scheme goes with them.
pub(crate) fn without_userinfo(text: &str) -> &str {
    userinfo(text).map_or(text, |range| text.get(range.end + 1..).unwrap_or_default())
}

/// Returns the range of user name and password: after the scheme, up to the last `@` that does not introduce a digest.
fn userinfo(text: &str) -> Option<std::ops::Range<usize>> {
    const DIGESTS: [&str; 4] = ["sha256:", "sha512:", "blake3:", "md5:"];
    let start = text.find("://").map_or(0, |at| at + 3);
    let introduces_digest = |at: usize| {
        let behind = text.get(at + 1..).unwrap_or_default();
        !behind.contains('/') && DIGESTS.iter().any(|name| behind.starts_with(name))
    };
    let mut ats = text.rmatch_indices('@').map(|(at, _)| at);
    let at = ats.find(|&at| at >= start && !introduces_digest(at))?;
    Some(start..at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_what_stands_before_a_host() {
        assert_eq!(
            quoted("https://me:secret@quay.io/a"),
            "`https://…@quay.io/a`"
        );
        assert_eq!(quoted("https://me:secret@quay.io"), "`https://…@quay.io`");
        assert_eq!(quoted("https://me:s/cret@quay.io"), "`https://…@quay.io`");
        assert_eq!(quoted("me:s/cret@quay.io/a"), "`…@quay.io/a`");
        assert_eq!(
            quoted("https://quay.io/a@sha256:b"),
            "`https://quay.io/a@sha256:b`"
        );
        assert_eq!(quoted("quay.io/a@sha256:b"), "`quay.io/a@sha256:b`");
    }

    #[test]
    fn drops_what_stands_before_a_host() {
        assert_eq!(
            without_userinfo("me:s/cret@quay.io/a@sha256:b"),
            "quay.io/a@sha256:b"
        );
        assert_eq!(without_userinfo("me:secret@quay.io:5000"), "quay.io:5000");
        assert_eq!(without_userinfo("nginx@sha256:b"), "nginx@sha256:b");
    }

    #[test]
    fn is_bounded_and_printable() {
        assert_eq!(quoted("a\n\u{1b}[31m"), "`a\\n\\u{1b}[31m`");
        assert_eq!(
            quoted(&"x".repeat(SHOWN)),
            format!("`{}`", "x".repeat(SHOWN))
        );
        assert_eq!(
            quoted(&"x".repeat(SHOWN + 1)),
            format!("`{}…`", "x".repeat(SHOWN))
        );
    }
}
