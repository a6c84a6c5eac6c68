//! The characters of a reference (distribution's grammar, docs/protocol.md#references). Each check answers with the
//! reason of a refusal.

use std::net::Ipv6Addr;

use crate::quote::{quoted, without_userinfo};

/// The longest host (RFC 1035).
const MAX_HOST: usize = 253;
/// The longest tag.
const MAX_TAG: usize = 128;

/// Said to those who write `user:password@host`.
pub(super) const NO_USER: &str =
    "a user name does not belong here, credentials stand in the auth file";

/// Rejects an empty text, surrounding blanks, and a scheme.
pub(super) fn check_surroundings(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.trim() != text {
        return Err(format!("blanks surround it, write {}", quoted(text.trim())));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!(
            "drop the scheme {}, write {}",
            quoted(&format!("{scheme}://")),
            quoted(without_userinfo(rest))
        ));
    }
    Ok(())
}

/// Rejects a user name in front and a digest at the end.
pub(super) fn check_no_at(text: &str) -> Result<(), String> {
    if !text.contains('@') {
        return Ok(());
    }
    let bare = without_userinfo(text);
    if bare.len() < text.len() {
        return Err(format!("{NO_USER}, write {}", quoted(bare)));
    }
    Err("a digest has no place here".to_owned())
}

/// Returns whether the first component of a name is a registry and not the beginning of a path on Docker Hub.
pub(super) fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// Returns whether a name of one component is a registry without a repository. Docker's grammar reads it as a
/// repository of Docker Hub, where none has a dot.
pub(super) fn is_bare_registry(name: &str) -> bool {
    let (host, port) = split_port(name);
    let is_host =
        host.eq_ignore_ascii_case("localhost") || (host.contains('.') && check_host(host).is_ok());
    !name.contains('/') && (is_host || port.is_some_and(is_port))
}

/// The refusal of a bare registry, with the port or the tag that follows its colon.
pub(super) fn no_repository(text: &str) -> String {
    let write = match split_port(text) {
        (host, Some(tag)) if !is_port(tag) => format!("{host}/REPOSITORY:{tag}"),
        _ => format!("{text}/REPOSITORY"),
    };
    format!(
        "it is a registry without a repository, write {}",
        quoted(&write)
    )
}

/// Tells if `text` is the number of a port.
fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Returns whether `name` is 64 hexadecimal digits, which docker reads as the id of a local image.
pub(super) fn is_image_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Splits the tag off: what follows the first colon of the last component.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    // A lone `[::1]` has no component for a tag.
    if last == 0 && text.starts_with('[') {
        return (text, None);
    }
    match text.get(last..).and_then(|component| component.find(':')) {
        Some(colon) => {
            let (name, tag) = text.split_at(last + colon);
            (name, tag.strip_prefix(':'))
        }
        None => (text, None),
    }
}

/// Splits `host[:port]`; the colons of a bracketed IPv6 address separate nothing.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    let host = match text.find(']') {
        Some(bracket) => bracket + 1,
        None if text.starts_with('[') => text.len(),
        None => 0,
    };
    match text.get(host..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (host, port) = text.split_at(host + colon);
            (host, port.strip_prefix(':'))
        }
        None => (text, None),
    }
}

/// Checks `host[:port]` and answers it in lower case, the port without leading zeros.
pub(super) fn normal_domain(text: &str) -> Result<String, String> {
    if !text.starts_with('[') && text.matches(':').count() > 1 {
        if let Some(one) = with_one_port(text) {
            return Err(format!("it has two ports, write {}", quoted(one)));
        }
        return Err(format!(
            "an IPv6 address stands in brackets, as in {}",
            quoted(&format!("[{text}]"))
        ));
    }
    let (host, port) = split_port(text);
    check_host(host)?;
    let host = host.to_ascii_lowercase();
    match port {
        None => Ok(host),
        Some(port) => match port.parse::<u16>() {
            Ok(number) if is_port(port) => Ok(format!("{host}:{number}")),
            _ => Err(format!(
                "{} is not a port; a port is a number from 1 to 65535",
                quoted(port)
            )),
        },
    }
}

/// `host:port` of `host:port:port`.
fn with_one_port(text: &str) -> Option<&str> {
    let mut parts = text.split(':');
    let host = parts.next()?;
    let is_name = host.contains(|c: char| !c.is_ascii_hexdigit());
    let port = parts.next().filter(|port| is_name && is_port(port))?;
    text.get(..host.len() + 1 + port.len())
        .filter(|_| parts.all(is_port))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        if address.contains('%') {
            return Err(format!(
                "the zone of the IPv6 address {} cannot be used here, drop it",
                quoted(host)
            ));
        }
        let hex_and_colons = address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        if !hex_and_colons || address.parse::<Ipv6Addr>().is_err() {
            return Err(format!("{} is not an IPv6 address", quoted(host)));
        }
        return Ok(());
    }
    if host.len() > MAX_HOST {
        return Err(format!("its host is longer than {MAX_HOST} characters"));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if host.split('.').all(is_label) {
        return Ok(());
    }
    Err(format!(
        "{} is not a host: between its dots stand letters, digits and, not at the ends, dashes",
        quoted(host)
    ))
}

/// Checks a path: components of lower-case letters and digits, with separators between them.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("the name of a repository is missing".to_owned());
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err("it has an empty component: a slash too many".to_owned());
        }
        if component.chars().any(char::is_uppercase) {
            return Err(format!(
                "a repository is lower case, write {} for {}",
                quoted(&component.to_lowercase()),
                quoted(component)
            ));
        }
        if !is_component(component) {
            return Err(format!(
                "the component {} may hold a-z and 0-9, and between them one dot, one or two underscores, or dashes",
                quoted(component)
            ));
        }
    }
    Ok(())
}

fn is_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_in_words =
        bytes.first().is_some_and(|&b| is_word(b)) && bytes.last().is_some_and(|&b| is_word(b));
    ends_in_words
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

/// Checks a tag.
pub(super) fn check_tag(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("it is empty".to_owned());
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(c) = tag.chars().find(|&c| !is_word(c) && c != '.' && c != '-') {
        return Err(format!(
            "a tag holds letters, digits, `_`, `.` and `-`, but not {}",
            quoted(&c.to_string())
        ));
    }
    if tag.starts_with(['.', '-']) {
        return Err("a tag does not begin with a dot or a dash".to_owned());
    }
    if tag.len() > MAX_TAG {
        return Err(format!(
            "it has {} characters, a tag has no more than {MAX_TAG}",
            tag.len()
        ));
    }
    Ok(())
}
