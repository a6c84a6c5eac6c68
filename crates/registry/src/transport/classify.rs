//! Conversion of the HTTP library's errors to ours: one clause for a message, without URLs and secrets.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::{AlertDescription, CertificateError, OtherError};
use rustls_pki_types::UnixTime;

use crate::error::Cause;
use crate::text;
use crate::transport::request_body::BodyAborted;
use crate::transport::{HttpError, HttpErrorKind};

/// Classifies a failed exchange by its chain of errors.
pub(super) fn exchange(error: &(dyn StdError + 'static)) -> HttpError {
    if links(error).any(<dyn StdError>::is::<BodyAborted>) {
        return HttpError::new(HttpErrorKind::RequestBody, BodyAborted.to_string());
    }
    // Failures before the connection was established were classified where they happened.
    if let Some(ours) = links(error).find_map(|link| link.downcast_ref::<HttpError>()) {
        return ours.clone();
    }
    match links(error).find_map(|link| link.downcast_ref::<rustls::Error>()) {
        Some(error) => {
            let found = tls(error);
            match found.kind {
                HttpErrorKind::NotTls => HttpError::new(
                    HttpErrorKind::Broken,
                    "TLS broke: what came was not TLS".to_owned(),
                ),
                _ => found,
            }
        }
        None => broken(error),
    }
}

/// Classifies a failed TCP connection.
pub(super) fn connecting(error: &(dyn StdError + 'static)) -> HttpError {
    if let Some(ours) = links(error).find_map(|link| link.downcast_ref::<HttpError>()) {
        return ours.clone();
    }
    let failed = |message: String| HttpError::new(HttpErrorKind::Connect, message);
    match links(error).find_map(|link| link.downcast_ref::<io::Error>()) {
        Some(error) => {
            let failed = failed(self::io(error));
            match error.kind() {
                io::ErrorKind::ConnectionRefused => failed.because(Cause::ConnectionRefused),
                io::ErrorKind::TimedOut => failed.because(Cause::TimedOut),
                _ => failed,
            }
        }
        None => failed(last(error).to_string()),
    }
}

/// Classifies a failed TLS handshake.
pub(super) fn handshake(error: &io::Error) -> HttpError {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => tls(error),
        None => HttpError::new(
            HttpErrorKind::Broken,
            "it closed the connection during the TLS handshake".to_owned(),
        ),
    }
}

/// Classifies a failure on an established connection.
fn broken(error: &(dyn StdError + 'static)) -> HttpError {
    if let Some(error) = links(error).find_map(|link| link.downcast_ref::<h2::Error>())
        && let Some(reason) = error.reason()
    {
        return http2(reason);
    }
    let hyper = links(error).find_map(|link| link.downcast_ref::<hyper::Error>());
    let io = links(error).find_map(|link| link.downcast_ref::<io::Error>());
    let message = match (hyper, io) {
        (_, Some(error)) => self::io(error),
        (Some(error), _) if error.is_incomplete_message() => {
            "the connection closed before the answer was complete".to_owned()
        }
        (Some(error), _) if error.is_parse() => format!("the answer is not HTTP ({error})"),
        (Some(error), _) if error.is_canceled() || error.is_closed() => {
            "the connection closed".to_owned()
        }
        _ => format!("the connection broke ({})", last(error)),
    };
    HttpError::new(HttpErrorKind::Broken, message)
}

/// Classifies the failure of an HTTP/2 stream or connection. Some reasons say that HTTP/2 itself does not work here;
/// the others may come from a server that would fail over HTTP/1.1 as well.
fn http2(reason: h2::Reason) -> HttpError {
    use h2::Reason;
    let message = match reason {
        Reason::HTTP_1_1_REQUIRED => "it demands HTTP/1.1".to_owned(),
        Reason::NO_ERROR => "it ended the HTTP/2 connection".to_owned(),
        reason => format!("HTTP/2 failed ({})", reason.description()),
    };
    let kind = match reason {
        Reason::HTTP_1_1_REQUIRED
        | Reason::PROTOCOL_ERROR
        | Reason::FLOW_CONTROL_ERROR
        | Reason::SETTINGS_TIMEOUT
        | Reason::FRAME_SIZE_ERROR
        | Reason::COMPRESSION_ERROR
        | Reason::CONNECT_ERROR
        | Reason::INADEQUATE_SECURITY => HttpErrorKind::Http2Unusable,
        _ => HttpErrorKind::Http2Broken,
    };
    HttpError::new(kind, message)
}

/// Classifies a failure at a proxy by the text of an error that has no public type.
pub(super) fn proxy(text: &str) -> HttpError {
    let refused =
        |why: String| HttpError::new(HttpErrorKind::Connect, why).because(Cause::ProxyRefused);
    match text.split_once(": ") {
        Some(("tunnel error", "unsuccessful")) => {
            refused("the proxy does not connect to it".to_owned())
        }
        Some(("tunnel error", "proxy authorization required")) => {
            refused("the proxy requires a login".to_owned()).because(Cause::ProxyLogin)
        }
        Some((_, why)) => refused(format!("the proxy does not lead to it: {why}")),
        None => refused(text.to_owned()),
    }
}

/// Describes an error of the resolver.
pub(super) fn resolution(error: &dyn StdError) -> String {
    // `failed to lookup address information: Name or service not known`: the part behind the colon comes from the
    // system.
    let text = error.to_string();
    match text.rsplit_once(": ") {
        Some((_, why)) => format!("the name does not resolve ({why})"),
        None => format!("the name does not resolve ({text})"),
    }
}

/// Describes an error of the system.
pub(super) fn io(error: &io::Error) -> String {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused => "connection refused".to_owned(),
        ConnectionReset | ConnectionAborted => "the connection was reset".to_owned(),
        BrokenPipe => "the connection closed while the request was sent".to_owned(),
        UnexpectedEof => "the connection closed early".to_owned(),
        TimedOut => "the connection timed out".to_owned(),
        HostUnreachable => "the host is unreachable".to_owned(),
        NetworkUnreachable => "the network is unreachable".to_owned(),
        _ => without_code(&error.to_string()),
    }
}

/// Returns `Cannot assign requested address (os error 99)` without the number.
fn without_code(text: &str) -> String {
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text.to_owned(),
    }
}

/// Classifies a failed handshake, or a TLS session that broke.
pub(super) fn tls(error: &rustls::Error) -> HttpError {
    use rustls::Error::{
        AlertReceived, InvalidCertificate, InvalidMessage, NoCertificatesPresented,
        PeerIncompatible, PeerMisbehaved,
    };
    if let InvalidCertificate(why) = error {
        let message = format!("its certificate is not trusted: {}", certificate(why));
        return HttpError::new(HttpErrorKind::Certificate, message).because(certificate_cause(why));
    }
    let (kind, message) = match error {
        NoCertificatesPresented => (
            HttpErrorKind::Certificate,
            "it presents no certificate".to_owned(),
        ),
        InvalidMessage(_) => (
            HttpErrorKind::NotTls,
            "the port does not speak TLS".to_owned(),
        ),
        // Servers send this while they start, or if they have no backend.
        AlertReceived(AlertDescription::InternalError) => (
            HttpErrorKind::Connect,
            "it broke off the TLS handshake (internal error)".to_owned(),
        ),
        AlertReceived(alert) => {
            let refused = HttpError::new(HttpErrorKind::Handshake, self::alert(*alert));
            return if is_about_client(*alert) {
                refused.because(Cause::ClientCertificate)
            } else {
                refused
            };
        }
        PeerIncompatible(_) | PeerMisbehaved(_) => (
            HttpErrorKind::Handshake,
            "it supports no version and cipher of TLS that are accepted here (1.2 or 1.3 with current ciphers)".to_owned(),
        ),
        other => (HttpErrorKind::Broken, format!("TLS broke: {other}")),
    };
    HttpError::new(kind, message)
}

/// Returns true if an alert is about the client certificate. Servers use these for a missing certificate as well as for
/// one that they do not accept.
fn is_about_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
    )
}

fn alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => {
            "it says that the client certificate has expired".to_owned()
        }
        AlertDescription::CertificateRevoked => {
            "it says that the client certificate was revoked".to_owned()
        }
        alert if is_about_client(alert) => {
            "it requires a client certificate that it accepts".to_owned()
        }
        AlertDescription::UnrecognisedName => "its TLS does not know this host name".to_owned(),
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "it supports no version and cipher of TLS that are accepted here (1.2 or 1.3 with current ciphers)".to_owned()
        }
        other => format!("it refused the TLS handshake (alert {})", u8::from(other)),
    }
}

/// Describes an untrusted certificate.
fn certificate(error: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext,
        NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, Revoked,
        UnknownIssuer, UnsupportedSignatureAlgorithmContext,
        UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    match error {
        UnknownIssuer => "issued by an unknown authority".to_owned(),
        Expired => "expired".to_owned(),
        ExpiredContext { not_after, .. } => format!("expired on {}", day(*not_after)),
        NotValidYet => "not valid yet; is this machine's clock right?".to_owned(),
        NotValidYetContext { not_before, .. } => format!(
            "not valid before {}; is this machine's clock right?",
            day(*not_before)
        ),
        NotValidForName => "it is for another host".to_owned(),
        NotValidForNameContext {
            expected,
            presented,
        } => format!("it is for {}, not {}", names(presented), expected.to_str()),
        Revoked => "revoked".to_owned(),
        BadSignature => "its key is too weak, or its signature is wrong".to_owned(),
        UnsupportedSignatureAlgorithmContext { .. }
        | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that is not accepted any more, such as with SHA-1".to_owned()
        }
        CertificateError::BadEncoding => "it cannot be read".to_owned(),
        InvalidPurpose | InvalidPurposeContext { .. } => "it is not meant for servers".to_owned(),
        other => inner_text(other),
    }
}

/// Returns the cause for an untrusted certificate.
fn certificate_cause(error: &CertificateError) -> Cause {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        UnknownIssuer => Cause::CertificateUnknownIssuer,
        other if is_other_key(other) => Cause::CertificateUnknownIssuer,
        Expired | ExpiredContext { .. } => Cause::CertificateExpired,
        NotValidYet | NotValidYetContext { .. } => Cause::CertificateNotYetValid,
        NotValidForName | NotValidForNameContext { .. } => Cause::CertificateWrongName,
        other if is_authority_as_server(other) => Cause::CertificateSelfSigned,
        _ => Cause::CertificateRefused,
    }
}

/// Error for an authority that is not trusted although a trusted one has the same name: it was set up again, or belongs
/// to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("issued by an authority that has the name of a trusted one, but another key")]
struct OtherKey;

/// Returns this error in the form of a certificate error.
pub(super) fn other_key() -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(OtherKey)))
}

fn is_other_key(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.0.is::<OtherKey>())
}

/// Text of the error for a self-signed certificate that is marked as an authority, as `openssl req -x509` makes them.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// Returns true if a server's certificate is only refused because it is marked as an authority. Its dates were checked
/// before.
pub(super) fn is_authority_as_server(error: &CertificateError) -> bool {
    wrapped_text(error) == AUTHORITY_AS_SERVER
}

/// Returns the text of the error inside a verifier's wrapper.
fn wrapped_text(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(other) => {
            other.source().map_or_else(|| other.to_string(), last_text)
        }
        other => other.to_string(),
    }
}

fn inner_text(error: &CertificateError) -> String {
    let text = wrapped_text(error);
    match text.as_str() {
        AUTHORITY_AS_SERVER => "self-signed".to_owned(),
        "UnsupportedCertVersion" => "of version 1, which nobody accepts any more".to_owned(),
        _ => text,
    }
}

/// Lists the first names of a certificate; some have hundreds.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 3;
    const LONGEST: usize = 253;
    let shown: Vec<String> = presented
        .iter()
        .take(SHOWN)
        .map(|name| {
            let name = name.trim_start_matches("DnsName(\"");
            text::clean(name.trim_end_matches("\")"), LONGEST)
        })
        .collect();
    match presented.len().saturating_sub(SHOWN) {
        _ if shown.is_empty() => "no host".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Formats a date as `06 Nov 1994`.
fn day(time: UnixTime) -> String {
    // An HTTP date has a fixed width: `Sun, 06 Nov 1994 08:49:37 GMT`.
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    text.get(5..16).unwrap_or(&text).to_owned()
}

/// Iterates over an error and its sources, including the errors inside `io::Error`s, which `source` skips.
fn links<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

fn last<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    links(error).last().unwrap_or(error)
}

fn last_text(error: &(dyn StdError + 'static)) -> String {
    last(error).to_string()
}
