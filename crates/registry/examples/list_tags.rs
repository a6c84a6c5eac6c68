//! Lists the tags of a repository: `cargo run --example list_tags -- quay.io/prometheus/busybox`.
//!
//! Logins of docker and podman, the system's certificates and proxies of the environment are used.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::process::ExitCode;

use image_syncer_registry::{Registries, Repository};

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
    let text = std::env::args().nth(1).ok_or("name a repository")?;
    let repository = Repository::parse(&text)?;
    let client = Registries::from_env()?.client(repository.registry());
    let mut pages = client.tags(&repository);
    // Each page is there before the next one is requested.
    while let Some(tags) = pages.next().await? {
        for tag in tags {
            println!("{tag}");
        }
    }
    Ok(())
}
