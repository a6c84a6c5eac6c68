//! Images with a config and layers, and artifacts.

use serde_json::{Map, Value, json};

use super::document::Layout;
use super::{Format, Image, Layer, Manifest, Platform, add_blob, media};
use crate::blob::Blob;

/// Builds an image.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    format: Format,
    platform: Platform,
    layers: Vec<Layer>,
    layout: Layout,
    says_media_type: bool,
    label: Option<String>,
    extra: Map<String, Value>,
    embeds_config: bool,
}

impl ImageBuilder {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            platform: Platform::linux("amd64"),
            layers: Vec::new(),
            layout: Layout::Compact,
            says_media_type: true,
            label: None,
            extra: Map::new(),
            embeds_config: false,
        }
    }

    /// Adds a layer. The same layer may be added twice.
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Adds layers.
    pub fn layers(mut self, layers: impl IntoIterator<Item = Layer>) -> Self {
        self.layers.extend(layers);
        self
    }

    /// Sets the platform, in the config and in the descriptor of an index.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Adds a text to the config, so that images with the same layers differ.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Writes the manifest with line breaks and indentation.
    pub fn pretty(mut self) -> Self {
        self.layout = Layout::Pretty;
        self
    }

    /// Leaves `mediaType` out of the manifest, like old OCI tools.
    pub fn without_media_type(mut self) -> Self {
        self.says_media_type = false;
        self
    }

    /// Adds a field to the manifest, such as `annotations`.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Sets `subject`: the image refers to this manifest.
    pub fn subject(self, subject: &Manifest) -> Self {
        let descriptor = subject.descriptor();
        self.field("subject", descriptor)
    }

    /// Embeds the config in its descriptor as `data`.
    pub fn embed_config(mut self) -> Self {
        self.embeds_config = true;
        self
    }

    /// Returns the image.
    pub fn build(self) -> Image {
        let config = Blob::new(self.config().to_string());
        let (manifest_type, config_type) = match self.format {
            Format::Oci => (media::OCI_MANIFEST, media::OCI_CONFIG),
            Format::Docker => (media::DOCKER_MANIFEST, media::DOCKER_CONFIG),
        };
        let mut config_descriptor = descriptor(config_type, &config);
        if self.embeds_config {
            embed(&mut config_descriptor, &config);
        }
        let mut document = head(self.says_media_type.then_some(manifest_type));
        document.insert("config".into(), config_descriptor);
        document.insert(
            "layers".into(),
            layer_descriptors(&self.layers, self.format),
        );
        document.extend(self.extra);
        finish(
            self.layout,
            manifest_type,
            &Value::Object(document),
            config,
            self.layers,
            Some(self.platform),
        )
    }

    fn config(&self) -> Value {
        let mut config = self.platform.to_json();
        config.insert("created".into(), json!("2024-01-01T00:00:00Z"));
        let labels = self.label.iter().map(|l| ("label".to_owned(), json!(l)));
        config.insert(
            "config".into(),
            json!({"Env": ["PATH=/usr/bin:/bin"], "Labels": Value::Object(labels.collect())}),
        );
        let diff_ids: Vec<_> = self.layers.iter().map(|l| l.diff_id.clone()).collect();
        config.insert(
            "rootfs".into(),
            json!({"type": "layers", "diff_ids": diff_ids}),
        );
        let history: Vec<_> = self
            .layers
            .iter()
            .map(|layer| {
                json!({"created": "2024-01-01T00:00:00Z", "created_by": format!("ADD {}", layer.digest())})
            })
            .collect();
        config.insert("history".into(), json!(history));
        Value::Object(config)
    }
}

/// Builds an artifact: a manifest with an empty config, or a config of its own.
#[derive(Clone, Debug)]
pub struct ArtifactBuilder {
    artifact_type: Option<String>,
    config_type: String,
    config: Blob,
    layers: Vec<Layer>,
    extra: Map<String, Value>,
}

impl Image {
    /// Starts an artifact of this type with the empty config.
    pub fn artifact(artifact_type: &str) -> ArtifactBuilder {
        ArtifactBuilder {
            artifact_type: Some(artifact_type.to_owned()),
            config_type: media::OCI_EMPTY.to_owned(),
            config: Blob::new("{}"),
            layers: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl ArtifactBuilder {
    /// Sets a config of its own, and leaves out `artifactType`.
    pub fn config(mut self, media_type: &str, config: impl Into<bytes::Bytes>) -> Self {
        self.artifact_type = None;
        media_type.clone_into(&mut self.config_type);
        self.config = Blob::new(config);
        self
    }

    /// Adds a layer.
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets `subject`: the artifact refers to this manifest.
    pub fn subject(self, subject: &Manifest) -> Self {
        let descriptor = subject.descriptor();
        self.field("subject", descriptor)
    }

    /// Adds a field to the manifest, such as `annotations`.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Returns the artifact.
    pub fn build(self) -> Image {
        let mut document = head(Some(media::OCI_MANIFEST));
        if let Some(artifact_type) = self.artifact_type {
            document.insert("artifactType".into(), json!(artifact_type));
        }
        let mut config = descriptor(&self.config_type, &self.config);
        if self.config_type == media::OCI_EMPTY {
            embed(&mut config, &self.config);
        }
        document.insert("config".into(), config);
        document.insert(
            "layers".into(),
            layer_descriptors(&self.layers, Format::Oci),
        );
        document.extend(self.extra);
        finish(
            Layout::Compact,
            media::OCI_MANIFEST,
            &Value::Object(document),
            self.config,
            self.layers,
            None,
        )
    }
}

fn head(media_type: Option<&str>) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("schemaVersion".into(), json!(2));
    if let Some(media_type) = media_type {
        document.insert("mediaType".into(), json!(media_type));
    }
    document
}

fn finish(
    layout: Layout,
    media_type: &str,
    document: &Value,
    config: Blob,
    layers: Vec<Layer>,
    platform: Option<Platform>,
) -> Image {
    let mut blobs = vec![config];
    for layer in layers.into_iter().filter(|layer| layer.pushed) {
        add_blob(&mut blobs, layer.blob);
    }
    let root = Manifest::new(media_type, layout.write(document));
    Image {
        platform,
        ..Image::of_parts(blobs, Vec::new(), root)
    }
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({"mediaType": media_type, "digest": blob.digest(), "size": blob.size()})
}

fn embed(descriptor: &mut Value, blob: &Blob) {
    use base64::Engine as _;
    let data = blob.bytes().unwrap_or_default();
    let data = base64::engine::general_purpose::STANDARD.encode(data);
    if let Some(map) = descriptor.as_object_mut() {
        map.insert("data".into(), json!(data));
    }
}

fn layer_descriptors(layers: &[Layer], format: Format) -> Value {
    let descriptors = layers.iter().map(|layer| {
        let mut descriptor = json!({
            "mediaType": layer.media_type(format),
            "digest": layer.digest(),
            "size": layer.claimed_size.unwrap_or(layer.size()),
        });
        if let Some(map) = descriptor.as_object_mut()
            && !layer.urls.is_empty()
        {
            map.insert("urls".into(), json!(layer.urls));
        }
        descriptor
    });
    Value::Array(descriptors.collect())
}
