//! Serves a registry of a given profile until it is interrupted, to try other tools with it: `cargo run -p
//! image-syncer-testkit --example serve -- docker_hub`.
//!
//! It contains `library/demo` with the tags `amd64` (one image), `latest` (an index) and `large` (a layer of 1 GiB). At
//! the end it prints its requests and the problems that it found.
#![allow(
    clippy::print_stdout,
    reason = "an example that a person runs in a terminal"
)]

use testkit::{Image, Layer, Platform, Profile, Registry};

fn profile(name: &str) -> Option<Profile> {
    let all = [
        Profile::distribution(),
        Profile::distribution3(),
        Profile::strict(),
        Profile::zot(),
        Profile::gitea(),
        Profile::harbor(),
        Profile::acr_aliyun(),
        Profile::docker_hub(),
        Profile::ecr(),
        Profile::google(),
        Profile::ghcr(),
        Profile::gitlab(),
        Profile::quay(),
    ];
    all.into_iter().find(|profile| profile.name == name)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1);
    let name = name.unwrap_or_else(|| "distribution".to_owned());
    let Some(profile) = profile(&name) else {
        return Err(std::io::Error::other(format!("there is no profile {name}")));
    };
    let registry = Registry::start(profile).await;
    let base = Layer::tar("base", 100_000);
    let amd64 = Image::docker().layer(base.clone()).build();
    let arm64 = Image::docker()
        .platform(Platform::linux("arm64"))
        .layer(base)
        .build();
    let large = Image::single([Layer::synthetic(1 << 30, 1)]);
    registry.push("library/demo", Some("amd64"), &amd64);
    registry.push("library/demo", Some("latest"), &Image::list([amd64, arm64]));
    registry.push("library/demo", Some("large"), &large);
    println!("{name} at {}", registry.host());

    tokio::signal::ctrl_c().await?;
    for request in registry.requests() {
        println!("{} {}", request.status, request.line());
    }
    for problem in registry.problems() {
        println!("problem: {problem}");
    }
    Ok(())
}
