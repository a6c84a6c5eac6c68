//! The workloads, each with its requirements.

use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::image::Image;
use testkit::{Layer, Platform, State};

pub(crate) const MIB: u64 = 1 << 20;

/// A row of the benchmark. Everything in `bench/NAME` at the source is copied to `mirror/NAME` at each destination.
pub(crate) struct Workload {
    /// Name for `--only`.
    pub(crate) name: &'static str,
    /// Description of the content and the conditions.
    pub(crate) title: &'static str,
    /// Latency of every answer in milliseconds.
    pub(crate) latency: u64,
    /// Limit of each connection to the source in bytes per second.
    pub(crate) source_rate: Option<u64>,
    /// Limit of each connection to a destination in bytes per second.
    pub(crate) destination_rate: Option<u64>,
    /// True if destinations mount blobs; otherwise they answer every mount with an upload session.
    pub(crate) mounts: bool,
    /// Number of requests a second above which destinations answer 429.
    pub(crate) requests_per_second: Option<u32>,
    /// Number of destination registries.
    pub(crate) destinations: usize,
    /// Form of the relay on the same bytes, if there is a comparison.
    pub(crate) relay: Option<Shape>,
    /// True if all tags are declared immutable, and known from an earlier run.
    pub(crate) immutable: bool,
    /// True if there are so many requests that the registries only count them.
    pub(crate) many: bool,
    /// Ends whose registries list the digests of tags, as Harbor does.
    pub(crate) lists_digests: ListsDigests,
    /// True if the source has the referrers API.
    pub(crate) referrers: bool,
    /// Builds the images.
    pub(crate) fill: fn() -> Content,
    /// Requirements.
    pub(crate) figures: &'static [Figure],
}

/// A requirement on the medians of a workload.
pub(crate) enum Figure {
    /// Wall time, in seconds, at most.
    Seconds(f64),
    /// Wall time, in seconds or as a multiple of the relay's, at most: one of the two is enough.
    SecondsOrRelay(f64, f64),
    /// CPU seconds per gigabyte, as a multiple of the relay's, at most.
    CpuOfRelay(f64),
    /// Requests at both ends, including those for tokens, at most.
    Requests(u64),
    /// No requests except for lists of tags and for tokens.
    ListsAndTokens,
    /// The destination gets this many manifests and no blob request.
    PutsOnly(u64),
    /// The source sends every byte once.
    FetchedOnce,
    /// The source sends at most this multiple of the unique bytes.
    FetchedAtMost(f64),
    /// Each destination registry gets every byte once.
    SentOnce,
    /// Peak memory, in MiB, less than this.
    PeakMib(f64),
    /// Tags per second, at least.
    TagsPerSecond(f64),
    /// A multiple of the speed limit of one connection to the source, at least.
    TimesOneConnection(f64),
    /// Requests that are answered 429, at most.
    Refused(u64),
    /// A multiple of the time in which a limited destination accepts so many requests, at most.
    TimesLimit(f64),
    /// A multiple of the wall time of the same copy to one destination, at most.
    ThanOneDestination(f64),
}

/// Ends whose registries list the digests of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListsDigests {
    /// None.
    Nowhere,
    /// The source.
    Source,
    /// The source and the destinations.
    Everywhere,
}

/// Distribution of the three stages of a blob: decrypting, hashing, encrypting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// On one task: the cheapest, and right for as many blobs as cores.
    Together,
    /// On one task each: three cores for a single blob.
    Apart,
}

/// The images of a workload.
pub(crate) struct Content {
    /// Contents of the source.
    pub(crate) source: State,
    /// Contents of a destination before a run.
    pub(crate) destination: Box<dyn Fn() -> State>,
    /// Names of the repositories, without `bench/` and `mirror/`.
    pub(crate) repositories: Vec<String>,
    /// Number of tags at the source.
    pub(crate) tags: u64,
    /// Size of all blobs of the source that a destination lacks, each counted once.
    pub(crate) unique: u64,
}

/// No latency, no limits, one destination, no figures.
pub(crate) const PLAIN: Workload = Workload {
    name: "",
    title: "",
    latency: 0,
    source_rate: None,
    destination_rate: None,
    mounts: true,
    requests_per_second: None,
    destinations: 1,
    relay: None,
    immutable: false,
    many: false,
    lists_digests: ListsDigests::Nowhere,
    referrers: false,
    fill: || copied(&[]),
    figures: &[],
};

/// All workloads, in order of execution.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "unchanged",
        title: "1,000 unchanged tags in 50 repositories, half of them 5-platform indexes, 20 ms",
        latency: 20,
        fill: || unchanged(50, 20, true),
        figures: &[Figure::Requests(2160), Figure::Seconds(0.7)],
        ..PLAIN
    },
    Workload {
        name: "listed",
        title: "the same between registries that list digests as Harbor does, 20 ms",
        latency: 20,
        lists_digests: ListsDigests::Everywhere,
        fill: || unchanged(50, 20, true),
        figures: &[Figure::Requests(160)],
        ..PLAIN
    },
    Workload {
        name: "listed-source",
        title: "the same to a registry without such a list, 20 ms",
        latency: 20,
        lists_digests: ListsDigests::Source,
        fill: || unchanged(50, 20, true),
        figures: &[Figure::Requests(1160)],
        ..PLAIN
    },
    Workload {
        name: "immutable",
        title: "the same as `unchanged`, all tags declared immutable and known, 20 ms",
        latency: 20,
        immutable: true,
        fill: || unchanged(50, 20, true),
        figures: &[Figure::ListsAndTokens],
        ..PLAIN
    },
    Workload {
        name: "small",
        title: "100 new images × 6 layers of 64 KiB, 4 shared by all, 10 repositories, 20 ms",
        latency: 20,
        fill: || small(10, 10),
        figures: &[
            Figure::FetchedOnce,
            Figure::SentOnce,
            Figure::Requests(1300),
            Figure::Seconds(1.0),
        ],
        ..PLAIN
    },
    Workload {
        name: "shared",
        title: "40 repositories, 90 % of 206 MB shared, mounts allowed",
        fill: shared,
        figures: &[Figure::SentOnce, Figure::FetchedOnce, Figure::Seconds(0.7)],
        ..PLAIN
    },
    Workload {
        name: "refused",
        title: "40 repositories, 90 % of 206 MB shared, mounts refused",
        mounts: false,
        fill: shared,
        figures: &[Figure::FetchedAtMost(3.0)],
        ..PLAIN
    },
    Workload {
        name: "layers",
        title: "10 tags × 5 new layers of 64 KiB, 40 ms",
        latency: 40,
        fill: layers,
        figures: &[Figure::Seconds(0.6)],
        ..PLAIN
    },
    Workload {
        name: "tags",
        title: "5 further tags on a digest that is there, 20 ms",
        latency: 20,
        fill: further,
        figures: &[Figure::PutsOnly(5)],
        ..PLAIN
    },
    Workload {
        name: "large",
        title: "8 images × 256 MiB",
        relay: Some(Shape::Together),
        fill: || large(8, 256 * MIB),
        figures: &[Figure::SecondsOrRelay(1.8, 1.15), Figure::CpuOfRelay(1.15)],
        ..PLAIN
    },
    Workload {
        name: "giant",
        title: "one layer of 4 GiB",
        relay: Some(Shape::Apart),
        fill: || large(1, 4096 * MIB),
        figures: &[Figure::SecondsOrRelay(3.5, 1.15), Figure::PeakMib(24.0)],
        ..PLAIN
    },
    Workload {
        name: "ranges",
        title: "one layer of 1 GiB, 20 MB/s a connection to the source, 50 ms",
        latency: 50,
        source_rate: Some(20_000_000),
        fill: || large(1, 1024 * MIB),
        // The budget and the window of ranges: docs/performance.md.
        figures: &[Figure::TimesOneConnection(3.0), Figure::PeakMib(56.0)],
        ..PLAIN
    },
    Workload {
        name: "fan-out",
        title: "2 images × 4 layers of 32 MiB to 3 destinations, 50 MB/s a connection to each",
        destination_rate: Some(50_000_000),
        destinations: 3,
        fill: fan_out,
        figures: &[Figure::FetchedOnce, Figure::ThanOneDestination(1.3)],
        ..PLAIN
    },
    Workload {
        name: "uneven",
        title: "60 layers of 4 MiB to 3 destinations, of which one has 20, 50 MB/s a connection to each, 20 ms",
        latency: 20,
        destination_rate: Some(50_000_000),
        destinations: 3,
        fill: uneven,
        figures: &[Figure::FetchedOnce],
        ..PLAIN
    },
    Workload {
        name: "limited",
        title: "200 tags in 10 repositories, 40 of them new, 429 above 50 requests a second, 20 ms",
        latency: 20,
        requests_per_second: Some(50),
        fill: limited,
        figures: &[Figure::Refused(100), Figure::TimesLimit(1.3)],
        ..PLAIN
    },
    Workload {
        name: "many",
        title: "100,000 unchanged tags in 100 repositories",
        many: true,
        fill: || unchanged(100, 1000, false),
        figures: &[Figure::PeakMib(64.0), Figure::TagsPerSecond(5000.0)],
        ..PLAIN
    },
];

/// Returns images in repositories that no destination has.
fn copied(images: &[(String, String, Image)]) -> Content {
    let source = State::default();
    let mut repositories: Vec<String> = Vec::new();
    let mut blobs = std::collections::BTreeMap::new();
    for (repository, tag, image) in images {
        source.put_image(&format!("bench/{repository}"), Some(tag), image);
        if !repositories.contains(repository) {
            repositories.push(repository.clone());
        }
        let sizes = image.blobs().iter();
        blobs.extend(sizes.map(|blob| (blob.digest().to_owned(), blob.size())));
    }
    Content {
        source,
        destination: Box::new(State::default),
        repositories,
        tags: images.len() as u64,
        unique: blobs.values().sum(),
    }
}

/// Returns tags that every destination already has.
pub(crate) fn unchanged(repositories: u64, tags: u64, indexes: bool) -> Content {
    let (source, destination) = (State::default(), State::default());
    let names: Vec<String> = (0..repositories).map(|r| format!("r{r:03}")).collect();
    let base = Layer::synthetic(64 << 10, 0);
    for (at, name) in names.iter().enumerate() {
        for tag in 0..tags {
            let label = format!("{name}:{tag}");
            let image = if indexes && at % 2 == 0 {
                index(&base, &label)
            } else {
                Image::oci().layer(base.clone()).label(label).build()
            };
            let tag = format!("v{tag}");
            source.put_image(&format!("bench/{name}"), Some(&tag), &image);
            destination.put_image(&format!("mirror/{name}"), Some(&tag), &image);
        }
    }
    Content {
        source,
        destination: Box::new(move || destination.clone()),
        repositories: names,
        tags: repositories * tags,
        unique: 0,
    }
}

/// Returns an index of five platforms.
fn index(base: &Layer, label: &str) -> Image {
    let platforms = ["amd64", "arm64", "s390x", "ppc64le", "riscv64"];
    Image::index(platforms.map(|platform| {
        Image::oci()
            .platform(Platform::linux(platform))
            .layer(base.clone())
            .label(format!("{label} {platform}"))
            .build()
    }))
}

/// Returns small images of which every destination has four fifths.
fn limited() -> Content {
    let base = Layer::synthetic(64 << 10, 0);
    let images: Vec<_> = (0..200)
        .map(|n| {
            let layers = [base.clone(), Layer::synthetic(4 << 10, 1 + n)];
            let (repository, tag) = (format!("r{:03}", n / 20), format!("v{}", n % 20));
            (repository, tag, labelled(layers, n))
        })
        .collect();
    let content = copied(&images);
    let destination = move || {
        let state = State::default();
        let known = images.iter().enumerate().filter(|(n, _)| n % 5 != 0);
        for (_, (repository, tag, image)) in known {
            state.put_image(&format!("mirror/{repository}"), Some(tag), image);
        }
        state
    };
    Content {
        destination: Box::new(destination),
        ..content
    }
}

/// Returns images of six layers, of which all images share four.
pub(crate) fn small(repositories: u64, tags: u64) -> Content {
    let images: Vec<_> = (0..repositories * tags)
        .map(|n| {
            let layers = [1, 2, 3, 4, 1000 + 2 * n, 1001 + 2 * n];
            let layers = layers.map(|seed| Layer::synthetic(64 << 10, seed));
            (
                format!("r{:03}", n / tags),
                format!("v{}", n % tags),
                labelled(layers, n),
            )
        })
        .collect();
    copied(&images)
}

/// Returns one image with this number of layers.
pub(crate) fn layers_of(number: u64, size: u64) -> Content {
    let layers = (0..number).map(|seed| Layer::synthetic(size, seed));
    copied(&[("r000".to_owned(), "v1".to_owned(), labelled(layers, 0))])
}

fn shared() -> Content {
    let images: Vec<_> = (0..40)
        .map(|n| {
            let common = (1..=6).map(|seed| Layer::synthetic(6 * MIB, seed));
            let own = Layer::synthetic(4 * MIB, 100 + n);
            (
                format!("r{n:03}"),
                "v1".to_owned(),
                labelled(common.chain([own]), n),
            )
        })
        .collect();
    copied(&images)
}

fn layers() -> Content {
    let images: Vec<_> = (0..10)
        .map(|n| {
            let layers = (0..5).map(|layer| Layer::synthetic(64 << 10, 10 * n + layer));
            ("r000".to_owned(), format!("v{n}"), labelled(layers, n))
        })
        .collect();
    copied(&images)
}

fn further() -> Content {
    let image = labelled((0..5).map(|seed| Layer::synthetic(64 << 10, seed)), 0);
    let images: Vec<_> = (0..6)
        .map(|n| ("r000".to_owned(), format!("v{n}"), image.clone()))
        .collect();
    let there = move || {
        let state = State::default();
        state.put_image("mirror/r000", Some("v0"), &image);
        state
    };
    Content {
        destination: Box::new(there),
        unique: 0,
        ..copied(&images)
    }
}

fn large(images: u64, size: u64) -> Content {
    let images: Vec<_> = (0..images)
        .map(|n| {
            let layer = Layer::synthetic(size, n);
            (format!("r{n:03}"), "v1".to_owned(), labelled([layer], n))
        })
        .collect();
    copied(&images)
}

fn fan_out() -> Content {
    let images: Vec<_> = (0..2)
        .map(|n| {
            let layers = (0..4).map(|layer| Layer::synthetic(32 * MIB, 10 * n + layer));
            ("r000".to_owned(), format!("v{n}"), labelled(layers, n))
        })
        .collect();
    copied(&images)
}

/// Returns an image of which every third destination has some layers.
fn uneven() -> Content {
    let layers: Vec<_> = (0..60).map(|n| Layer::synthetic(4 * MIB, n)).collect();
    let image = labelled(layers.clone(), 0);
    let mut known = layers;
    // Layers of equal size are copied in the order of their digests, so the destination lacks the last ones.
    known.sort_by_key(|layer| layer.digest().to_owned());
    known.truncate(20);
    let number = AtomicUsize::new(0);
    let destination = move || {
        let state = State::default();
        if number.fetch_add(1, Ordering::Relaxed) % 3 == 1 {
            let older = labelled(known.clone(), 1);
            state.put_image("mirror/r000", Some("v0"), &older);
        }
        state
    };
    Content {
        destination: Box::new(destination),
        ..copied(&[("r000".to_owned(), "v1".to_owned(), image)])
    }
}

fn labelled(layers: impl IntoIterator<Item = Layer>, n: u64) -> Image {
    Image::oci().layers(layers).label(n.to_string()).build()
}
