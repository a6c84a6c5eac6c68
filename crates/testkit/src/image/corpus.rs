//! All shapes of images that registries hold, each with its name.

use serde_json::{Value, json};

use super::{Format, Image, IndexBuilder, Layer, Manifest, Platform, media};
use crate::blob::Blob;
use crate::digest;

/// A shape of image.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Description for messages, unique in the list.
    pub name: &'static str,
    /// Builds an image of this shape.
    pub image: Image,
}

impl Shape {
    /// Returns true if the root can be pushed by digest only: the digest of a tag is always sha256.
    pub fn by_digest(&self) -> bool {
        !self.image.digest().starts_with("sha256:")
    }
    /// Returns the name in the form of a repository name.
    pub fn repository(&self) -> String {
        let word = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let name: String = self.name.chars().map(word).collect();
        let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
        format!("shapes/{}", parts.join("-"))
    }
}

/// All shapes.
pub fn corpus() -> Vec<Shape> {
    let all = [
        images(),
        indexes(),
        artifacts(),
        blobs(),
        documents(),
        relics(),
    ];
    all.into_iter().flatten().collect()
}

fn shape(name: &'static str, image: Image) -> Shape {
    Shape { name, image }
}

fn child(architecture: &str) -> Image {
    Image::oci()
        .platform(Platform::linux(architecture))
        .layer(Layer::tar("base", 300))
        .layer(Layer::tar(architecture, 200))
        .build()
}

fn images() -> Vec<Shape> {
    let docker = |architecture: &str| {
        Image::docker()
            .platform(Platform::linux(architecture))
            .layer(Layer::tar("docker", 300))
            .build()
    };
    let app = child("amd64");
    vec![
        shape("OCI image", child("amd64")),
        shape("Docker image", docker("amd64")),
        shape("OCI index", Image::index([child("amd64"), child("arm64")])),
        shape(
            "Docker list",
            Image::list([docker("amd64"), docker("arm64")]),
        ),
        shape(
            "Docker images in an OCI index",
            Image::index([docker("amd64"), child("arm64")]),
        ),
        shape("zero layers", Image::oci().label("no layers").build()),
        shape(
            "one layer twice",
            Image::single([Layer::tar("twice", 100), Layer::tar("twice", 100)]),
        ),
        shape(
            "attestation beside its image",
            Image::index([app.clone(), Image::attestation_of(&app)]),
        ),
    ]
}

fn indexes() -> Vec<Shape> {
    let deep = (0..7).fold(child("amd64"), |inner, depth| {
        IndexBuilder::new(Format::Oci)
            .child(inner)
            .field("annotations", json!({"depth": depth.to_string()}))
            .build()
    });
    let shared = child("amd64");
    let parent = |name: &str| {
        IndexBuilder::new(Format::Oci)
            .child(shared.clone())
            .field("annotations", json!({"name": name}))
            .build()
    };
    let unknown = IndexBuilder::new(Format::Oci)
        .child(
            child("amd64")
                .descriptor_field("mediaType", json!("application/vnd.example.thing.v1+json")),
        )
        .build();
    vec![
        shape("indexes seven deep", deep),
        shape(
            "no platforms",
            Image::index([child("amd64"), child("arm64")].map(Image::without_platform)),
        ),
        shape("unknown entry type", unknown),
        shape("empty index", Image::index([])),
        shape(
            "one child below three parents",
            Image::index([parent("a"), parent("b"), shared.clone()]),
        ),
        shape("plain blobs in an index", cache()),
        shape(
            "index as an artifact",
            IndexBuilder::new(Format::Oci)
                .child(child("amd64"))
                .field("artifactType", json!("application/vnd.example.collection"))
                .build(),
        ),
        shape("unknown fields everywhere", unknown_fields()),
    ]
}

/// Returns an older cache export of `BuildKit`: an index that lists layers and a config, without a manifest.
fn cache() -> Image {
    let (layer, config) = (
        Layer::tar("cache", 400),
        Blob::new(r#"{"layers":[],"records":[]}"#),
    );
    let entries = json!([
        {"mediaType": media::OCI_LAYER_GZIP, "digest": layer.digest(), "size": layer.size()},
        {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": config.digest(), "size": config.size()},
    ]);
    let document = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": entries});
    let root = Manifest::new(media::OCI_INDEX, document.to_string());
    Image::of_parts(vec![layer.blob().clone(), config], Vec::new(), root)
}

fn unknown_fields() -> Image {
    let unknown = json!({"deep": [1, 2.50, 1e3, "\u{e9}", null, {"b": 1, "a": 2}], "large": 18_446_744_073_709_551_615_u64});
    let child = Image::oci()
        .layer(Layer::tar("fields", 100))
        .field(
            "annotations",
            json!({"z": "1", "a": "", "org.example/\u{e9}": "\u{1f4e6}"}),
        )
        .field("x-example", unknown.clone())
        .build()
        .descriptor_field("annotations", json!({"b": "2", "a": "1"}))
        .descriptor_field("x-example", unknown.clone());
    IndexBuilder::new(Format::Oci)
        .child(child)
        .field("annotations", json!({"y": "1", "x": "2"}))
        .field("x-example", unknown)
        .build()
}

fn sbom() -> Image {
    let content = r#"{"spdxVersion":"SPDX-2.3"}"#;
    Image::artifact("application/spdx+json")
        .layer(Layer::bytes("application/spdx+json", content))
        .build()
}

fn artifacts() -> Vec<Shape> {
    let typed = |artifact_type: &str| Image::artifact(artifact_type);
    let nobody = Image::oci().label("of which nobody knows").build();
    vec![
        shape("Helm chart", Image::helm_chart("app", "1.2.3")),
        shape(
            "WASM module",
            Image::artifact("")
                .config(
                    "application/vnd.wasm.config.v0+json",
                    r#"{"architecture":"wasm","os":"wasip1"}"#,
                )
                .layer(Layer::bytes("application/wasm", &b"\0asm\x01\0\0\0"[..]))
                .build(),
        ),
        shape("SBOM", sbom()),
        shape(
            "artifact without layers",
            typed("application/vnd.example.note").build(),
        ),
        shape(
            "artifact with the empty layer",
            typed("application/vnd.example.note")
                .layer(Layer::bytes(media::OCI_EMPTY, "{}"))
                .field("annotations", json!({"note": "all is here"}))
                .build(),
        ),
        shape(
            "config of an unknown type",
            Image::artifact("")
                .config("application/vnd.example.config+toml", "a = 1\n")
                .layer(Layer::bytes(
                    "application/vnd.example.weights",
                    vec![7; 3_000],
                ))
                .build(),
        ),
        shape(
            "subject that is not there",
            Image::referrer_of(&nobody, "application/vnd.example.sbom", "{}"),
        ),
        shape(
            "Docker plugin",
            Image::artifact("")
                .config(
                    "application/vnd.docker.plugin.v1+json",
                    r#"{"interface":{}}"#,
                )
                .layer(Layer::tar("plugin", 100))
                .build(),
        ),
    ]
}

fn blobs() -> Vec<Shape> {
    let embedded = |layer: Layer| typed_with_data(&layer);
    vec![
        shape("zero-length layer", Image::single([Layer::empty()])),
        shape(
            "zero-length config",
            Image::artifact("")
                .config("application/vnd.example.nothing", "")
                .build(),
        ),
        shape(
            "embedded config",
            Image::oci()
                .layer(Layer::tar("beside", 100))
                .embed_config()
                .build(),
        ),
        shape(
            "embedded layer",
            embedded(Layer::bytes("text/plain", "small enough to be embedded")),
        ),
        shape("sha512 blobs", sha512_blobs()),
        shape("sha512 manifest", sha512_manifest()),
    ]
}

fn typed_with_data(layer: &Layer) -> Image {
    use base64::Engine as _;
    let bytes = layer.blob().bytes().unwrap_or_default();
    let config = Blob::new("{}");
    let document = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": "text/plain",
        "config": {
            "mediaType": media::OCI_EMPTY, "digest": config.digest(), "size": 2, "data": "e30=",
        },
        "layers": [{
            "mediaType": "text/plain", "digest": layer.digest(), "size": layer.size(),
            "data": base64::engine::general_purpose::STANDARD.encode(bytes),
        }],
    });
    let root = Manifest::new(media::OCI_MANIFEST, document.to_string());
    Image::of_parts(vec![config, layer.blob().clone()], Vec::new(), root)
}

fn sha512_blobs() -> Image {
    let of = |content: &'static str| Blob::with_digest(digest::sha512(content.as_bytes()), content);
    let (config, layer) = (
        of(r#"{"of":"sha512"}"#),
        of("a layer that is named by its sha512 digest"),
    );
    let descriptor = |media_type: &str, blob: &Blob| -> Value {
        json!({"mediaType": media_type, "digest": blob.digest(), "size": blob.size()})
    };
    let document = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": descriptor("application/vnd.example.config", &config),
        "layers": [descriptor("text/plain", &layer)],
    });
    let root = Manifest::new(media::OCI_MANIFEST, document.to_string());
    Image::of_parts(vec![config, layer], Vec::new(), root)
}

fn sha512_manifest() -> Image {
    let image = Image::single([Layer::tar("sha512", 100)]);
    let root = image.root().clone();
    let root = Manifest {
        digest: digest::sha512(&root.bytes),
        ..root
    };
    Image::of_parts(image.blobs().to_vec(), Vec::new(), root)
}

fn documents() -> Vec<Shape> {
    let pretty = Image::docker()
        .layer(Layer::tar("pretty", 100))
        .pretty()
        .build();
    let bare = Image::oci()
        .layer(Layer::tar("bare", 100))
        .without_media_type()
        .build();
    vec![
        shape(
            "pretty-printed list",
            IndexBuilder::new(Format::Docker)
                .child(pretty.clone())
                .pretty()
                .build(),
        ),
        shape("pretty-printed manifest", pretty),
        shape(
            "index without mediaType",
            IndexBuilder::new(Format::Oci)
                .child(bare.clone())
                .without_media_type()
                .build(),
        ),
        shape("manifest without mediaType", bare),
    ]
}

fn relics() -> Vec<Shape> {
    let subject = child("amd64");
    vec![
        shape(
            "retired artifact manifest",
            Image::retired_artifact_of(&subject, "application/vnd.example.sbom", "an SBOM of 2022"),
        ),
        shape(
            "schema 1 without a signature",
            Image::schema1(
                "shapes/schema-1-without-a-signature",
                "v1",
                [Layer::tar("old", 100)],
            ),
        ),
        shape(
            "schema 1 with a signature",
            Image::signed_schema1(
                "shapes/schema-1-with-a-signature",
                "v1",
                [Layer::tar("old", 100)],
            ),
        ),
        shape(
            "foreign layer with urls",
            Image::docker()
                .platform(Platform::windows("10.0.17763.1"))
                .layer(Layer::foreign(
                    "windows",
                    100,
                    "https://layers.example/windows",
                ))
                .layer(Layer::tar("app", 100))
                .build(),
        ),
        shape(
            "non-distributable layer without urls",
            Image::oci()
                .layer(Layer::nondistributable("secret", 100))
                .layer(Layer::tar("app", 100))
                .build(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_shape_has_a_name_and_a_repository_of_its_own() {
        let shapes = corpus();
        let names: HashSet<_> = shapes.iter().map(|shape| shape.name).collect();
        let repositories: HashSet<_> = shapes.iter().map(Shape::repository).collect();
        assert_eq!(
            (names.len(), repositories.len()),
            (shapes.len(), shapes.len())
        );
    }

    #[test]
    fn every_part_has_the_digest_that_it_is_named_by() {
        for Shape { name, image } in corpus() {
            assert!(image.blobs().iter().all(Blob::verifies), "{name}");
            for manifest in image.manifests().iter().chain([image.root()]) {
                let digest = digest::same_algorithm(&manifest.digest, &manifest.digested());
                assert_eq!(digest.unwrap(), manifest.digest, "{name}");
            }
        }
    }
}
