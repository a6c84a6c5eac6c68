//! The handle on one registry.

mod blobs;
mod manifests;
mod reader;
mod registries;
mod tags;
mod uploads;

use std::sync::Arc;

pub use manifests::ManifestHead;
pub use reader::{BlobReader, BlobSource, BlobStream};
pub use registries::{Options, Registries};
pub use tags::TagPages;
pub use uploads::{OpenedUpload, Upload};

use crate::reference::Registry;

/// A handle on one registry: cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
}

impl Client {
    /// Which registry.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }
}
