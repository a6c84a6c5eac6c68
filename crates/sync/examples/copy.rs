//! Copies one image with the logins of docker and podman:
//! `cargo run --example copy -- SOURCE DESTINATION`.
#![allow(clippy::print_stdout, reason = "it is here to show something")]

use std::error::Error;

use image_syncer_sync::{Outcome, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, destination] = arguments.as_slice() else {
        return Err("usage: copy SOURCE DESTINATION".into());
    };
    let session = Session::from_env()?;
    for image in session.copy(source, destination).await? {
        let result = match image.outcome {
            Outcome::Copied(copied) => format!("copied, {} bytes sent", copied.volume.bytes),
            _ => "unchanged".to_owned(),
        };
        println!("{} -> {}: {result}", image.source, image.destination);
    }
    Ok(())
}
