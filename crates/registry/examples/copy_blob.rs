//! Copies the blobs of an image to a repository, without a temporary file:
//! `cargo run --example copy_blob -- quay.io/prometheus/busybox:latest registry.example.com/mirror/busybox`.
//!
//! The manifest is not pushed. A registry removes blobs that no manifest names when it collects its garbage.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::process::ExitCode;

use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{Reference, Registries, Repository};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = Reference::parse(&arguments.next().ok_or("name an image")?)?;
    let to = Repository::parse(&arguments.next().ok_or("name a repository to copy to")?)?;
    let target = image.target().ok_or("a tag or a digest is needed")?;

    let registries = Registries::from_env()?;
    let source = registries.client(image.repository.registry());
    let destination = registries.client(to.registry());
    let manifest = source.get_manifest(&image.repository, &target).await?;
    let ManifestView::Image(view) = manifest.view()? else {
        return Err("that is not an image of one platform".into());
    };
    for blob in view.config.iter().chain(&view.layers) {
        let copied = source
            .copy_blob(&image.repository, blob, &destination, &to)
            .await?;
        println!("{} {copied:?}", blob.digest);
    }
    Ok(())
}
