//! Registries and files for the screenshots.

use std::io::Result;
use std::path::Path;

use tempfile::TempDir;
use testkit::{Image, Layer, Platform, Registry};

const MIB: u64 = 1 << 20;

/// A source, two destinations, and the files that a user would write for them.
pub(crate) struct Stage {
    source: Registry,
    destinations: [Registry; 2],
    directory: TempDir,
}

/// Names of the registries in the picture, as long as their addresses.
const NAMES: [&str; 3] = ["hub.example.com", "eu1.example.com", "us1.example.com"];

impl Stage {
    /// Fills the source, and the destinations with the images of an earlier run.
    pub(crate) fn set() -> Result<Self> {
        let start = || Registry::builder().believe_blobs().start_on_thread();
        let stage = Self {
            source: start(),
            destinations: [start(), start()],
            directory: tempfile::tempdir()?,
        };
        stage.fill();
        let [one, other] = &stage.destinations;
        let (from, to, also) = (stage.source.host(), one.host(), other.host());
        let auth = [&from, &to, &also].map(|host| format!("{host}: {{insecure: true}}\n"));
        std::fs::write(stage.directory().join("auth.yaml"), auth.concat())?;
        let rules = format!(
            "{from}/nginx:/^1\\.2[5-9]$/: {to}/nginx\n\
             {from}/postgres:16,17: {to}/postgres\n\
             {from}/team/shop:\n  - {to}/team/shop\n  - {also}/team/shop\n\
             {from}/charts/shop:0.3.0: {to}/charts/shop\n"
        );
        std::fs::write(stage.directory().join("images.yaml"), rules)?;
        Ok(stage)
    }

    /// Returns the directory of the files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns `text` with names in place of addresses.
    pub(crate) fn with_names(&self, text: &str) -> String {
        let [one, other] = &self.destinations;
        let hosts = [self.source.host(), one.host(), other.host()];
        let mut text = text.to_owned();
        for (host, name) in hosts.iter().zip(NAMES) {
            text = text.replace(host, &format!("{name:<0$}", host.len()));
        }
        text
    }

    /// Slows transfers down until they are visible: the largest takes about six seconds.
    pub(crate) fn slow_down(&self) {
        self.source.set_bandwidth(Some(6 * MIB));
    }

    fn fill(&self) {
        let [one, _] = &self.destinations;
        let nginx = [("1.25", 4), ("1.26", 5), ("1.27", 5), ("1.28", 9)];
        for (tag, size) in nginx {
            let image = multi("nginx", tag, size);
            self.source.push("nginx", Some(tag), &image);
            if tag < "1.27" {
                one.push("nginx", Some(tag), &image);
            }
        }
        for (tag, size) in [("16", 30), ("17", 38)] {
            let image = multi("postgres", tag, size);
            self.source.push("postgres", Some(tag), &image);
        }
        // The tag moved later.
        one.push("postgres", Some("16"), &multi("postgres", "16.0", 29));
        for (tag, size) in [("v1.9.0", 14), ("v2.0.0", 19), ("v2.0.1", 25)] {
            let image = multi("shop", tag, size);
            self.source.push("team/shop", Some(tag), &image);
        }
        let chart = Image::helm_chart("shop", "0.3.0");
        self.source.push("charts/shop", Some("0.3.0"), &chart);
        one.push("charts/shop", Some("0.3.0"), &chart);
    }
}

/// Returns an index for two platforms, whose images share a base layer and have a layer of `size` MiB.
fn multi(name: &str, tag: &str, size: u64) -> Image {
    let image = |arch: &str| {
        let seed = |text: String| {
            let mix = |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte));
            text.bytes().fold(7, mix)
        };
        Image::oci()
            .platform(Platform::linux(arch))
            .layer(Layer::synthetic(6 * MIB, seed(format!("{name} {arch}"))))
            .layer(Layer::synthetic(
                size * MIB,
                seed(format!("{name}:{tag} {arch}")),
            ))
            .build()
    };
    Image::index([image("amd64"), image("arm64")])
}
