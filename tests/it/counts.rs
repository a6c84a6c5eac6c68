//! No request is made whose answer is known.

use testkit::{Image, Kind, Layer, Registry};

use crate::support::{Place, image, index, insecure, registry};

/// Copies `a:v1`, twice; gives the kinds of requests of each run at source and destination.
struct Runs {
    source: Registry,
    destination: Registry,
    place: Place,
}

impl Runs {
    fn of(image: &Image) -> Self {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), image);
        let place = Place::new()
            .file(
                "images.yaml",
                &format!("{}/a:v1: {}/a\n", source.host(), destination.host()),
            )
            .file("auth.yaml", &insecure(&[&source, &destination]));
        Self {
            source,
            destination,
            place,
        }
    }

    fn run(&self) -> (Vec<Kind>, Vec<Kind>) {
        self.source.clear_requests();
        self.destination.clear_requests();
        self.place
            .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
            .exits(0);
        let kinds = |registry: &Registry| registry.requests().iter().map(|r| r.kind).collect();
        (kinds(&self.source), kinds(&self.destination))
    }
}

#[test]
fn an_unchanged_image_costs_a_head_at_each_end() {
    for image in [image("a"), index("a")] {
        let runs = Runs::of(&image);
        runs.run();
        let (source, destination) = runs.run();
        assert_eq!(source, [Kind::ManifestHead]);
        assert_eq!(destination, [Kind::ManifestHead]);
    }
}

#[test]
fn a_new_image_of_l_layers_costs_at_most_3l_and_7() {
    for layers in [1, 5, 12] {
        let image = Image::single((0..layers).map(|n| Layer::tar(&format!("layer {n}"), 1_000)));
        let (source, destination) = Runs::of(&image).run();
        let requests = source.len() + destination.len();
        assert!(
            requests <= 3 * layers + 7,
            "{layers} layers: {requests} requests: {source:?} {destination:?}"
        );
    }
}
