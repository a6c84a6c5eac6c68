//! Volumes of images add up to the size of their content, whichever image copied a shared blob.

use image_syncer_registry::Manifest;

use crate::event::Volume;
use crate::scenario::*;
use crate::store::memory::repository;

const LAYERS: [&str; 2] = ["a layer that all of them have", "of one alone: "];

struct World {
    stores: MemoryStores,
    /// Bytes of the blobs of each image.
    sizes: Vec<u64>,
}

impl World {
    /// Images `src.example/app:v0` and on, which share their first layer.
    fn of(images: usize) -> Self {
        let (stores, source) = (MemoryStores::new(), repository("src.example/app"));
        let push = |number: usize| {
            let own = format!("{}{number}", LAYERS[1]);
            let layers = [LAYERS[0], &own];
            let name = format!("image{number}");
            let image = stores.image(&source, &name, "linux/amd64", &layers);
            stores.tag(&source, &format!("v{number}"), &image);
            blob_bytes(&image)
        };
        let sizes = (0..images).map(push).collect();
        Self { stores, sizes }
    }

    async fn run(&self, rules: &[Arc<Rule>]) -> (Vec<(String, Volume)>, Arc<Heard>) {
        let heard = run(&self.stores, settings(), rules).await;
        let mut volumes: Vec<(String, Volume)> = lock(&heard.events)
            .iter()
            .filter_map(|event| match event {
                Event::ImageFinished {
                    image,
                    outcome: Outcome::Copied(copied),
                    ..
                } => Some((image.destination.clone(), copied.volume)),
                _ => None,
            })
            .collect();
        volumes.sort_by(|(a, _), (b, _)| a.cmp(b));
        (volumes, heard)
    }

    fn assert_add_up(&self, volumes: &[(String, Volume)]) {
        for (destination, volume) in volumes {
            let number = destination.rsplit_once(":v").unwrap().1;
            let size = self.sizes[number.parse::<usize>().unwrap()];
            assert_eq!(sum(*volume), size, "{destination}: {volume:?}");
        }
    }
}

fn blob_bytes(image: &Manifest) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(image.bytes()).unwrap();
    let layers = document["layers"].as_array().unwrap().iter();
    let blobs = layers.chain([&document["config"]]);
    blobs.map(|blob| blob["size"].as_u64().unwrap()).sum()
}

fn sum(volume: Volume) -> u64 {
    volume.bytes + volume.mounted_bytes + volume.present_bytes + volume.shared_bytes
}

#[tokio::test]
async fn blobs_of_another_image_in_the_repository_are_shared() {
    let world = World::of(7);
    let rules = [rule("src.example/app", &["dst.example/copy"])];
    let (volumes, heard) = world.run(&rules).await;
    assert_eq!(volumes.len(), 7);
    world.assert_add_up(&volumes);
    let all = heard.summary().volume;
    let shared = 6 * LAYERS[0].len() as u64;
    assert_eq!((all.shared_bytes, all.present_bytes), (shared, 0));
    assert_eq!(all.bytes, world.sizes.iter().sum::<u64>() - shared);
    assert_eq!(all.mounted_bytes, 0);
}

#[tokio::test]
async fn blobs_of_another_image_in_another_repository_are_mounted() {
    let world = World::of(2);
    let rules = [
        rule("src.example/app:v0", &["dst.example/one"]),
        rule("src.example/app:v1", &["dst.example/two"]),
    ];
    let (volumes, heard) = world.run(&rules).await;
    world.assert_add_up(&volumes);
    let all = heard.summary().volume;
    assert_eq!(all.mounted_bytes, LAYERS[0].len() as u64);
    assert_eq!((all.shared_bytes, all.present_bytes), (0, 0));
}

#[tokio::test]
async fn existing_blobs_are_present_for_each_image() {
    let world = World::of(2);
    let destination = repository("dst.example/copy");
    world.stores.blob(&destination, LAYERS[0], LAYERS[0]);
    let rules = [rule("src.example/app", &["dst.example/copy"])];
    let (volumes, heard) = world.run(&rules).await;
    world.assert_add_up(&volumes);
    let all = heard.summary().volume;
    assert_eq!(all.present_bytes, 2 * LAYERS[0].len() as u64);
    assert_eq!(all.shared_bytes, 0);
}

#[tokio::test]
async fn two_destinations_get_all_bytes_and_the_source_is_read_once() {
    let world = World::of(1);
    let heard = Arc::new(Heard::default());
    let stores = Arc::new(world.stores.clone());
    let engine = Engine::new(stores, settings(), heard.clone());
    let rules = vec![rule("src.example/app", &["one.example/x", "two.example/x"])];
    engine.run(rules, CancellationToken::new()).await;
    assert_eq!(heard.summary().volume.bytes, 2 * world.sizes[0]);
    assert_eq!(heard.summary().volume.shared_bytes, 0);
    let progress = engine.progress();
    assert_eq!(progress.bytes_streamed(), 2 * world.sizes[0]);
    assert_eq!(progress.bytes_fetched(), world.sizes[0]);
}
