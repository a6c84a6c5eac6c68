//! Warnings of registries, each reported once (docs/protocol.md#warnings-and-quotas).

use std::collections::HashSet;
use std::sync::Mutex;

use http::HeaderMap;
use http::header::WARNING;

use crate::lock::lock;
use crate::text;

/// Maximum number of different warnings in a run. More are noise, or an attack on our memory.
const REMEMBERED: usize = 1_000;
/// Limit of the specification for all warnings of an answer, in bytes.
const LONGEST: usize = 4_096;

/// The warnings reported in this run.
#[derive(Default)]
pub(super) struct ReportedWarnings {
    seen: Mutex<HashSet<(String, String)>>,
}

impl ReportedWarnings {
    /// Returns the warnings in `headers` that `host` has not sent before.
    pub(super) fn news(&self, host: &str, headers: &HeaderMap) -> Vec<String> {
        let mut news = Vec::new();
        for value in headers.get_all(WARNING) {
            let Some(warning) = value.to_str().ok().and_then(parse) else {
                continue;
            };
            let mut seen = lock(&self.seen);
            if seen.len() < REMEMBERED && seen.insert((host.to_owned(), warning.clone())) {
                news.push(warning);
            }
        }
        news
    }
}

/// Returns the text of `299 - "text"`. Other codes come from caches.
fn parse(value: &str) -> Option<String> {
    let quoted = value.trim().strip_prefix("299 ")?.split_once(' ')?.1;
    let inner = quoted.trim().strip_prefix('"')?;
    let mut warning = String::new();
    let mut escaped = false;
    for character in inner.chars().take(LONGEST) {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return Some(text::clean(&warning, LONGEST)),
            other => {
                warning.push(other);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_299_with_a_quoted_text_is_a_warning() {
        for (value, text) in [
            ("299 - \"deprecated\"", Some("deprecated")),
            ("299 host \"say \\\"hi\\\" \\\\o\"", Some("say \"hi\" \\o")),
            (
                "299 - \"dated\" \"Sun, 06 Nov 1994 08:49:37 GMT\"",
                Some("dated"),
            ),
            ("199 - \"other\"", None),
            ("299 - unquoted", None),
            ("299 - \"never ends", None),
            ("299", None),
            ("", None),
        ] {
            assert_eq!(parse(value).as_deref(), text, "{value}");
        }
    }
}
