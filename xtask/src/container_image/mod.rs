//! The container image of the program: a reproducible OCI layout with an image for each platform.
//!
//! An image has two layers: the base, which rarely changes, and the binary. Order, owners, modes, times and compression
//! of all files are fixed, so that the same files give the same digests on every machine.

mod base;
mod elf;
mod layer;
mod layout;
mod platform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use elf::Elf;
use layer::{Layer, Tree};
use layout::{Blob, Layout};
pub use platform::Platform;

/// Version of the program, and of its image.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Certificate authorities of Debian and of most other systems.
pub const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

const PROGRAM: &str = "usr/local/bin/image-syncer";
const SOURCE: &str = "https://github.com/image-syncer/image-syncer";

/// Contents of the image, and the directory that it is written to.
pub struct ContainerImage {
    /// Full name of the image in the layout, with a tag.
    pub name: String,
    /// Binary of each platform.
    pub binaries: BTreeMap<Platform, PathBuf>,
    /// Root of a system with the shared libraries of a platform's binary, if it is not `/`.
    pub sysroots: BTreeMap<Platform, PathBuf>,
    /// Certificate authorities, as PEM.
    pub ca_certificates: PathBuf,
    /// Commit of the source code.
    pub revision: Option<String>,
    /// Time of the image and of all its files, in seconds since 1970.
    pub time: u64,
    /// Directory of the layout.
    pub output: PathBuf,
}

impl ContainerImage {
    /// Writes the layout. Returns the digest of the index.
    pub fn write(&self) -> Result<String> {
        let labels = self.labels()?;
        let mut layout = Layout::create(&self.output)?;
        let mut manifests = Vec::new();
        for (platform, binary) in &self.binaries {
            let layers = self
                .layers(*platform, binary)
                .with_context(|| format!("cannot build the image of {platform}"))?;
            manifests.push(write_image(&mut layout, *platform, &layers, &labels)?);
        }
        let index = layout.add_json(
            "application/vnd.oci.image.index.v1+json",
            &json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": manifests,
                "annotations": labels,
            }),
        )?;
        layout.finish(&index, &self.name)?;
        Ok(index.digest)
    }

    /// Builds the base and the layer of the binary.
    fn layers(&self, platform: Platform, path: &Path) -> Result<[Layer; 2]> {
        let bytes = read(path)?;
        let elf = Elf::parse(&bytes).with_context(|| path.display().to_string())?;
        platform.check(&elf, path)?;
        let sysroot = self.sysroots.get(&platform);
        let sysroot = sysroot.map_or(Path::new("/"), PathBuf::as_path);
        let mut base = Tree::default();
        base::add_files(&mut base, &self.ca_certificates)?;
        base::add_libraries(&mut base, platform, &elf, path, sysroot)?;
        let mut program = Tree::default();
        program.file(PROGRAM, 0o755, bytes);
        Ok([
            base.layer("certificate authorities, users, libraries", self.time)?,
            program.layer("image-syncer", self.time)?,
        ])
    }

    /// Returns the labels of the image, which are the annotations of its manifests as well.
    fn labels(&self) -> Result<Map<String, Value>> {
        let mut labels = Map::new();
        let mut add = |key: &str, value: &str| {
            let key = format!("org.opencontainers.image.{key}");
            labels.insert(key, Value::from(value));
        };
        add("created", &layer::timestamp(self.time)?);
        add(
            "description",
            "Copies container images and OCI artifacts between registries",
        );
        add("documentation", &format!("{SOURCE}/tree/main/docs"));
        add("licenses", env!("CARGO_PKG_LICENSE"));
        if let Some(revision) = &self.revision {
            add("revision", revision);
        }
        add("source", SOURCE);
        add("title", "image-syncer");
        add("url", SOURCE);
        add("version", VERSION);
        Ok(labels)
    }
}

/// Writes the layers, the configuration and the manifest of a platform. Returns the manifest's descriptor.
fn write_image(
    layout: &mut Layout,
    platform: Platform,
    layers: &[Layer],
    labels: &Map<String, Value>,
) -> Result<Value> {
    let created = labels.get("org.opencontainers.image.created");
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| json!({"created": created, "created_by": "xtask container-image", "comment": layer.comment}))
        .collect();
    let config = layout.add_json(
        "application/vnd.oci.image.config.v1+json",
        &json!({
            "created": created,
            "architecture": platform.architecture(),
            "os": "linux",
            "config": {
                "User": base::USER,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", format!("HOME=/{}", base::HOME)],
                "Entrypoint": [format!("/{PROGRAM}")],
                "WorkingDir": format!("/{}", base::HOME),
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        }),
    )?;
    let layers: Vec<Blob> = layers
        .iter()
        .map(|layer| {
            layout.add(
                "application/vnd.oci.image.layer.v1.tar+gzip",
                &layer.compressed,
            )
        })
        .collect::<Result<_>>()?;
    let layers: Vec<Value> = layers.iter().map(Blob::descriptor).collect();
    let manifest = layout.add_json(
        "application/vnd.oci.image.manifest.v1+json",
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor(),
            "layers": layers,
            "annotations": labels,
        }),
    )?;
    let mut descriptor = manifest.descriptor();
    if let Some(descriptor) = descriptor.as_object_mut() {
        let platform = json!({"architecture": platform.architecture(), "os": "linux"});
        descriptor.insert("platform".to_owned(), platform);
    }
    Ok(descriptor)
}

/// Reads a file. The error names it.
fn read(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        bail!("{} is a directory, not a file", path.display());
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
