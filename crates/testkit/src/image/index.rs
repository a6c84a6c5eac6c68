//! Indexes and manifest lists.

use serde_json::{Map, Value, json};

use super::document::Layout;
use super::{Format, Image, Manifest, add_blob, add_manifest, media};

/// Builds an index or a list.
#[derive(Clone, Debug)]
pub struct IndexBuilder {
    format: Format,
    children: Vec<Image>,
    layout: Layout,
    says_media_type: bool,
    extra: Map<String, Value>,
    sparse: Vec<usize>,
}

impl IndexBuilder {
    /// Starts an OCI index or a Docker list.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            children: Vec::new(),
            layout: Layout::Compact,
            says_media_type: true,
            extra: Map::new(),
            sparse: Vec::new(),
        }
    }

    /// Adds a child: an image, an artifact, or a nested index.
    pub fn child(mut self, child: Image) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children.
    pub fn children(mut self, children: impl IntoIterator<Item = Image>) -> Self {
        self.children.extend(children);
        self
    }

    /// Adds a child that the index names but that is not part of the image: it is not pushed.
    pub fn missing_child(mut self, child: Image) -> Self {
        self.sparse.push(self.children.len());
        self.children.push(child);
        self
    }

    /// Writes the index with line breaks and indentation.
    pub fn pretty(mut self) -> Self {
        self.layout = Layout::Pretty;
        self
    }

    /// Leaves `mediaType` out of the index.
    pub fn without_media_type(mut self) -> Self {
        self.says_media_type = false;
        self
    }

    /// Adds a field to the index, such as `annotations`.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Sets `subject`.
    pub fn subject(self, subject: &Manifest) -> Self {
        let descriptor = subject.descriptor();
        self.field("subject", descriptor)
    }

    /// Returns the index with everything below it.
    pub fn build(self) -> Image {
        let media_type = match self.format {
            Format::Oci => media::OCI_INDEX,
            Format::Docker => media::DOCKER_LIST,
        };
        let mut document = Map::new();
        document.insert("schemaVersion".into(), json!(2));
        if self.says_media_type {
            document.insert("mediaType".into(), json!(media_type));
        }
        let entries = self.children.iter().map(entry).collect();
        document.insert("manifests".into(), Value::Array(entries));
        document.extend(self.extra);

        let (mut blobs, mut manifests) = (Vec::new(), Vec::new());
        for (position, child) in self.children.into_iter().enumerate() {
            if self.sparse.contains(&position) {
                continue;
            }
            for blob in child.blobs {
                add_blob(&mut blobs, blob);
            }
            for manifest in child.manifests.into_iter().chain([child.root]) {
                add_manifest(&mut manifests, manifest);
            }
        }
        let root = Manifest::new(media_type, self.layout.write(&Value::Object(document)));
        Image::of_parts(blobs, manifests, root)
    }
}

fn entry(child: &Image) -> Value {
    let mut descriptor = child.root.descriptor();
    if let Some(map) = descriptor.as_object_mut() {
        map.extend(child.entry.clone());
        if let Some(platform) = &child.platform {
            map.insert("platform".into(), Value::Object(platform.to_json()));
        }
    }
    descriptor
}
