//! Special images: `BuildKit`'s attestations, Helm charts, cosign's signatures, schema 1.

use serde_json::{Value, json};

use super::{Format, Image, IndexBuilder, Layer, Manifest, Platform, media};
use crate::blob::Blob;

impl Image {
    /// Returns the attestation that `BuildKit` adds for an image in its index: platform `unknown/unknown`, annotations
    /// that name the image, and an in-toto statement as its layer.
    pub fn attestation_of(image: &Self) -> Self {
        let attestation = Self::oci().platform(Platform::unknown());
        let attestation = attestation.layer(statement_on(image)).build();
        as_attestation_of(image, attestation)
    }

    /// Returns the attestation that `BuildKit` makes with `oci-artifact=true`: an artifact with an empty config.
    pub fn artifact_attestation_of(image: &Self) -> Self {
        let attestation = Self::artifact("application/vnd.docker.attestation.manifest.v1+json");
        let attestation = attestation.layer(statement_on(image)).build();
        let platform = json!(Platform::unknown().to_json());
        as_attestation_of(image, attestation.descriptor_field("platform", platform))
    }

    /// Returns a Helm chart as `helm push` stores it.
    pub fn helm_chart(name: &str, version: &str) -> Self {
        let config = json!({"name": name, "version": version, "apiVersion": "v2"});
        let chart = Layer::tar_of(&format!("{name}/Chart.yaml"), config.to_string().as_bytes());
        Self::artifact("")
            .config(media::HELM_CONFIG, config.to_string())
            .layer(Layer::of_blob(media::HELM_CHART, chart.blob))
            .field(
                "annotations",
                json!({
                    "org.opencontainers.image.title": name,
                    "org.opencontainers.image.version": version,
                }),
            )
            .build()
    }

    /// Returns a signature of an image in cosign's form; see [`Image::cosign_tag`] for its tag.
    pub fn cosign_signature_of(image: &Self) -> Self {
        let payload = json!({
            "critical": {"image": {"docker-manifest-digest": image.digest()}, "type": "cosign container image signature"},
        });
        Self::oci()
            .layer(Layer::bytes(
                "application/vnd.dev.cosign.simplesigning.v1+json",
                payload.to_string(),
            ))
            .label(image.digest())
            .build()
            .without_platform()
    }

    /// Returns `sha256-<hex>.<suffix>`, with the suffix `sig`, `att` or `sbom`; without a suffix it is the fallback tag
    /// of the referrers API.
    pub fn cosign_tag(&self, suffix: &str) -> String {
        let tag = self.digest().replace(':', "-");
        if suffix.is_empty() {
            tag
        } else {
            format!("{tag}.{suffix}")
        }
    }

    /// Returns an artifact that refers to `subject`, such as an SBOM.
    pub fn referrer_of(subject: &Self, artifact_type: &str, content: &str) -> Self {
        Self::artifact(artifact_type)
            .layer(Layer::bytes("application/json", content.to_owned()))
            .subject(subject.root())
            .build()
    }

    /// Returns an index that refers to `subject`, like signatures of several kinds in one.
    pub fn referring_index_of(
        subject: &Self,
        artifact_type: &str,
        children: impl IntoIterator<Item = Self>,
    ) -> Self {
        IndexBuilder::new(Format::Oci)
            .children(children)
            .field("artifactType", json!(artifact_type))
            .subject(subject.root())
            .build()
    }

    /// Returns the withdrawn OCI artifact manifest, which refers to `subject`.
    pub fn retired_artifact_of(subject: &Self, artifact_type: &str, content: &str) -> Self {
        let blob = Blob::new(content.to_owned());
        let document = json!({
            "mediaType": media::OCI_ARTIFACT, "artifactType": artifact_type,
            "blobs": [{"mediaType": "text/plain", "digest": blob.digest(), "size": blob.size()}],
            "subject": subject.root().descriptor(),
            "annotations": {"org.opencontainers.artifact.description": content},
        });
        let root = Manifest::new(media::OCI_ARTIFACT, document.to_string());
        Self::of_parts(vec![blob], Vec::new(), root)
    }

    /// Returns the index for the fallback tag ([`Image::cosign_tag`] with an empty suffix) of the subject of
    /// `referrers`, without the referrers themselves.
    pub fn fallback_index<'a>(referrers: impl IntoIterator<Item = &'a Self>) -> Self {
        let entries: Vec<Value> = referrers
            .into_iter()
            .map(|referrer| referrer.root().referrer_descriptor())
            .collect();
        let document = json!({
            "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": entries,
        });
        let root = Manifest::new(media::OCI_INDEX, document.to_string());
        Self::of_parts(Vec::new(), Vec::new(), root)
    }

    /// Returns a schema 1 manifest without a signature. Its layers are in Docker's order: the newest first, with one
    /// empty layer twice.
    pub fn schema1(name: &str, tag: &str, layers: impl IntoIterator<Item = Layer>) -> Self {
        let empty = Layer::tar_of("empty", b"");
        let mut layers: Vec<Layer> = layers.into_iter().collect();
        layers.extend([empty.clone(), empty]);
        let sums: Vec<Value> = layers
            .iter()
            .rev()
            .map(|layer| json!({"blobSum": layer.digest()}))
            .collect();
        let history: Vec<Value> = (0..layers.len())
            .map(|n| json!({"v1Compatibility": json!({"id": format!("{n:064x}")}).to_string()}))
            .collect();
        let document = json!({
            "schemaVersion": 1, "name": name, "tag": tag, "architecture": "amd64",
            "fsLayers": sums, "history": history,
        });
        let mut blobs: Vec<Blob> = Vec::new();
        for layer in layers {
            super::add_blob(&mut blobs, layer.blob);
        }
        let root = Manifest::new(media::DOCKER_SCHEMA1, document.to_string());
        Self::of_parts(blobs, Vec::new(), root)
    }
}

/// Returns an in-toto statement on `image`, as a layer.
fn statement_on(image: &Image) -> Layer {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "image", "digest": {"sha256": image.digest()}}],
    });
    Layer::bytes(media::IN_TOTO, statement.to_string())
}

/// Returns `attestation` with the annotations that name `image`.
fn as_attestation_of(image: &Image, attestation: Image) -> Image {
    attestation.descriptor_field(
        "annotations",
        json!({
            "vnd.docker.reference.digest": image.digest(),
            "vnd.docker.reference.type": "attestation-manifest",
        }),
    )
}
