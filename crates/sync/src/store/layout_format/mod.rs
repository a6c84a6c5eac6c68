//! The form of an OCI image layout, in a directory or in an archive: files and their paths, the index, names, and errors.

pub(in crate::store) mod blob_path;
mod error;
mod index;
mod name;

pub(crate) use error::LayoutError;
pub(in crate::store) use error::Located;
pub(in crate::store) use index::{
    IndexError, LayoutIndex, LayoutRoot, MAX_ENTRIES, MAX_INDEX_BYTES,
};
pub(in crate::store) use name::{CONTAINERD_NAME, REF_NAME, RootName};
pub(crate) use name::{LayoutName, split_path};

/// File that marks a layout.
pub(in crate::store) const LAYOUT_FILE: &str = "oci-layout";

/// File of the roots.
pub(in crate::store) const INDEX_FILE: &str = "index.json";

/// Contents of a new [`LAYOUT_FILE`].
pub(in crate::store) const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
