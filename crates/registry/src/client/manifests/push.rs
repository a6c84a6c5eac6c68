//! Pushing a manifest, and finding out whether it arrived.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};

use crate::auth::ScopeSet;
use crate::client::Client;
use crate::client::ask::Ask;
use crate::client::call::{Outcome, Visit};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::Manifest;
use crate::reference::{Repository, Target};
use crate::transport::AnswerLimit;

use super::{header_digest, name};

impl Client {
    /// Pushes a manifest, byte for byte. A registry that rewrote it (another digest comes back) is an error; blobs
    /// or children that it misses are [`ErrorKind::MissingContent`], and what it says of having them is not believed
    /// by the next [`Client::open_upload`]. Where the reply is lost, or comes from a proxy
    /// that lost it, a HEAD settles whether the manifest arrived before it is sent again, since a second push of the
    /// same may be refused (immutable tags).
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let ask = ask(repository, target, manifest)?;
        let mut visit = self.visit(repository).await?;
        let mut attempts = self.attempts(&visit);
        loop {
            let error = match self.put(&mut visit, &ask, target, manifest).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let may_have_arrived = may_have_arrived(&error);
            attempts.after(error).await?;
            if may_have_arrived && self.arrived(repository, target, manifest).await {
                return Ok(());
            }
        }
    }

    async fn put(
        &self,
        visit: &mut Visit,
        ask: &Ask,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let response = match self.once(visit, ask).await? {
            Outcome::Answer(response) => response,
            Outcome::Refused(error) => return Err(error),
        };
        let path = ask.repository.path();
        if !response.status.is_success() {
            let error = missing_content(ask.failure(response).await);
            if error.kind() == ErrorKind::MissingContent {
                self.inner.habits.missed(path, error.missing());
            }
            return Err(error);
        }
        self.inner.habits.missed_nothing(path);
        let stored = header_digest(&response.headers);
        response.body.drain().await;
        match stored {
            Some(stored) if !is_digest_of(&stored, manifest) => {
                Err(rewritten(ask, &stored, manifest))
            }
            Some(_) => Ok(()),
            None => self.confirm(ask, target, manifest).await,
        }
    }

    /// Whether the manifest stands at `target`; what cannot be told counts as no.
    async fn arrived(&self, repository: &Repository, target: &Target, manifest: &Manifest) -> bool {
        match self.head_manifest_for_push(repository, target).await {
            Ok(Some(head)) => is_digest_of(&head.digest, manifest),
            Ok(None) | Err(_) => false,
        }
    }

    /// A success without a digest may come from a web server that says 200 to everything: what the first one of a
    /// registry stored is fetched and compared.
    async fn confirm(&self, ask: &Ask, target: &Target, manifest: &Manifest) -> Result<(), Error> {
        if self.inner.habits.keeps_what_it_takes() {
            return Ok(());
        }
        let repository = &ask.repository;
        let get = super::ask(Method::GET, repository, ScopeSet::push(repository), target);
        match self.get(&get, target).await {
            Ok(stored) if stored.bytes() == manifest.bytes() => {
                self.inner.habits.kept();
                Ok(())
            }
            Ok(stored) => Err(rewritten(ask, stored.digest(), manifest)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Protocol | ErrorKind::Corrupt => {
                    let message = "the registry said that it took the manifest, but does not give it back; is it a registry?";
                    Err(ask.error(ErrorKind::Protocol, message).with_source(error))
                }
                _ => Err(error),
            },
        }
    }
}

fn ask(repository: &Repository, target: &Target, manifest: &Manifest) -> Result<Ask, Error> {
    let ask = Ask::new(
        Method::PUT,
        repository,
        ScopeSet::push(repository),
        format!("manifests/{target}"),
        format!("push manifest {}", name(repository, target)),
    );
    let content_type = HeaderValue::from_str(manifest.media_type()).map_err(|error| {
        ask.error(
            ErrorKind::Protocol,
            "the manifest's media type makes no header",
        )
        .with_source(error)
    })?;
    Ok(ask
        .header(CONTENT_TYPE, content_type)
        .body(manifest.bytes().clone())
        .limit(AnswerLimit::Closing))
}

/// Whether the registry may have taken the manifest although this came back.
fn may_have_arrived(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Broken | ErrorKind::Stalled => true,
        ErrorKind::Server => error.status() != Some(StatusCode::SERVICE_UNAVAILABLE),
        _ => false,
    }
}

/// Whether `digest`, whatever its algorithm, names what was pushed.
fn is_digest_of(digest: &Digest, manifest: &Manifest) -> bool {
    digest == manifest.digest()
        || digest
            .algorithm()
            .is_some_and(|algorithm| Digest::of(algorithm, manifest.bytes()) == *digest)
}

/// What a manifest names that is not there has several codes in the field, besides the one of the specification.
fn missing_content(error: Error) -> Error {
    let missing = matches!(error.code(), Some("BLOB_UNKNOWN" | "MANIFEST_UNKNOWN"))
        && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected);
    if missing {
        error.with_kind(ErrorKind::MissingContent)
    } else {
        error
    }
}

fn rewritten(ask: &Ask, stored: &Digest, manifest: &Manifest) -> Error {
    ask.error(
        ErrorKind::Corrupt,
        format!(
            "the registry rewrote the manifest: {} was pushed, it has {stored}",
            manifest.digest()
        ),
    )
}
