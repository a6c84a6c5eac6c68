//! Layers.

use flate2::{Compression, GzBuilder};

use super::{Format, media};
use crate::blob::Blob;
use crate::digest;

/// A layer of an image. Two layers with the same content are the same blob, which is how images share layers.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) blob: Blob,
    /// Digest of the content before compression, for the config.
    pub(super) diff_id: String,
    pub(super) kind: LayerKind,
    /// URLs outside the registry from which the layer can be fetched.
    pub(super) urls: Vec<String>,
    /// False for a foreign layer that is not pushed.
    pub(super) pushed: bool,
    /// Size in descriptors, if it is not the true one.
    pub(super) claimed_size: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum LayerKind {
    Gzip,
    Plain,
    Foreign,
    Other(String),
}

impl Layer {
    /// Returns a real layer: a gzip tar archive with one file `<name>` of `size` bytes of noise, which container tools
    /// can unpack. The blob is a little larger than `size`.
    pub fn tar(name: &str, size: u64) -> Self {
        let seed = name.bytes().fold(size, |seed, byte| {
            seed.wrapping_mul(0x0100_0000_01B3) ^ u64::from(byte)
        });
        let content = Blob::synthetic(size, seed).bytes().unwrap_or_default();
        Self::tar_of(name, &content)
    }

    /// Returns a real layer: a gzip tar archive with one file.
    pub fn tar_of(name: &str, content: &[u8]) -> Self {
        let tar = tar_with(name, content);
        let diff_id = digest::sha256(&tar);
        Self::known(Blob::new(gzip(&tar)), diff_id, LayerKind::Gzip)
    }

    /// Returns a layer of `size` bytes that need no memory, generated from `seed`: for large ones. It is not an
    /// archive: it can be copied, but not unpacked.
    pub fn synthetic(size: u64, seed: u64) -> Self {
        let blob = Blob::synthetic(size, seed);
        let diff_id = blob.digest().to_owned();
        Self::known(blob, diff_id, LayerKind::Plain)
    }

    /// Returns a layer of any media type with these bytes: in-toto statements, charts, files.
    pub fn bytes(media_type: &str, content: impl Into<bytes::Bytes>) -> Self {
        Self::of_blob(media_type, Blob::new(content))
    }

    /// Returns a layer of any media type with this blob.
    pub fn of_blob(media_type: &str, blob: Blob) -> Self {
        let diff_id = blob.digest().to_owned();
        Self::known(blob, diff_id, LayerKind::Other(media_type.to_owned()))
    }

    /// Returns a layer of any media type with the bytes `packed`, whose content before compression is `plain`.
    pub fn packed(media_type: &str, packed: impl Into<bytes::Bytes>, plain: &[u8]) -> Self {
        let kind = LayerKind::Other(media_type.to_owned());
        Self::known(Blob::new(packed), digest::sha256(plain), kind)
    }

    /// Returns an empty layer.
    pub fn empty() -> Self {
        let blob = Blob::new("");
        let diff_id = blob.digest().to_owned();
        Self::known(blob, diff_id, LayerKind::Plain)
    }

    /// Returns a foreign (non-distributable) layer: descriptors name `url`, and the blob is not pushed with the image.
    pub fn foreign(name: &str, size: u64, url: &str) -> Self {
        Self {
            kind: LayerKind::Foreign,
            urls: vec![url.to_owned()],
            pushed: false,
            ..Self::tar(name, size)
        }
    }

    /// Returns a foreign layer without a URL.
    pub fn nondistributable(name: &str, size: u64) -> Self {
        Self {
            urls: Vec::new(),
            ..Self::foreign(name, size, "")
        }
    }

    /// Pushes the foreign layer's blob with the image.
    pub fn pushed(mut self) -> Self {
        self.pushed = true;
        self
    }

    /// Sets a wrong size in descriptors.
    pub fn claiming_size(mut self, size: u64) -> Self {
        self.claimed_size = Some(size);
        self
    }

    /// The blob.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The digest of the blob.
    pub fn digest(&self) -> &str {
        self.blob.digest()
    }

    /// The size of the blob.
    pub fn size(&self) -> u64 {
        self.blob.size()
    }

    fn known(blob: Blob, diff_id: String, kind: LayerKind) -> Self {
        Self {
            blob,
            diff_id,
            kind,
            urls: Vec::new(),
            pushed: true,
            claimed_size: None,
        }
    }

    pub(super) fn media_type(&self, format: Format) -> &str {
        match (&self.kind, format) {
            (LayerKind::Other(media_type), _) => media_type,
            (LayerKind::Gzip, Format::Oci) => media::OCI_LAYER_GZIP,
            (LayerKind::Plain, Format::Oci) => media::OCI_LAYER,
            (LayerKind::Foreign, Format::Oci) => media::OCI_LAYER_NONDISTRIBUTABLE,
            (LayerKind::Gzip | LayerKind::Plain, Format::Docker) => media::DOCKER_LAYER_GZIP,
            (LayerKind::Foreign, Format::Docker) => media::DOCKER_LAYER_FOREIGN,
        }
    }
}

/// Returns an archive with one file, the same bytes on every day and every machine.
fn tar_with(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    // Writing into memory cannot fail. With an invalid path the archive has no file.
    let _ = archive.append_data(&mut header, name, content);
    archive.into_inner().unwrap_or_default()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::fast());
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}
