//! Two registries in a separate process, with many images, to look at the display of a run.
//!
//! `many IMAGES LAYERS KIB [there]` serves this many tags, in repositories `app-0`, `app-1` … of fifty each, with this
//! many layers that no two tags share. With `there`, the destination already has all of them. Prints the two hosts on
//! one line and serves until its stdin ends.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a small program for scripts"
)]

use std::io::Read as _;

use testkit::{Image, Layer, Registry};

/// Tags of one repository.
const TAGS: u64 = 50;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let there = arguments.pop_if(|last| last == "there").is_some();
    let numbers: Vec<u64> = arguments
        .iter()
        .map(|text| text.parse().expect("numbers"))
        .collect();
    let (images, layers, kib) = match numbers.as_slice() {
        [images, layers, kib] => (*images, *layers, *kib),
        _ => return println!("write: many IMAGES LAYERS KIB [there]"),
    };
    let source = Registry::builder().start_on_thread();
    let destination = Registry::builder().discard_blobs().start_on_thread();
    for number in 0..images {
        let layers = (0..layers).map(|layer| Layer::synthetic(kib << 10, number * 1000 + layer));
        let image = Image::single(layers);
        let (repository, tag) = (
            format!("app-{}", number / TAGS),
            format!("v{}", number % TAGS),
        );
        source.push(&repository, Some(&tag), &image);
        if there {
            destination.push(&repository, Some(&tag), &image);
        }
    }
    println!("{} {}", source.host(), destination.host());
    // Until the parent process closes the pipe.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
