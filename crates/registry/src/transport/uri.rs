//! The host and the port in URIs of connections.

use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

use crate::transport::{HttpError, HttpErrorKind};

/// Returns `uri` with an explicit port: connectors know no default for `https`, or none but 443.
pub(super) fn uri_with_port(uri: &Uri) -> Result<Uri, HttpError> {
    let host = uri.host().ok_or_else(no_host)?;
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => port,
        (None, Some("https")) => 443,
        (None, Some("http")) => 80,
        // The registered port of SOCKS.
        (None, _) => 1080,
    };
    with_authority(uri, &format!("{host}:{port}"))
}

/// Returns `uri` with another authority.
pub(super) fn with_authority(uri: &Uri, authority: &str) -> Result<Uri, HttpError> {
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(authority.parse::<Authority>().map_err(|_| no_host())?);
    Uri::from_parts(parts).map_err(|_| no_host())
}

pub(super) fn no_host() -> HttpError {
    HttpError::new(
        HttpErrorKind::Resolve,
        "its name is not a valid host name".to_owned(),
    )
}

/// Returns true if `host` is an address and not a name.
pub(super) fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}
