//! A first sync without network and set-up: `cargo run --locked --example quickstart`.
//!
//! Starts two registries in this process, fills one, writes the two files of a user, and runs the program with them,
//! twice: the same function as the `image-syncer` command.
#![allow(clippy::print_stdout, reason = "it is here to show something")]

use std::error::Error;
use std::process::ExitCode;

use image_syncer::Exit;
use testkit::{Image, Layer, Platform, Registry};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let source = Registry::builder().start_on_thread();
    let destination = Registry::builder().start_on_thread();
    let (from, to) = (source.host(), destination.host());
    fill(&source);

    let directory = tempfile::tempdir()?;
    let auth = directory.path().join("auth.yaml");
    let images = directory.path().join("images.yaml");
    std::fs::write(
        &auth,
        format!(
            "{from}:\n  insecure: true   # http, as both are on this machine\n{to}:\n  insecure: true\n"
        ),
    )?;
    std::fs::write(
        &images,
        format!(
            "{from}/library/web:1.27: {to}/mirror/web        # one tag\n\
             {from}/library/api: {to}/mirror/api             # every tag\n\
             {from}/library/db:/^16\\./:                      # tags that match\n  \
             - {to}/mirror/db\n  - {to}/team/db               # to two places, read once\n\
             {from}/charts/shop:0.3.0: {to}/charts/shop      # a Helm chart\n"
        ),
    )?;
    let (auth, images) = (auth.display().to_string(), images.display().to_string());
    for file in [&auth, &images] {
        println!("── {file}\n{}", std::fs::read_to_string(file)?);
    }

    for title in ["The first run copies", "The second finds nothing to do"] {
        println!("── {title}: image-syncer --auth {auth} --images {images}");
        source.clear_requests();
        destination.clear_requests();
        // No records are left on this machine.
        let files = ["--auth", &auth, "--images", &images];
        let exit = image_syncer::run(["image-syncer", "--no-records"].into_iter().chain(files));
        println!(
            "\n   {} requests to the source, {} to the destination; {} KiB fetched, {} KiB sent\n",
            source.requests().len(),
            destination.requests().len(),
            source.bytes_sent() / 1024,
            destination.bytes_received() / 1024,
        );
        if exit != Exit::Done {
            return Ok(exit.into());
        }
    }
    for repository in destination.state().repositories() {
        for tag in destination.state().tags(&repository) {
            destination.verify_complete(&repository, &tag)?;
        }
    }
    println!(
        "Every digest was checked at the destination. Now with registries of your own:\n\n  \
         cargo install --locked --path .\n  \
         image-syncer copy docker.io/library/alpine:3.20 registry.example.com/mirror/alpine\n  \
         image-syncer --auth auth.yaml --images images.yaml\n"
    );
    Ok(Exit::Done.into())
}

/// Pushes realistic images: for one platform and for several, with common layers, and a Helm chart.
fn fill(registry: &Registry) {
    let base = Layer::tar("debian", 3_000_000);
    let platform = |arch: &str, app: &str| {
        Image::oci()
            .platform(Platform::linux(arch))
            .layer(base.clone())
            .layer(Layer::tar(&format!("{app}-{arch}"), 500_000))
            .build()
    };
    let multi = |app: &str| Image::index([platform("amd64", app), platform("arm64", app)]);
    registry.push("library/web", Some("1.27"), &platform("amd64", "web"));
    registry.push("library/api", Some("v1"), &multi("api v1"));
    registry.push("library/api", Some("v2"), &multi("api v2"));
    registry.push("library/db", Some("15.9"), &multi("db 15"));
    registry.push("library/db", Some("16.4"), &multi("db 16"));
    registry.push(
        "charts/shop",
        Some("0.3.0"),
        &Image::helm_chart("shop", "0.3.0"),
    );
}
