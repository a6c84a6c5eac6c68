//! `Link` headers (RFC 8288), as far as pagination needs them.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

use crate::client::Client;
use crate::client::checked_url::{self, CheckedUrl};
use crate::client::request::RequestSpec;
use crate::error::{Cause, Error, ErrorKind};
use crate::transport::ForbiddenRedirect;

/// A `Link` header that cannot be parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unparsable;

impl Client {
    /// Returns the address of the page after an answer with these `headers` from `from`; `None` if there is none.
    /// `list` is the request for the first page.
    ///
    /// The next page is requested only at the registry. A registry behind a proxy may write a scheme, port or host by
    /// which it is not reached: if the path is that of the list, only the query is used.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for a link that cannot be parsed; [`ErrorKind::Refused`] for one that leads elsewhere.
    pub(super) async fn next_page(
        &self,
        list: &RequestSpec,
        from: &Url,
        headers: &HeaderMap,
    ) -> Result<Option<CheckedUrl>, Error> {
        let link = next(headers).map_err(|Unparsable| {
            let message = "the `Link` header that leads to its next page cannot be parsed; see whether a proxy in front of the registry changes it";
            list.error(ErrorKind::Protocol, message)
        })?;
        let Some(link) = link else { return Ok(None) };
        let context = self.request_context(&list.resource).await?;
        let base = self.base(&context, &list.action).await?;
        let address = checked_url::resolve(&base, from, link).map_err(|why| {
            list.forbidden_redirect(ForbiddenRedirect {
                cause: Cause::NotUnderstood,
                why,
            })
        })?;
        if address.home {
            return Ok(Some(address));
        }
        let mut own = list.address(&base)?.url;
        let path = address.url.path();
        if path == own.path() || path == from.path() {
            own.set_query(address.url.query());
            return Ok(Some(CheckedUrl::at_registry(own)));
        }
        let host = address.url.host_str().unwrap_or_default();
        Err(list.error(
            ErrorKind::Refused,
            format!(
                "the next page is at {host}, and a list is not followed to another host; name the repository by that host, or correct the external URL in the registry's settings"
            ),
        ))
    }
}

/// Adds advice to an `error` for a page that an earlier page links to. A registry that does not have the page, or
/// refuses it, most likely has a wrong external address (Artifactory and Nexus behind a proxy).
pub(super) fn with_paging_advice(error: Error) -> Error {
    let kinds = [ErrorKind::NotFound, ErrorKind::Denied, ErrorKind::Rejected];
    if !kinds.contains(&error.kind()) {
        return error;
    }
    error.with_cause(Cause::Other).with_clause(
        "an earlier page of the list leads there; correct the external URL in the registry's settings",
    )
}

/// Returns the target of the link to the next page, as written; an error is a clause.
pub(crate) fn next_link(headers: &HeaderMap) -> Result<Option<String>, String> {
    let link = next(headers).map_err(|Unparsable| {
        "the `Link` header that leads to its next page cannot be parsed".to_owned()
    })?;
    Ok(link.map(str::to_owned))
}

/// Returns the target of the first link whose relation is `next`, as written. Several links in one header, several
/// headers, unquoted and multiple relations (`rel="prev next"`) all occur. A link without a relation counts as `next`,
/// as does a target without `< >`: containers/image follows both.
pub(super) fn next(headers: &HeaderMap) -> Result<Option<&str>, Unparsable> {
    let mut is_whole = true;
    for value in headers.get_all(LINK) {
        match value.to_str().map_err(|_| Unparsable).and_then(next_in) {
            Ok(Some(next)) => return Ok(Some(next)),
            Ok(None) => {}
            Err(Unparsable) => is_whole = false,
        }
    }
    if is_whole { Ok(None) } else { Err(Unparsable) }
}

fn next_in(value: &str) -> Result<Option<&str>, Unparsable> {
    let mut rest = value.trim();
    if !rest.is_empty() && !rest.contains('<') {
        return bare(rest);
    }
    while !rest.is_empty() {
        // A list may have empty elements (RFC 9110, section 5.6.1).
        let (before, after) = rest.split_once('<').ok_or(Unparsable)?;
        if !before.trim_matches([',', ' ', '\t']).is_empty() {
            return Err(Unparsable);
        }
        let (target, after) = after.split_once('>').ok_or(Unparsable)?;
        let (parameters, after) = split_unquoted(after);
        if is_next(parameters) {
            return Ok(Some(target.trim()));
        }
        rest = after.trim();
    }
    Ok(None)
}

/// Reads one link whose target has no `< >`.
fn bare(value: &str) -> Result<Option<&str>, Unparsable> {
    let (target, parameters) = value.split_once(';').unwrap_or((value, ""));
    let target = target.trim();
    let looks_like_one = target.starts_with('/') || target.contains("://");
    if !looks_like_one || target.contains([' ', ',', '"', '>']) || !parameters.contains('=') {
        return Err(Unparsable);
    }
    Ok(is_next(parameters).then_some(target))
}

/// Splits at the first comma outside quotes, which ends a link.
fn split_unquoted(text: &str) -> (&str, &str) {
    match unquoted(text, ',').next() {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        ),
        None => (text, ""),
    }
}

/// Returns whether the relation is `next` or missing.
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
    true
}

/// Returns the positions of `sought` outside quoted strings; a backslash inside one escapes the next character.
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
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, Unparsable> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        next(&headers).map(|next| next.map(str::to_owned))
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
            (&[", <a>; rel=prev, , <b>; rel=next"], Some("b")),
            (&["<a>; rel=\"prev\""], None),
            (&["<a>; rel=\"prev\","], None),
            (&[""], None),
            (&[" "], None),
            (&[], None),
            // As containers/image reads them.
            (
                &["/v2/a/tags/list?n=2; rel=next"],
                Some("/v2/a/tags/list?n=2"),
            ),
            (
                &["https://r.io/p?n=2;rel=\"next\""],
                Some("https://r.io/p?n=2"),
            ),
            (&["/v2/a/tags/list; rel=prev"], None),
            (&["<a>"], Some("a")),
            (&["<a>; title=x"], Some("a")),
            // A broken header beside a good one.
            (&["<a; rel=prev", "<b>; rel=next"], Some("b")),
        ] {
            assert_eq!(of(values), Ok(expected.map(str::to_owned)), "{values:?}");
        }
    }

    #[test]
    fn a_link_that_cannot_be_parsed_does_not_end_a_list() {
        for value in [
            "a; rel=next",
            "<a; rel=next",
            "next",
            "/v2/a/tags/list",
            "/v2/a b; rel=next",
            "/v2/a>; rel=next",
            "x <a>; rel=prev",
            "<a>; rel=prev, b; rel=next",
            "<a>; rel=prev, <b",
            "<\u{e9}>; rel=next",
        ] {
            assert_eq!(of(&[value]), Err(Unparsable), "{value}");
            assert_eq!(of(&["<a>; rel=prev", value]), Err(Unparsable), "{value}");
        }
    }
}
