//! What a person can do about a manifest that a destination does not take.
//!
//! Registries refuse what they do not know with a bare "manifest invalid". What it is about the document that few of
//! them know is seen in the document.

use registry::manifest::View;
use registry::manifest::media_type::{DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT};
use registry::{Cause, Digest, Error, ErrorKind, Manifest, Target};

use crate::compare::Plan;

const SCHEMA1: &str = "this is schema 1, the format of Docker before 2016, which few registries take any more: build the \
                       image anew, or copy it to a registry that takes it";
const ARTIFACT: &str = "this is the OCI artifact manifest, a draft that was withdrawn in 2023, which few registries \
                        take";
const URLS: &str = "it names layers that are to be fetched from elsewhere (`urls`), which registries refuse unless \
                    their operator allows the hosts";

const ATTESTATION: &str = "it is an attestation, which some registries refuse: --strip-attestations leaves them out, in \
                           an index of its own";
const ATTESTED: &str = "it lists attestations, which some registries refuse: --strip-attestations leaves them out, in an \
                        index of its own";

/// `error`, the answer to a push of `manifest` to `target`, with what there is to know about it.
pub(super) fn advise(error: Error, target: &Target, manifest: &Manifest, plan: &Plan) -> Error {
    let is_refusal = error.kind() == ErrorKind::Rejected && !has_nothing_to_do_with_it(&error);
    if is_refusal && [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED].contains(&manifest.media_type()) {
        return error
            .with_clause(SCHEMA1)
            .with_cause(Cause::MediaTypeRefused);
    }
    if is_refusal && manifest.media_type() == OCI_ARTIFACT {
        return error
            .with_clause(ARTIFACT)
            .with_cause(Cause::MediaTypeRefused);
    }
    if let Target::Digest(digest) = target
        && let Some((algorithm, _)) = digest.as_str().split_once(':')
        && algorithm != "sha256"
        && (is_refusal || error.code() == Some("DIGEST_INVALID"))
    {
        return error.with_clause(&format!(
            "its digest is a {algorithm} one, which few registries take"
        ));
    }
    if is_refusal && is_attestation(manifest, plan) {
        return error
            .with_clause(ATTESTATION)
            .with_cause(Cause::AttestationsRefused);
    }
    if is_refusal && attestations(manifest).next().is_some() {
        return error
            .with_clause(ATTESTED)
            .with_cause(Cause::AttestationsRefused);
    }
    // distribution answers 500.
    if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Server) && names_urls(manifest) {
        return error.with_clause(URLS);
    }
    if matches!(
        error.cause(),
        Cause::MediaTypeRefused | Cause::ManifestInvalid
    ) {
        return error.with_clause(&format!("its type is {}", manifest.media_type()));
    }
    error
}

/// Returns whether `error` is about the place, or about what else is stored there, and would be the same for any
/// document.
fn has_nothing_to_do_with_it(error: &Error) -> bool {
    let is_conflict = error.status().is_some_and(|status| status.as_u16() == 409);
    is_conflict
        || matches!(
            error.cause(),
            Cause::ImmutableTag
                | Cause::RepositoryMissing
                | Cause::ProjectMissing
                | Cause::NameRefused
                | Cause::ContentMissing
                | Cause::Corrupt
                | Cause::QuotaExceeded
                | Cause::ReadOnly
                | Cause::Policy
                | Cause::TooLarge
                | Cause::HttpsOnly
        )
}

/// The foreign layer of `manifest` that a registry demands although it was left out.
pub(super) fn demanded<'a>(
    missing: &'a [Digest],
    manifest: &Manifest,
    plan: &Plan,
) -> Option<&'a Digest> {
    if missing.is_empty() {
        return None;
    }
    let Ok(View::Image(image)) = manifest.view() else {
        return None;
    };
    let brought = |digest: &Digest| {
        let mut blobs = plan.blobs.iter().chain(&plan.present);
        blobs.any(|blob| blob.digest == *digest)
    };
    let is_demanded = |digest: &&Digest| {
        let mut layers = image.layers.iter();
        layers.any(|layer| layer.is_foreign() && layer.digest == **digest) && !brought(digest)
    };
    missing.iter().find(is_demanded)
}

/// What to say of a foreign layer that is demanded.
pub(super) fn bring_along(layer: &Digest) -> String {
    format!(
        "layer {layer} is a foreign one, not for everybody to distribute, and was left out: --foreign-layers brings it \
         along"
    )
}

/// Whether one of the indexes of `plan` lists `manifest` as an attestation.
fn is_attestation(manifest: &Manifest, plan: &Plan) -> bool {
    let mut indexes = plan.children.iter().chain([&plan.root]);
    indexes.any(|index| attestations(index).any(|digest| digest == *manifest.digest()))
}

/// What an index lists as attestations.
fn attestations(index: &Manifest) -> impl Iterator<Item = Digest> {
    let entries = match index.view() {
        Ok(View::Index(index)) => index.manifests,
        _ => Vec::new(),
    };
    let attestations = entries
        .into_iter()
        .filter(registry::Descriptor::is_attestation);
    attestations.map(|entry| entry.digest)
}

fn names_urls(manifest: &Manifest) -> bool {
    match manifest.view() {
        Ok(View::Image(image)) => image.layers.iter().any(|layer| !layer.urls.is_empty()),
        _ => false,
    }
}
