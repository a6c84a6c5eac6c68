//! Support of all tests: a directory with files, the program as a child process, its results.

pub(crate) mod ends;
#[cfg(feature = "share")]
#[allow(dead_code, reason = "the tests of the library use the rest")]
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod real;
pub(crate) mod report;
pub(crate) mod service;
pub(crate) mod showing;
pub(crate) mod signing;
pub(crate) mod terminal;
pub(crate) mod world;

use testkit::{Image, Layer, Registry};

pub(crate) use program::{Outcome, Place};
pub(crate) use service::Service;
pub(crate) use world::{FILES, World, between, signal};

/// Time that a test waits for an event that must happen. Only a failing test waits that long.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Starts an anonymous registry on its own thread, since tests block while they wait for the program.
pub(crate) fn registry() -> Registry {
    Registry::builder().start_on_thread()
}

/// Returns a small image with a layer that depends on `name`.
pub(crate) fn image(name: &str) -> Image {
    Image::single([Layer::tar(name, 2_000), Layer::tar("base", 3_000)])
}

/// Returns an index for three platforms that share a layer.
pub(crate) fn index(name: &str) -> Image {
    let child = |arch: &str| {
        Image::oci()
            .platform(testkit::Platform::linux(arch))
            .layer(Layer::tar("base", 3_000))
            .layer(Layer::tar(&format!("{name}-{arch}"), 2_000))
            .build()
    };
    Image::index([child("amd64"), child("arm64"), child("s390x")])
}

/// Returns an auth file with `insecure: true` for each registry.
pub(crate) fn insecure(registries: &[&Registry]) -> String {
    let entry = |registry: &&Registry| format!("{}:\n  insecure: true\n", registry.host());
    registries.iter().map(entry).collect::<Vec<_>>().concat()
}

/// Asserts that `repository:reference` is complete and is `image`.
#[track_caller]
pub(crate) fn assert_arrived(
    registry: &Registry,
    repository: &str,
    reference: &str,
    image: &Image,
) {
    registry.verify_complete(repository, reference).unwrap();
    let (media_type, bytes) = registry.state().manifest(repository, reference).unwrap();
    assert_eq!(media_type, image.root().media_type);
    assert_eq!(bytes, image.root().bytes);
}

/// Returns a number that depends on `seed` and `n`.
pub(crate) fn draw(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add((n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
