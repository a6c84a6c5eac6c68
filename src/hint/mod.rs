//! Advice for each [`Cause`] of a failure: one sentence that says what to do.

mod target;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use image_syncer_registry::{Cause, ErrorKind};
use image_syncer_sync::rule::is_file_reference;
use image_syncer_sync::{Failure, Side};

use target::FailureTarget;

/// Closing words of hints to run again: a second run continues where the first ended.
const NOTHING_TWICE: &str = "complete layers are not sent again";

/// Returns what to do about `failure`, or `None` if its reason says everything.
pub(crate) fn hint(failure: &Failure) -> Option<String> {
    if is_file_reference(&failure.host) {
        return in_file(failure);
    }
    let target = FailureTarget::from_failure(failure);
    access(failure, &target)
        .or_else(|| existence(failure, &target))
        .or_else(|| capacity(failure, &target))
        .or_else(|| connection(failure, &target))
        .or_else(|| trust(failure, &target))
        .or_else(|| content(failure, &target))
}

/// Layouts and archives, for which advice about registries is wrong.
fn in_file(failure: &Failure) -> Option<String> {
    let place = &failure.host;
    Some(match (failure.cause, failure.side) {
        (Cause::NotFound, Side::Destination) => {
            "check the path: no file or directory can be created there"
                .to_owned()
        }
        (Cause::NotFound, _) => {
            format!("check the path, and the name: image-syncer tags {place} lists all names")
        }
        (Cause::ContentMissing, Side::Source) => {
            "the file lacks a part of the image: export it again, or choose a platform that is there with --os and --arch".to_owned()
        }
        (Cause::StorageFull, _) => {
            "free space there; --temp names another directory for temporary data of archives".to_owned()
        }
        _ => return None,
    })
}

/// Logins and rights.
fn access(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let (host, path, login) = (target.host(), target.path(), target.login());
    Some(match failure.cause {
        Cause::LoginRefused => format!(
            "check the username and password for {host} in the auth file or the native file, or log in: {login}"
        ),
        Cause::NoLogin if failure.side == Side::Destination => format!(
            "a push needs a login: give {host} a username and password in the auth file or the native file, or log in: {login}"
        ),
        Cause::NoLogin => format!(
            "give {host} a username and password in the auth file or the native file, or log in: {login}; if the image is public, check \
             its name: many registries answer like this for repositories that do not exist"
        ),
        Cause::CredentialHelper => {
            "install the helper if it is missing, run it by hand to see its message, or add an entry for the registry \
             to the auth file, which takes precedence"
                .into()
        }
        Cause::CredentialFile => {
            "fix the file, or add an entry for the registry to the auth file, which takes precedence".into()
        }
        Cause::TokenServer => format!(
            "correct the address of the token server (realm) in the settings of {host}, or see the log of {}",
            failure.host
        ),
        Cause::NoPushRight => target.push_right(),
        Cause::NoPullRight => format!(
            "grant the account the right to pull {path} at {host}, use another login, or check the name of the \
             repository"
        ),
        Cause::Policy => format!(
            "find the policy of {host} that forbids it, and have an exception made, or fix the image"
        ),
        _ => return None,
    })
}

/// Repositories, names and tags.
fn existence(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let (host, path) = (target.host(), target.path());
    Some(match (failure.cause, failure.side) {
        // A registry names what is missing. A bare 404 may come from any web server.
        (Cause::NotFound, Side::Destination) if failure.code.is_none() => format!(
            "check that {host} is a registry (curl -i https://{host}/v2/); if it is, create {path}, or its project, \
             before the push"
        ),
        (Cause::RepositoryMissing | Cause::NotFound, Side::Destination) => {
            target.create_repository()
        }
        (Cause::ProjectMissing, Side::Destination) => target.create_project(),
        (Cause::RepositoryMissing | Cause::ProjectMissing, _) => {
            "check the name of the repository, and that it still exists at the source".into()
        }
        (Cause::NotFound, _) => {
            "check the name, and that the image still exists at the source".into()
        }
        (Cause::NameRefused, Side::Destination) => target.other_name(),
        (Cause::NameRefused, _) => {
            format!("check the name at the source: {host} accepts no repository called {path}")
        }
        (Cause::ImmutableTag, _) => target.unlock(),
        _ => return None,
    })
}

/// Space, quotas, and registries that accept no pushes.
fn capacity(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let (host, path) = (target.host(), target.path());
    Some(match failure.cause {
        Cause::QuotaExceeded => format!(
            "delete what is no longer needed at {host}, or have its quota raised, and run again: {NOTHING_TWICE}"
        ),
        Cause::StorageFull => format!(
            "free space on the disk of {host} (garbage collection, a larger volume), and run again: {NOTHING_TWICE}"
        ),
        Cause::ReadOnly => format!(
            "{host} accepts no pushes to {path}: end its read-only mode, or choose a project that is no cache of \
             another registry"
        ),
        _ => return None,
    })
}

/// Connections, proxies and limits.
fn connection(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let (host, name) = (&failure.host, target.name());
    Some(match failure.cause {
        Cause::NameNotResolved => format!(
            "check the name, and that DNS on this machine resolves it: getent hosts {name}"
        ),
        Cause::ConnectionRefused => "check host and port, and that the registry is running".into(),
        Cause::Unreachable => {
            "check host and port, and that this machine can reach them (HTTPS_PROXY and NO_PROXY apply)".into()
        }
        Cause::TimedOut if failure.kind == Some(ErrorKind::Connect) => {
            "check host and port, and that no firewall blocks the connection (HTTPS_PROXY and NO_PROXY apply)".into()
        }
        Cause::TimedOut => format!(
            "run again: {NOTHING_TWICE}; --stall-timeout and --commit-timeout give a slow registry more time"
        ),
        Cause::ProxyRefused => format!(
            "check that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names the right proxy, and that the proxy may connect to \
             {host}; NO_PROXY={name} bypasses it"
        ),
        Cause::ProxyLogin => {
            "put the user and password of the proxy into its address: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT".into()
        }
        Cause::RateLimited => limited(failure, target, SystemTime::now()),
        Cause::ConnectionBroken | Cause::ServerError => format!(
            "run again: {NOTHING_TWICE}; if the error persists, check the log of {host}"
        ),
        Cause::NotUnderstood if failure.side == Side::Destination || failure.status.is_some() => {
            format!("check that {host} is a registry, and that no web page or proxy answers for it")
        }
        _ => return None,
    })
}

/// Returns the hint for a rate limit. It names the time from which a run may succeed, if the host gave one that has not
/// passed.
fn limited(failure: &Failure, target: &FailureTarget<'_>, now: SystemTime) -> String {
    let (host, login) = (target.host(), target.login());
    let later = match failure.until().filter(|until| *until > now) {
        Some(until) => format!("run again after {}", time_of_day(until)),
        None => "run again later".to_owned(),
    };
    format!(
        "log in with an account that has a higher limit ({login}), send fewer requests with --max-requests {host}=N, or \
         {later}: {NOTHING_TWICE}"
    )
}

/// Returns the time of day: `14:05:00 UTC`.
fn time_of_day(moment: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(moment).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%H:%M:%S UTC").to_string()
}

/// Certificates and TLS.
fn trust(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let (host, registry, name) = (&failure.host, target.host(), target.name());
    let folder = format!("/etc/containers/certs.d/{host}/");
    let set = |host: &str, key: &str| {
        format!(
            "set insecure: true for {host} in the auth file (native file: tls: {{{key}: true}}; copy: --insecure {host})"
        )
    };
    let any = format!("to accept any certificate, {}", set(host, "insecure"));
    Some(match failure.cause {
        Cause::CertificateRefused => {
            format!("have a certificate issued that clients accept; {any}")
        }
        Cause::CertificateUnknownIssuer => format!(
            "make this machine trust the authority, or put the authority's certificate into {folder}ca.crt \
             (docs/files.md); {any}"
        ),
        Cause::CertificateSelfSigned => {
            format!("to trust this certificate, put it into {folder}ca.crt (docs/files.md); {any}")
        }
        Cause::CertificateExpired => format!("renew the certificate of {host}; {any}"),
        Cause::CertificateNotYetValid => format!("set the clock of this machine; {any}"),
        Cause::CertificateWrongName => {
            format!("use a name that the certificate covers, or have one issued for {name}; {any}")
        }
        Cause::ClientCertificate => format!(
            "put a client certificate that {host} accepts, and its key, into {folder} as client.cert and client.key \
             (docs/files.md)"
        ),
        Cause::TlsRefused => {
            format!("check which versions of TLS {host} supports: 1.2 or 1.3 is required")
        }
        Cause::PlainHttp => format!(
            "check the port; if the registry speaks http, {}",
            set(host, "plain-http")
        ),
        Cause::HttpsOnly => format!(
            "the registry gives an http address for a port that speaks https: correct its external address, or remove \
             insecure: true from {registry}"
        ),
        Cause::Downgrade => format!(
            "correct the external address that the registry gives for itself; to accept http, {}",
            set(registry, "plain-http")
        ),
        _ => return None,
    })
}

/// Images and their parts.
fn content(failure: &Failure, target: &FailureTarget<'_>) -> Option<String> {
    let host = target.host();
    let source = failure.side == Side::Source;
    Some(match failure.cause {
        Cause::TagConflict => {
            "give one of the two another tag or repository; until then, the rule that comes first keeps the tag".into()
        }
        Cause::TagExists => {
            "copy to another tag, or delete the tag at the destination; --conflict overwrite replaces it".into()
        }
        Cause::AttestationsRefused => "run again with --strip-attestations".into(),
        Cause::SparseRefused => {
            format!("run again without --sparse, or enable sparse indexes at {host}")
        }
        Cause::ForeignLayerRequired => "run again with --foreign-layers".into(),
        Cause::ReferrerRefused => {
            "run again with --no-referrers, or select the types that this registry accepts with --referrers-type".into()
        }
        Cause::MediaTypeRefused if !source => format!(
            "copy to a registry that accepts it, or rebuild the image in a form that {host} accepts"
        ),
        Cause::ManifestInvalid if source => {
            "the document at the source is not valid: build the image again and push it there".into()
        }
        Cause::ManifestInvalid => format!("check the log of {host} for the reason"),
        Cause::TooLarge => {
            "raise the limit for request bodies at the registry or the proxy in front of it (nginx: client_max_body_size 0)".into()
        }
        Cause::UploadInvalid => format!(
            "run again: {NOTHING_TWICE}; if the error persists, check that all instances behind {host} share storage and \
             http.secret"
        ),
        Cause::ContentMissing if source => {
            "the source lacks a part of the image: push the image there again".into()
        }
        Cause::ContentMissing => format!(
            "run again: {NOTHING_TWICE}; if the error persists, check that all instances behind {host} share storage"
        ),
        Cause::Corrupt if source => {
            "push the image to the source again; if many images fail like this, look for a proxy that changes content".into()
        }
        Cause::Corrupt => format!(
            "run again; if the error persists, check whether {host}, or a proxy in front of it, changes what is pushed"
        ),
        _ => return None,
    })
}
