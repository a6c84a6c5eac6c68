//! Volumes of images add up to the size of their content, whichever image copied a shared blob.

use image_syncer_registry::Manifest;

use crate::event::Volume;
use crate::scenario::*;

const LAYERS: [&str; 2] = ["a layer that all of them have", "of one alone: "];

/// Returns a scenario with the images `src.example/app:v0` and on, which share their first layer, and the number of bytes
/// of the blobs of each image.
fn scenario_with_images(count: usize, destinations: &[&str]) -> (Scenario, Vec<u64>) {
    let scenario = Scenario::new("src.example/app", destinations);
    let push = |number: usize| {
        let own = format!("{}{number}", LAYERS[1]);
        let (name, tag) = (format!("image{number}"), format!("v{number}"));
        blob_bytes(&scenario.image(&name, &[&tag], &[LAYERS[0], &own]))
    };
    let sizes = (0..count).map(push).collect();
    (scenario, sizes)
}

fn blob_bytes(image: &Manifest) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(image.bytes()).unwrap();
    let layers = document["layers"].as_array().unwrap().iter();
    let blobs = layers.chain([&document["config"]]);
    blobs.map(|blob| blob["size"].as_u64().unwrap()).sum()
}

fn volume_bytes(volume: Volume) -> u64 {
    volume.bytes + volume.mounted_bytes + volume.present_bytes + volume.shared_bytes
}

/// Checks the volume of each copy against the size of its image. Returns the volume of the run.
fn checked_volume(events: &RunEvents, sizes: &[u64]) -> Volume {
    let copies = events.copies();
    assert_eq!(copies.len(), sizes.len());
    for (destination, copied) in copies {
        let number = destination.rsplit_once(":v").unwrap().1;
        let size = sizes[number.parse::<usize>().unwrap()];
        let volume = copied.volume;
        assert_eq!(volume_bytes(volume), size, "{destination}: {volume:?}");
    }
    events.summary().volume
}

#[tokio::test]
async fn blobs_of_another_image_in_the_repository_are_shared() {
    let (scenario, sizes) = scenario_with_images(7, &["dst.example/copy"]);
    let all = checked_volume(&*scenario.run().await, &sizes);
    let shared = 6 * LAYERS[0].len() as u64;
    assert_eq!((all.shared_bytes, all.present_bytes), (shared, 0));
    assert_eq!(all.bytes, sizes.iter().sum::<u64>() - shared);
    assert_eq!(all.mounted_bytes, 0);
}

#[tokio::test]
async fn blobs_of_another_image_in_another_repository_are_mounted() {
    let (mut scenario, sizes) = scenario_with_images(2, &["dst.example/copy"]);
    scenario.rules = vec![
        rule("src.example/app:v0", &["dst.example/one"]),
        rule("src.example/app:v1", &["dst.example/two"]),
    ];
    let all = checked_volume(&*scenario.run().await, &sizes);
    assert_eq!(all.mounted_bytes, LAYERS[0].len() as u64);
    assert_eq!((all.shared_bytes, all.present_bytes), (0, 0));
}

#[tokio::test]
async fn existing_blobs_are_present_for_each_image() {
    let (scenario, sizes) = scenario_with_images(2, &["dst.example/copy"]);
    let destination = &scenario.destination;
    scenario.stores.blob(destination, LAYERS[0], LAYERS[0]);
    let all = checked_volume(&*scenario.run().await, &sizes);
    assert_eq!(all.present_bytes, 2 * LAYERS[0].len() as u64);
    assert_eq!(all.shared_bytes, 0);
}

#[tokio::test]
async fn two_destinations_get_all_bytes_and_the_source_is_read_once() {
    let (scenario, sizes) = scenario_with_images(1, &["one.example/x", "two.example/x"]);
    let run = scenario.prepare(settings(), &scenario.rules);
    let volume = run.finish(CancellationToken::new()).await.summary().volume;
    assert_eq!((volume.bytes, volume.shared_bytes), (2 * sizes[0], 0));
    let progress = run.engine.progress();
    assert_eq!(progress.bytes_streamed(), 2 * sizes[0]);
    assert_eq!(progress.bytes_fetched(), sizes[0]);
}
