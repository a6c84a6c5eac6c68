//! Referrers of an image: calls, pushes, their order, and failures.

use image_syncer_registry::{ErrorKind, Manifest, Tag};
use serde_json::json;

use crate::rule::Referrers;
use crate::scenario::*;
use crate::store::memory::{blob_json, entry, error, repository};

mod interval;
mod trouble;

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";
const DESTINATION: &str = "dst.example/copy";

struct World {
    stores: MemoryStores,
    source: Repository,
    rules: Vec<Arc<Rule>>,
}

fn world(source: &str) -> World {
    World {
        stores: MemoryStores::new(),
        source: repository("src.example/app"),
        rules: vec![rule(source, &[DESTINATION])],
    }
}

/// Settings with referrers, the default of the program.
fn accompanied() -> Settings {
    Settings {
        referrers: Some(Arc::default()),
        ..settings()
    }
}

fn deep() -> Settings {
    Settings {
        referrers: Some(Arc::new(Referrers {
            deep: true,
            ..Referrers::default()
        })),
        ..settings()
    }
}

fn only_types(types: &[&str]) -> Settings {
    Settings {
        referrers: Some(Arc::new(Referrers {
            types: types.iter().map(|&t| t.to_owned()).collect(),
            ..Referrers::default()
        })),
        ..settings()
    }
}

impl World {
    fn image(&self, name: &str, tags: &[&str]) -> Manifest {
        let image = self
            .stores
            .image(&self.source, name, "linux/amd64", &["base"]);
        for tag in tags {
            self.stores.tag(&self.source, tag, &image);
        }
        image
    }
    /// An index of two images, `amd` and `arm`.
    fn index(&self, tag: &str) -> [Manifest; 3] {
        let image = |name, platform| self.stores.image(&self.source, name, platform, &[name]);
        let (amd, arm) = (image("amd", "linux/amd64"), image("arm", "linux/arm64"));
        let entries = [
            entry(&amd, Some("linux/amd64")),
            entry(&arm, Some("linux/arm64")),
        ];
        let index = self.stores.index(&self.source, "index", &entries);
        self.stores.tag(&self.source, tag, &index);
        [index, amd, arm]
    }
    /// An artifact that refers to `subject`.
    fn referrer(&self, name: &str, artifact_type: &str, subject: &Manifest) -> Manifest {
        let blob = self
            .stores
            .blob(&self.source, &format!("{name}.blob"), name.to_owned());
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": artifact_type,
            "config": blob_json("application/vnd.oci.empty.v1+json", &blob),
            "layers": [],
            "subject": entry(subject, None),
        });
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        self.stores
            .document(&self.source, name, media_type, &document)
    }
    /// Sets cosign's tag for `subject`.
    fn companion(&self, suffix: &str, subject: &Manifest, named: &Manifest) -> String {
        let tag = format!("{}{suffix}", Tag::of_referrers_to(subject.digest()));
        self.stores.tag(&self.source, &tag, named);
        tag
    }
    async fn run(&self, settings: Settings) -> Arc<Heard> {
        run(&self.stores, settings, &self.rules).await
    }
    /// Pushes and list updates, in order. Clears all calls.
    fn pushes(&self) -> Vec<String> {
        let calls = self.stores.calls();
        self.stores.take_sorted();
        let pushes = calls.into_iter();
        pushes
            .filter(|call| call.starts_with("put-manifest") || call.starts_with("attach"))
            .map(|call| call.replace(" dst.example/copy", " "))
            .collect()
    }
    /// Referrer queries, sorted. Clears all calls.
    fn questions(&self) -> Vec<String> {
        let mut calls = self.stores.take_sorted();
        calls.retain(|call| call.starts_with("referrers"));
        calls
    }
    fn has(&self, manifest: &Manifest) -> bool {
        self.stores
            .holds_manifest(&repository(DESTINATION), manifest.digest())
    }
}

fn warnings(heard: &Heard) -> Vec<String> {
    heard.summary().warnings
}

#[tokio::test]
async fn the_tag_comes_last_after_children_root_and_signatures() {
    let world = world("src.example/app:v1");
    let [index, amd, _] = world.index("v1");
    let signature = world.referrer("signature", SIGNATURE, &index);
    world.referrer("note", SIGNATURE, &signature);
    world.referrer("sbom", SBOM, &amd);
    let cosign = world.image("cosign", &[]);
    let tag = world.companion(".sig", &index, &cosign);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().copied, 1);
    assert_eq!(heard.copied().referrers, 4);
    let pushes = world.pushes();
    let at = |push: &str| {
        let found = pushes.iter().position(|found| found == push);
        found.unwrap_or_else(|| panic!("no {push} in {pushes:#?}"))
    };
    let root = at("put-manifest @index");
    assert!(at("put-manifest @amd") < root && at("put-manifest @arm") < root);
    assert!(root < at("put-manifest @signature"));
    assert!(root < at("put-manifest @sbom"));
    assert!(root < at(&format!("put-manifest :{tag}")));
    assert!(at("put-manifest @signature") < at("attach @index"));
    assert!(at("attach @index") < at("put-manifest @note"));
    assert!(at("put-manifest @note") < at("attach @signature"));
    assert_eq!(at("put-manifest :v1"), pushes.len() - 1);
    // Three and five manifests, the root twice, and three lists.
    assert_eq!(pushes.len(), 3 + 4 + 1 + 3);
}

#[tokio::test]
async fn an_image_without_referrers_costs_no_further_push() {
    let world = world("src.example/app:v1");
    world.image("image", &["v1"]);
    world.run(accompanied()).await;
    assert_eq!(world.pushes(), ["put-manifest :v1"]);
}

#[tokio::test]
async fn the_root_of_an_unchanged_image_is_queried_and_a_late_signature_is_copied_alone() {
    let world = world("src.example/app:v1");
    let [index, amd, _] = world.index("v1");
    world.run(accompanied()).await;
    world.stores.take_sorted();
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().unchanged, 1);
    assert_eq!(world.questions(), ["referrers src.example/app@index"]);

    world.referrer("late", SIGNATURE, &index);
    world.referrer("late-sbom", SBOM, &amd);
    let heard = world.run(accompanied()).await;
    let copied = heard.copied();
    assert_eq!((copied.referrers, copied.volume.manifests), (1, 1));
    assert!(copied.root_unchanged);
    assert_eq!(world.pushes(), ["put-manifest @late", "attach @index"]);

    // Only the deep query finds those of the children.
    let heard = world.run(deep()).await;
    assert_eq!(heard.copied().referrers, 1);
    assert_eq!(world.pushes(), ["put-manifest @late-sbom", "attach @amd"]);

    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().unchanged, 1);
    let expected = [
        "referrers src.example/app@index",
        "referrers-for-push dst.example/copy@index",
    ];
    assert_eq!(world.questions(), expected);
}

#[tokio::test]
async fn without_referrers_no_query_is_sent() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let signature = world.referrer("signature", SIGNATURE, &image);
    world.run(settings()).await;
    assert_eq!(world.questions(), Vec::<String>::new());
    assert!(world.has(&image) && !world.has(&signature));
}

#[tokio::test]
async fn referrers_of_tags_with_one_digest_are_copied_once() {
    let world = world("src.example/app:v1,v2,v3");
    let image = world.image("image", &["v1", "v2", "v3"]);
    world.referrer("signature", SIGNATURE, &image);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().copied, 3);
    let mut questions = world.stores.calls();
    questions.retain(|call| call.starts_with("referrers"));
    questions.sort();
    let expected = [
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ];
    assert_eq!(questions, expected);
    let pushes = world.pushes();
    let signatures = pushes.iter().filter(|push| push.ends_with("@signature"));
    assert_eq!(signatures.count(), 1);

    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().unchanged, 3);
    let expected = [
        "referrers src.example/app@image",
        "referrers-for-push dst.example/copy@image",
    ];
    assert_eq!(world.questions(), expected);
}

#[tokio::test]
async fn destinations_share_the_queries_at_the_source() {
    let mut world = world("src.example/app:v1");
    world.rules = vec![rule(
        "src.example/app:v1",
        &["one.example/a", "two.example/a"],
    )];
    let image = world.image("image", &["v1"]);
    let signature = world.referrer("signature", SIGNATURE, &image);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.summary().copied, 2);
    for place in ["one.example/a", "two.example/a"] {
        assert!(
            world
                .stores
                .holds_manifest(&repository(place), signature.digest())
        );
    }
    assert_eq!(world.stores.count("manifest src.example/app@signature"), 1);
    let expected = [
        "referrers src.example/app@image",
        "referrers src.example/app@signature",
    ];
    assert_eq!(world.questions(), expected);
}

#[tokio::test]
async fn what_the_filter_drops_leaves_its_referrers_behind() {
    let world = world("src.example/app:v1");
    let [index, amd, arm] = world.index("v1");
    let whole = world.referrer("whole", SIGNATURE, &index);
    let kept = world.referrer("kept", SIGNATURE, &amd);
    let dropped = world.referrer("dropped", SIGNATURE, &arm);
    let filtered = Settings {
        referrers: Some(Arc::default()),
        ..only("amd64")
    };
    let heard = world.run(filtered.clone()).await;
    assert!(heard.copied().filtered);
    assert_eq!(heard.copied().referrers, 1);
    assert!(world.has(&kept) && !world.has(&whole) && !world.has(&dropped));
    let warnings = warnings(&heard);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("do not cover it and are left behind"),
        "{}",
        warnings[0]
    );
    assert_eq!(world.run(filtered).await.summary().unchanged, 1);
}

#[tokio::test]
async fn an_image_pinned_by_digest_needs_no_tag() {
    let mut world = world("src.example/app:v1");
    let image = world.image("image", &[]);
    let signature = world.referrer("signature", SIGNATURE, &image);
    let pinned = format!("src.example/app@{}", image.digest());
    world.rules = vec![rule(&pinned, &[DESTINATION])];
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.copied().referrers, 1);
    let expected = [
        "put-manifest @image",
        "put-manifest @signature",
        "attach @image",
    ];
    assert_eq!(world.pushes(), expected);
    assert!(world.has(&signature));
    assert_eq!(world.run(accompanied()).await.summary().unchanged, 1);
}

#[tokio::test]
async fn only_the_selected_types_are_copied() {
    for (types, expected) in [
        (vec![SBOM], [false, true, false]),
        (vec![SIGNATURE, "cosign"], [true, false, true]),
        (vec!["cosign"], [false, false, true]),
    ] {
        let world = world("src.example/app:v1");
        let image = world.image("image", &["v1"]);
        let signature = world.referrer("signature", SIGNATURE, &image);
        let sbom = world.referrer("sbom", SBOM, &image);
        let cosign = world.image("cosign", &[]);
        world.companion(".att", &image, &cosign);
        world.run(only_types(&types)).await;
        let found = [&signature, &sbom, &cosign].map(|one| world.has(one));
        assert_eq!(found, expected, "{types:?}");
    }
}

#[tokio::test]
async fn referrers_of_a_signature_are_pushed_before_its_tag() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let cosign = world.image("cosign", &[]);
    let tag = world.companion(".sig", &image, &cosign);
    world.referrer("note", SIGNATURE, &cosign);
    let heard = world.run(accompanied()).await;
    assert_eq!(heard.copied().referrers, 2);
    let expected = [
        "put-manifest @image".to_owned(),
        "put-manifest @cosign".to_owned(),
        "put-manifest @note".to_owned(),
        "attach @cosign".to_owned(),
        format!("put-manifest :{tag}"),
        "put-manifest :v1".to_owned(),
    ];
    assert_eq!(world.pushes(), expected);
}

#[tokio::test]
async fn a_moved_signature_tag_is_copied_again() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let tag = world.companion(".sig", &image, &world.image("first", &[]));
    world.run(accompanied()).await;
    world.pushes();
    assert_eq!(world.run(accompanied()).await.summary().unchanged, 1);
    assert_eq!(world.pushes(), Vec::<String>::new());
    world.companion(".sig", &image, &world.image("second", &[]));
    let heard = world.run(accompanied()).await;
    assert!(heard.copied().root_unchanged);
    assert_eq!(world.pushes(), [format!("put-manifest :{tag}")]);
}

#[tokio::test]
async fn force_pushes_referrers_and_verify_repairs_them() {
    let world = world("src.example/app:v1");
    let image = world.image("image", &["v1"]);
    let signature = world.referrer("signature", SIGNATURE, &image);
    world.run(accompanied()).await;
    world.pushes();

    let again = Settings {
        force: true,
        ..accompanied()
    };
    world.run(again).await;
    let expected = [
        "put-manifest @image",
        "put-manifest @signature",
        "attach @image",
        "put-manifest :v1",
    ];
    assert_eq!(world.pushes(), expected);

    let blob = signature.view().unwrap();
    let image_syncer_registry::manifest::ManifestView::Image(blob) = blob else {
        panic!("it is an image");
    };
    let blob = blob.config.unwrap().digest;
    world.stores.remove_blob(&repository(DESTINATION), &blob);
    let verifying = Settings {
        verify: true,
        ..accompanied()
    };
    let heard = world.run(verifying.clone()).await;
    assert_eq!(heard.copied().referrers, 1);
    assert!(
        world
            .stores
            .blob_bytes(&repository(DESTINATION), &blob)
            .is_some()
    );
    let heard = world.run(verifying).await;
    assert_eq!(
        (heard.summary().unchanged, heard.summary().verified),
        (1, 1)
    );
}
