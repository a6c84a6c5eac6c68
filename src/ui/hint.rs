//! What a person can do about a failure.

use registry::ErrorKind;
use sync::{Failure, Side};

/// What to do about `failure`, a sentence; `None` where the reason says all there is to say.
pub(super) fn hint(failure: &Failure) -> Option<String> {
    let host = &failure.host;
    let destination = failure.side == Side::Destination;
    Some(match failure.kind? {
        ErrorKind::Unauthorized => format!(
            "see that the auth file has the right username and password for {host}, or log in with: docker login {host}"
        ),
        ErrorKind::Denied if destination => {
            "the account may not push there: give it push rights, or create the project first".into()
        }
        ErrorKind::Denied => "the account may not pull there: give it pull rights".into(),
        ErrorKind::NotFound if destination => {
            "the registry does not create the repository by itself: create it, or its project, first".into()
        }
        ErrorKind::NotFound => "see whether the name is right and still exists at the source".into(),
        ErrorKind::RateLimited => format!(
            "log in to {host} to be allowed more, lower --proc, or run again later: what is there is not sent again"
        ),
        ErrorKind::Connect => {
            "see whether the host and port are right and reachable from here (HTTPS_PROXY and NO_PROXY are honoured)".into()
        }
        ErrorKind::Tls => format!(
            "trust its certificate with SSL_CERT_FILE, or, if you accept http or any certificate, give {host} insecure: true in the auth file (copy: --insecure {host})"
        ),
        ErrorKind::Stalled | ErrorKind::Broken | ErrorKind::Server | ErrorKind::UploadLost => {
            "run again: what is there is not sent again; if it persists, see the registry's own log".into()
        }
        ErrorKind::Rejected if failure.status == Some(413) => {
            "raise the limit for request bodies at the registry or the proxy in front of it (nginx: client_max_body_size 0)".into()
        }
        ErrorKind::Corrupt if failure.side == Side::Source => {
            "the source does not hold what its manifest promises: push the image there again".into()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn failure(kind: ErrorKind, side: Side, status: u16) -> Failure {
        Failure {
            side,
            kind: Some(kind),
            host: "r.example".to_owned(),
            status: Some(status),
            ..Failure::local("")
        }
    }

    #[test]
    fn the_same_kind_wants_something_else_at_either_end() {
        let at = |side| hint(&failure(ErrorKind::NotFound, side, 404)).unwrap();
        assert!(at(Side::Source).contains("at the source"));
        assert!(at(Side::Destination).contains("create it"));
    }

    #[test]
    fn hints_name_the_host_that_wants_a_login() {
        let text = hint(&failure(ErrorKind::Unauthorized, Side::Source, 401)).unwrap();
        assert!(text.contains("docker login r.example"));
    }

    #[test]
    fn what_is_refused_for_its_size_has_a_hint_and_other_refusals_have_none() {
        let rejected = |status| hint(&failure(ErrorKind::Rejected, Side::Destination, status));
        assert!(rejected(413).unwrap().contains("client_max_body_size"));
        assert_eq!(rejected(400), None);
        assert_eq!(hint(&Failure::local("a defect")), None);
    }
}
