//! Two registries in a separate process, for measurements from outside: a source with one image, and a destination that
//! discards blobs.
//!
//! `registries LAYERS MIB [MIB…]` serves an image `bench:v1` with this many layers; several sizes are used in turn.
//! Prints the two hosts on one line and serves until its stdin ends.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a small program for scripts"
)]

use std::io::Read as _;

use testkit::{Image, Layer, Registry};

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("numbers"))
        .collect();
    let (layers, sizes) = numbers.split_first().expect("LAYERS MIB [MIB…]");
    let layers = (0..*layers).zip(sizes.iter().cycle());
    let layers = layers.map(|(seed, mib)| Layer::synthetic(mib << 20, seed));
    let source = Registry::builder().start_on_thread();
    source.push("bench", Some("v1"), &Image::single(layers));
    let destination = Registry::builder().discard_blobs().start_on_thread();
    println!("{} {}", source.host(), destination.host());
    // Until the parent process closes the pipe.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
