//! Looks up a manifest by one HEAD: `cargo run --example head_manifest -- quay.io/prometheus/busybox:latest`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::process::ExitCode;

use image_syncer_registry::{Reference, Registries};

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
    let text = std::env::args().nth(1).ok_or("name an image")?;
    let image = Reference::parse(&text)?;
    let target = image.target().ok_or("a tag or a digest is needed")?;
    let client = Registries::from_env()?.client(image.repository.registry());
    match client.head_manifest(&image.repository, &target).await? {
        Some(head) => {
            let media_type = head.media_type.as_deref().unwrap_or("unknown type");
            println!("{} {media_type}", head.digest);
        }
        None => println!("{image} does not exist"),
    }
    Ok(())
}
