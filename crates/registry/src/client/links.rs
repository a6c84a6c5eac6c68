//! `Link` headers (RFC 8288), as far as pagination needs them.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

use crate::client::Client;
use crate::client::ask::Ask;
use crate::client::origin::Address;
use crate::error::{Error, ErrorKind};

impl Client {
    /// Where the page is that `link` names, in an answer that came from `from` to `ask`.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where that is not on the registry.
    pub(super) async fn next_page(
        &self,
        ask: &Ask,
        from: &Url,
        link: &str,
    ) -> Result<Address, Error> {
        let visit = self.visit(&ask.repository).await?;
        let base = self.base(&visit, &ask.action).await?;
        let address = self
            .address(&visit, &base, from, link)
            .await
            .map_err(|astray| ask.astray(astray))?;
        if !address.home {
            let host = address.url.host_str().unwrap_or_default();
            return Err(ask.error(
                ErrorKind::Refused,
                format!("the next page is said to be at {host}, which is not the registry"),
            ));
        }
        Ok(address)
    }
}

/// The target of the first link whose relation is `next`, as it was written: several links in one header, several
/// headers, unquoted and multiple relations (`rel="prev next"`) are all seen in the field.
pub(super) fn next(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(next_in)
}

fn next_in(mut rest: &str) -> Option<&str> {
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (parameters, after) = split_unquoted(after);
        if is_next(parameters) {
            return Some(target.trim());
        }
        rest = after;
    }
    None
}

/// Splits at the first comma outside quotes, which ends one link.
fn split_unquoted(text: &str) -> (&str, &str) {
    match unquoted(text, ',').next() {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        ),
        None => (text, ""),
    }
}

fn is_next(parameters: &str) -> bool {
    let mut start = 0;
    let ends = unquoted(parameters, ';').chain(std::iter::once(parameters.len()));
    for end in ends {
        let parameter = parameters.get(start..end).unwrap_or_default();
        start = end + 1;
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if !name.trim().eq_ignore_ascii_case("rel") {
            continue;
        }
        return value
            .trim()
            .trim_matches('"')
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next"));
    }
    false
}

/// The positions of `sought` that stand outside quoted strings; a backslash inside one escapes what follows.
fn unquoted(text: &str, sought: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices()
        .filter_map(move |(at, character)| match character {
            _ if escaped => {
                escaped = false;
                None
            }
            '\\' if quoted => {
                escaped = true;
                None
            }
            '"' => {
                quoted = !quoted;
                None
            }
            _ => (character == sought && !quoted).then_some(at),
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, value.parse().unwrap());
        }
        next(&headers).map(str::to_owned)
    }

    #[test]
    fn finds_the_next_page_in_every_form() {
        for (values, expected) in [
            (
                &["</v2/a/tags/list?last=x&n=2>; rel=\"next\""][..],
                Some("/v2/a/tags/list?last=x&n=2"),
            ),
            (&["<https://r.io/p>; rel=next"], Some("https://r.io/p")),
            (&["<p>;REL=Next"], Some("p")),
            (
                &["<a>; rel=\"prev\", <b>; rel=\"next\", <c>; rel=\"last\""],
                Some("b"),
            ),
            (
                &["<a>; title=\"x, <z>; rel=next\"; rel=prev, <b>; rel=next"],
                Some("b"),
            ),
            (
                &["<a>; title=\"say \\\"hi, you\\\"\"; rel=\"next\""],
                Some("a"),
            ),
            (&["<a>; rel=\"last next\""], Some("a")),
            (&["<a>; rel=first", "<b?x=1,2>; rel=next"], Some("b?x=1,2")),
            (&["<a>; rel=\"prev\""], None),
            (&["<a>"], None),
            (&["a; rel=next"], None),
            (&["<a; rel=next"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(of(values).as_deref(), expected, "{values:?}");
        }
    }
}
