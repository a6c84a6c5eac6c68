//! What a person can do about a failure: one sentence for each [`Cause`].

mod target;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use image_syncer_registry::{Cause, ErrorKind};
use image_syncer_sync::{Failure, Side};

use target::FailureTarget;

/// Said where a second run goes on where the first ended.
const NOTHING_TWICE: &str = "what is there is not sent again";

/// What to do about `failure`, a sentence; `None` where the reason says all there is to say.
pub(crate) fn hint(failure: &Failure) -> Option<String> {
    let place = FailureTarget::from_failure(failure);
    access(failure, &place)
        .or_else(|| existence(failure, &place))
        .or_else(|| connection(failure, &place))
        .or_else(|| trust(failure, &place))
        .or_else(|| content(failure, &place))
}

/// Logins and rights.
fn access(failure: &Failure, place: &FailureTarget<'_>) -> Option<String> {
    let (host, path) = (place.host(), place.path());
    Some(match failure.cause {
        Cause::LoginRefused => format!(
            "see that the auth file has the right username and password for {host}, or log in with: {}",
            place.login()
        ),
        Cause::NoLogin => format!(
            "give {host} a username and password in the auth file, or log in with: {}",
            place.login()
        ),
        Cause::CredentialHelper => {
            "run the helper by hand to see what it says, or give the registry an entry in the auth file, which comes first"
                .into()
        }
        Cause::CredentialFile => {
            "mend that file, or give the registry an entry in the auth file, which comes first".into()
        }
        Cause::NoPushRight => place.push_right(),
        Cause::NoPullRight => {
            format!("give the account the right to pull {path} at {host}, or use another login")
        }
        Cause::Policy => format!("see which policy of {host} forbids it, and have an exception made, or the image mended"),
        _ => return None,
    })
}

/// What has to be there first, and what may not be changed.
fn existence(failure: &Failure, place: &FailureTarget<'_>) -> Option<String> {
    let (host, path) = (place.host(), place.path());
    let destination = failure.side == Side::Destination;
    Some(match failure.cause {
        Cause::RepositoryMissing | Cause::NotFound if destination => place.create_repository(),
        Cause::ProjectMissing if destination => place.create_project(),
        Cause::RepositoryMissing | Cause::ProjectMissing | Cause::NotFound => {
            "see whether the name is right and still exists at the source".into()
        }
        Cause::NameRefused => place.other_name(),
        Cause::ImmutableTag => place.unlock(),
        Cause::QuotaExceeded => format!(
            "delete what is not needed any more at {host}, or have its quota raised, and run again: {NOTHING_TWICE}"
        ),
        Cause::StorageFull => format!(
            "make room on the disk of {host} (garbage collection, a larger volume), and run again: {NOTHING_TWICE}"
        ),
        Cause::ReadOnly => format!(
            "{host} takes no pushes to {path}: end its read-only mode, or name a project that is no cache of another registry"
        ),
        _ => return None,
    })
}

/// The way there.
fn connection(failure: &Failure, place: &FailureTarget<'_>) -> Option<String> {
    let host = &failure.host;
    Some(match failure.cause {
        Cause::NameNotResolved => {
            format!("see whether the name is right and this machine's DNS knows it: getent hosts {}", place.name())
        }
        Cause::ConnectionRefused => {
            "see whether the host and port are right and the registry is running".into()
        }
        Cause::Unreachable => {
            "see whether the host and port are right and reachable from here (HTTPS_PROXY and NO_PROXY are honoured)".into()
        }
        Cause::TimedOut if failure.kind == Some(ErrorKind::Connect) => {
            "see whether the host and port are right and no firewall is between (HTTPS_PROXY and NO_PROXY are honoured)".into()
        }
        Cause::TimedOut => format!(
            "run again: {NOTHING_TWICE}; --stall-timeout and --commit-timeout give a slow registry more time"
        ),
        Cause::ProxyRefused => format!(
            "see whether HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the right proxy and it may lead to {host}; NO_PROXY={} goes round it",
            place.name()
        ),
        Cause::ProxyLogin => {
            "write the proxy's user and password into its address: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT".into()
        }
        Cause::RateLimited => limited(failure, place, SystemTime::now()),
        Cause::ConnectionBroken | Cause::ServerError => {
            format!("run again: {NOTHING_TWICE}; if it persists, see the registry's own log")
        }
        Cause::NotUnderstood if failure.side == Side::Destination || failure.status.is_some() => {
            format!("see whether {host} is a registry, and neither a web page nor a proxy answers for it")
        }
        _ => return None,
    })
}

/// With the time from which on a run may succeed, where the host told it and it has not passed.
fn limited(failure: &Failure, place: &FailureTarget<'_>, now: SystemTime) -> String {
    let (host, login) = (place.host(), place.login());
    let later = match failure.until().filter(|until| *until > now) {
        Some(until) => format!("run again after {}", time_of_day(until)),
        None => "run again later".to_owned(),
    };
    format!(
        "log in to be allowed more ({login}), ask less with --max-requests {host}=N, or {later}: {NOTHING_TWICE}"
    )
}

/// `14:05:00 UTC`.
fn time_of_day(moment: SystemTime) -> String {
    let seconds = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs() % 86_400);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02} UTC", seconds % 60)
}

/// Certificates, and what is accepted without.
fn trust(failure: &Failure, place: &FailureTarget<'_>) -> Option<String> {
    let host = &failure.host;
    let folder = format!("/etc/containers/certs.d/{host}/");
    let insecure = format!("give {host} insecure: true in the auth file (copy: --insecure {host})");
    Some(match failure.cause {
        Cause::CertificateRefused => format!(
            "have a certificate issued that programs accept, or, to accept any certificate, {insecure}"
        ),
        Cause::CertificateUnknownIssuer => format!(
            "have this machine trust its authority, or put the authority's certificate into {folder}ca.crt (docs/files.md), or, to accept any certificate, {insecure}"
        ),
        Cause::CertificateSelfSigned => format!(
            "put that very certificate into {folder}ca.crt to trust it (docs/files.md), or, to accept any certificate, {insecure}"
        ),
        Cause::CertificateExpired => {
            format!(
                "have the certificate renewed at {host}, or, to accept any certificate, {insecure}"
            )
        }
        Cause::CertificateNotYetValid => {
            format!("set this machine's clock, or, to accept any certificate, {insecure}")
        }
        Cause::CertificateWrongName => format!(
            "write the name that the certificate is for, or have it issued for {}, or, to accept any certificate, {insecure}",
            place.name()
        ),
        Cause::ClientCertificate => format!(
            "put a client certificate that {host} accepts and its key, as client.cert and client.key, into {folder} (docs/files.md)"
        ),
        Cause::TlsRefused => {
            format!("see which versions of TLS {host} speaks: 1.2 or 1.3 is needed")
        }
        Cause::PlainHttp => {
            format!("see whether the port is right, or, if http is meant, {insecure}")
        }
        Cause::HttpsOnly => format!(
            "the registry names an http address on a port that speaks https: have its external address corrected, or take insecure: true away from {}",
            place.host()
        ),
        Cause::Downgrade => format!(
            "have the external address corrected that the registry gives for itself, or, to accept http, give {0} insecure: true in the auth file (copy: --insecure {0})",
            place.host()
        ),
        _ => return None,
    })
}

/// What was to be copied.
fn content(failure: &Failure, place: &FailureTarget<'_>) -> Option<String> {
    let host = place.host();
    let source = failure.side == Side::Source;
    Some(match failure.cause {
        Cause::TagConflict => {
            "give one of the two another tag or repository; until then, the rule that comes first keeps the tag".into()
        }
        Cause::AttestationsRefused => "run again with --strip-attestations".into(),
        Cause::SparseRefused => format!("run again without --sparse, or let {host} take sparse indexes"),
        Cause::ReferrerRefused => {
            "run again with --no-referrers, or name the types that this registry takes with --referrers-type".into()
        }
        Cause::MediaTypeRefused => {
            format!("copy it to a registry that takes this type, or build it anew in one that {host} takes")
        }
        Cause::ManifestInvalid => {
            format!("see the log of {host} for what it does not take about the document")
        }
        Cause::TooLarge => {
            "raise the limit for request bodies at the registry or the proxy in front of it (nginx: client_max_body_size 0)".into()
        }
        Cause::UploadInvalid => format!(
            "run again: {NOTHING_TWICE}; if it persists, see that all instances behind {host} share storage and http.secret"
        ),
        Cause::ContentMissing | Cause::Corrupt if source => {
            "the source does not hold what its manifest promises: push the image there again".into()
        }
        Cause::ContentMissing => format!(
            "run again: {NOTHING_TWICE}; if it persists, see that all instances behind {host} share storage"
        ),
        Cause::Corrupt => {
            format!("run again; if it persists, see whether {host}, or a proxy before it, changes what is pushed")
        }
        _ => return None,
    })
}
