//! Hints for users about manifests that a destination refuses.
//!
//! Registries refuse unknown documents with a bare "manifest invalid". The document itself shows which of its features
//! few registries accept.

use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::manifest::media_type::{
    DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_ARTIFACT,
};
use image_syncer_registry::{Cause, Digest, Error, ErrorKind, Manifest, Target, clean_text};

use crate::compare::CopyPlan;
use crate::graph::{IMAGE_CONFIGS, WANTS_ALL_CHILDREN};

/// Maximum number of characters of a media type that an error repeats; RFC 6838 allows 255.
const LONGEST_TYPE: usize = 255;

const SCHEMA1: &str = "this is schema 1, the format of Docker before 2016, which few registries still accept: \
                       rebuild the image, or copy it to a registry that accepts it";
const ARTIFACT: &str = "this is the OCI artifact manifest, a draft that was withdrawn in 2023, which few registries \
                        accept";
const URLS: &str = "it names layers at other addresses (`urls`), which registries refuse unless \
                    their operator allows the hosts";
const ATTESTATION: &str = "it is a build attestation, which this registry does not accept: --strip-attestations copies \
                           images without them, under an index with another digest";
const ATTESTED: &str = "it lists build attestations, which some registries do not accept: --strip-attestations copies \
                        images without them, under an index with another digest";

/// Adds a hint about `manifest` to `error`, the answer to its push to `target`.
pub(super) fn advise(error: Error, target: &Target, manifest: &Manifest, plan: &CopyPlan) -> Error {
    if is_refusal(&error)
        && let Some((clause, cause)) = unsupported_feature(manifest, plan)
    {
        return error.with_clause(clause).with_cause(cause);
    }
    // Some registries report such a digest as a wrong one.
    if (is_refusal(&error) || error.code() == Some("DIGEST_INVALID"))
        && let Some(algorithm) = rare_algorithm(target)
    {
        let clause = format!("its digest is a {algorithm} digest, which few registries accept");
        return error
            .with_clause(&clause)
            .with_cause(Cause::MediaTypeRefused);
    }
    // distribution answers 500.
    if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Server) && names_urls(manifest) {
        return error.with_clause(URLS).with_cause(Cause::MediaTypeRefused);
    }
    if matches!(
        error.cause(),
        Cause::MediaTypeRefused | Cause::ManifestInvalid
    ) {
        return error.with_clause(&types(manifest));
    }
    error
}

/// Returns whether `error` may be about the document, and not about its destination or about other content there.
fn is_refusal(error: &Error) -> bool {
    // Some registries report this with the status of a missing permission.
    if error.cause() == Cause::MediaTypeRefused {
        return true;
    }
    let is_conflict = error.status().is_some_and(|status| status.as_u16() == 409);
    let is_about_the_place = matches!(
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
    );
    error.kind() == ErrorKind::Rejected && !is_conflict && !is_about_the_place
}

/// Returns the feature of `manifest` that few registries accept: a clause for the user, and the cause.
fn unsupported_feature(manifest: &Manifest, plan: &CopyPlan) -> Option<(&'static str, Cause)> {
    if [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED].contains(&manifest.media_type()) {
        Some((SCHEMA1, Cause::MediaTypeRefused))
    } else if manifest.media_type() == OCI_ARTIFACT {
        Some((ARTIFACT, Cause::MediaTypeRefused))
    } else if is_attestation(manifest, plan) {
        Some((ATTESTATION, Cause::AttestationsRefused))
    } else if plan.sparse && manifest.digest() == plan.root.digest() {
        Some((WANTS_ALL_CHILDREN, Cause::SparseRefused))
    } else if attestations(manifest).next().is_some() {
        Some((ATTESTED, Cause::AttestationsRefused))
    } else {
        None
    }
}

/// Returns the algorithm of the digest that is pushed to, unless it is the usual one.
fn rare_algorithm(target: &Target) -> Option<&str> {
    let Target::Digest(digest) = target else {
        return None;
    };
    let (algorithm, _) = digest.as_str().split_once(':')?;
    (algorithm != "sha256").then_some(algorithm)
}

/// Returns the types that a registry may not know: that of the manifest, and those of an artifact in the form of an
/// image.
fn types(manifest: &Manifest) -> String {
    let mut clause = format!("its type is {}", manifest.media_type());
    if let Ok(ManifestView::Image(image)) = manifest.view() {
        let config = image.config.map(|config| config.media_type);
        if let Some(config) = config.filter(|config| !IMAGE_CONFIGS.contains(&config.as_str())) {
            clause.push_str(", the type of its config ");
            clause.push_str(&clean_text(&config, LONGEST_TYPE));
        }
        if let Some(artifact) = image.artifact_type {
            clause.push_str(", its artifact type ");
            clause.push_str(&clean_text(&artifact, LONGEST_TYPE));
        }
    }
    clause
}

/// Returns the foreign layer of `manifest` that a registry requires although it was left out.
pub(super) fn demanded<'a>(
    missing: &'a [Digest],
    manifest: &Manifest,
    plan: &CopyPlan,
) -> Option<&'a Digest> {
    if missing.is_empty() {
        return None;
    }
    let Ok(ManifestView::Image(image)) = manifest.view() else {
        return None;
    };
    let is_copied = |digest: &Digest| {
        let mut blobs = plan.blobs.iter().chain(&plan.present);
        blobs.any(|blob| blob.digest == *digest)
    };
    let is_demanded = |digest: &&Digest| {
        let mut layers = image.layers.iter();
        layers.any(|layer| layer.is_foreign() && layer.digest == **digest) && !is_copied(digest)
    };
    missing.iter().find(is_demanded)
}

/// Clause for the user about a foreign layer that the registry requires.
pub(super) fn foreign_layer_advice(layer: &Digest) -> String {
    format!(
        "layer {layer} is foreign content, which not everybody may distribute, and was not copied: --foreign-layers \
         copies it"
    )
}

/// Returns whether one of the indexes of `plan` lists `manifest` as an attestation.
fn is_attestation(manifest: &Manifest, plan: &CopyPlan) -> bool {
    let mut indexes = plan.children.iter().chain([&plan.root]);
    indexes.any(|index| attestations(index).any(|digest| digest == *manifest.digest()))
}

/// Returns the digests that an index lists as attestations.
fn attestations(index: &Manifest) -> impl Iterator<Item = Digest> {
    let entries = match index.view() {
        Ok(ManifestView::Index(index)) => index.manifests,
        _ => Vec::new(),
    };
    let attestations = entries
        .into_iter()
        .filter(image_syncer_registry::Descriptor::is_attestation);
    attestations.map(|entry| entry.digest)
}

fn names_urls(manifest: &Manifest) -> bool {
    match manifest.view() {
        Ok(ManifestView::Image(image)) => image.layers.iter().any(|layer| !layer.urls.is_empty()),
        _ => false,
    }
}
