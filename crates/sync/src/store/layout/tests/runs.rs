//! Whole runs from and to layouts.

use image_syncer_registry::ErrorKind;

use super::*;
use crate::engine::{Engine, Stop};
use crate::failure::Side;
use crate::rule::Rule;
use crate::scenario::{
    RunEvents, Scenario, Settings, only, rule, settings, verifying, with_intent, with_referrers,
};
use crate::settings::Intent;
use crate::store::memory::repository;
use crate::store::{EndpointStores, Repository};

/// Registries in memory, and a layout.
struct World {
    scenario: Scenario,
    folder: Folder,
    stores: Arc<EndpointStores>,
}

impl World {
    fn new() -> Self {
        let scenario = Scenario::new("src.example/app", &["dst.example/app"]);
        let stores = Arc::new(EndpointStores::new(scenario.stores.clone()));
        Self {
            scenario,
            folder: Folder::new(),
            stores,
        }
    }
    fn in_layout(&self, name: &str) -> Repository {
        Repository::in_layout(&self.folder.layout(), name)
    }
    async fn run(
        &self,
        settings: Settings,
        rules: &[(&Repository, &Repository)],
    ) -> Arc<RunEvents> {
        let rules = rules.iter().map(|(source, destination)| {
            let mut rule = Rule::clone(&rule("src.example/app", &["dst.example/app"]));
            rule.source.repository = Repository::clone(source);
            rule.destinations[0].repository = Repository::clone(destination);
            Arc::new(rule)
        });
        let rules: Vec<Arc<Rule>> = rules.collect();
        let rules = settings.complete(&rules);
        let events = Arc::new(RunEvents::default());
        let engine = Engine::new(self.stores.clone(), settings.into(), events.clone());
        engine
            .run(
                rules,
                Stop::from(tokio_util::sync::CancellationToken::new()),
            )
            .await;
        assert!(events.summary().is_complete());
        events
    }
    /// Copies the source to the layout as `quay.io/a/b`.
    async fn fill(&self, settings: Settings) -> Arc<RunEvents> {
        let target = self.in_layout("quay.io/a/b");
        self.run(settings, &[(&self.scenario.source, &target)])
            .await
    }
}

#[tokio::test]
async fn images_go_to_a_layout_and_back_with_their_referrers() {
    let world = World::new();
    let scenario = &world.scenario;
    let [index, _, _] = scenario.index_of_two_platforms(&["index"]);
    let image = scenario.image("image", &["v1", "v2"], &["base", "app"]);
    let sbom = scenario.referrer("sbom", "application/vnd.example.sbom", &image);
    let events = world.fill(with_referrers()).await;
    let summary = events.summary();
    assert_eq!(
        (summary.copied, summary.failed),
        (3, 0),
        "{:?}",
        events.endings()
    );
    let mut roots = world.folder.roots();
    roots.sort();
    let root = |name: &str, digest: &Digest| (name.to_owned(), digest.to_string());
    assert_eq!(
        roots,
        [
            root("", sbom.digest()),
            root("quay.io/a/b:index", index.digest()),
            root("quay.io/a/b:v1", image.digest()),
            root("quay.io/a/b:v2", image.digest()),
        ]
    );
    // Nothing to do, with every check.
    let settings = Settings {
        verify: true,
        ..with_referrers()
    };
    let events = world.fill(settings).await;
    assert_eq!(events.summary().unchanged, 3, "{:?}", events.endings());

    let (layout, back) = (
        world.in_layout("quay.io/a/b"),
        repository("back.example/app"),
    );
    let events = world.run(with_referrers(), &[(&layout, &back)]).await;
    assert_eq!(events.summary().copied, 3, "{:?}", events.endings());
    let stores = &scenario.stores;
    assert_eq!(stores.tagged(&back, "index").as_ref(), Some(index.digest()));
    assert_eq!(stores.tagged(&back, "v2").as_ref(), Some(image.digest()));
    assert!(stores.holds_manifest(&back, sbom.digest()));
}

#[tokio::test]
async fn repositories_of_a_layout_share_their_blobs() {
    let world = World::new();
    world.scenario.image("image", &["v1"], &["base", "app"]);
    let (one, two) = (
        world.in_layout("quay.io/a/b"),
        world.in_layout("quay.io/a/c"),
    );
    let source = &world.scenario.source;
    let events = world
        .run(settings(), &[(source, &one), (source, &two)])
        .await;
    assert_eq!(events.summary().copied, 2, "{:?}", events.endings());
    assert_eq!(
        world.scenario.count("open-blob"),
        3,
        "a config and two layers, once each"
    );
    assert_eq!(world.folder.roots().len(), 2);
    // Within the layout, nothing is written but the name.
    let three = world.in_layout("quay.io/a/d");
    let events = world.run(settings(), &[(&one, &three)]).await;
    assert_eq!(events.summary().copied, 1, "{:?}", events.endings());
    assert_eq!(world.folder.roots().len(), 3);
}

#[tokio::test]
async fn a_platform_is_chosen_on_the_way() {
    let world = World::new();
    world.scenario.index_of_two_platforms(&["index"]);
    let events = world.fill(only("arm64")).await;
    assert_eq!(events.summary().copied, 1, "{:?}", events.endings());
    let layout = world.folder.open().await;
    let target = Target::Tag(tag("index"));
    let index = layout
        .manifest("quay.io/a/b", &target, NameScope::FullNames)
        .await
        .unwrap();
    let image_syncer_registry::manifest::ManifestView::Index(view) = index.view().unwrap() else {
        panic!("it is no index");
    };
    assert_eq!(view.manifests.len(), 1);
}

#[tokio::test]
async fn a_dry_run_creates_nothing() {
    let world = World::new();
    world.scenario.image("image", &["v1"], &["base"]);
    let events = world.fill(with_intent(Intent::Plan)).await;
    assert_eq!(events.summary().failed, 0, "{:?}", events.endings());
    assert!(!world.folder.layout().exists());
    // A layout that exists keeps its bytes.
    world.fill(settings()).await;
    let before = world.folder.read("index.json");
    world.scenario.image("other", &["v2"], &["base"]);
    world.fill(with_intent(Intent::Plan)).await;
    assert_eq!(world.folder.read("index.json"), before);
    assert!(
        !world
            .folder
            .files()
            .iter()
            .any(|name| name.contains("image-syncer"))
    );
}

#[tokio::test]
async fn a_damaged_blob_fails_its_image_and_no_other() {
    let world = World::new();
    world.scenario.image("one", &["v1"], &["first"]);
    world.scenario.image("two", &["v2"], &["second"]);
    world.fill(settings()).await;
    let first = Digest::sha256(b"first");
    std::fs::write(world.folder.blob(first.as_str()), "fIrst").unwrap();
    let (layout, back) = (
        world.in_layout("quay.io/a/b"),
        repository("back.example/app"),
    );
    let events = world.run(settings(), &[(&layout, &back)]).await;
    let summary = events.summary();
    assert_eq!(
        (summary.copied, summary.failed),
        (1, 1),
        "{:?}",
        events.endings()
    );
    assert_eq!(
        events.failure_kind(),
        (Side::Source, Some(ErrorKind::Corrupt))
    );
    // A copy over it finds the damage only if it looks for it.
    let events = world.fill(verifying()).await;
    assert_eq!(events.summary().unchanged, 2, "the length is right");
    std::fs::write(world.folder.blob(first.as_str()), "short").unwrap();
    std::fs::remove_file(world.folder.blob(first.as_str())).unwrap();
    let events = world.fill(verifying()).await;
    assert_eq!(events.summary().copied, 1, "{:?}", events.endings());
    let events = world.run(settings(), &[(&layout, &back)]).await;
    assert_eq!(events.summary().failed, 0, "{:?}", events.endings());
}

#[tokio::test]
async fn a_missing_layout_fails_its_rule() {
    let world = World::new();
    let (layout, back) = (
        world.in_layout("quay.io/a/b"),
        repository("back.example/app"),
    );
    let events = world.run(settings(), &[(&layout, &back)]).await;
    let shown = world.folder.layout().display().to_string();
    let why = format!("failed, cannot open the layout at oci:{shown}: there is no such directory");
    assert_eq!(events.rule_events(), [why]);
}

#[tokio::test]
async fn an_index_that_cannot_be_written_fails_the_rule() {
    let world = World::new();
    world.scenario.image("one", &["v1"], &["first"]);
    world.fill(settings()).await;
    world.scenario.image("two", &["v2"], &["second"]);
    let index = world.folder.layout().join("index.json");
    let gate = world.scenario.stores.block_calls("open-blob");
    let broken = async {
        gate.reached(1).await;
        std::fs::remove_file(&index).unwrap();
        std::fs::create_dir(&index).unwrap();
        gate.open();
    };
    let (events, ()) = tokio::join!(world.fill(settings()), broken);
    let shown = world.folder.layout().display().to_string();
    let why = format!(
        "failed, cannot write index.json at oci:{shown}: it is a directory; it lacks 1 name: quay.io/a/b:v2"
    );
    assert_eq!(events.rule_events(), ["discovered 2, -".to_owned(), why]);
    std::fs::remove_dir(&index).unwrap();
    world.fill(settings()).await;
    assert_eq!(world.folder.roots().len(), 2);
}

#[tokio::test]
async fn runs_at_the_same_time_share_a_layout() {
    let world = World::new();
    world.scenario.index_of_two_platforms(&["v1"]);
    world.scenario.image("image", &["v2"], &["base", "app"]);
    let source = &world.scenario.source;
    let targets: Vec<Repository> = (0..4)
        .map(|number| world.in_layout(&format!("quay.io/a/b{number}")))
        .collect();
    let world = &world;
    let runs = targets.iter().map(|target| async move {
        let rules = [(source, target)];
        world.run(settings(), &rules).await.summary()
    });
    for summary in futures_util::future::join_all(runs).await {
        assert_eq!((summary.copied, summary.failed), (2, 0));
    }
    let roots = world.folder.roots();
    let named = roots.iter().filter(|root| !root.0.is_empty()).count();
    assert_eq!((named, roots.len()), (8, 8), "{roots:?}");
    let files = world.folder.files();
    assert!(
        !files.iter().any(|name| name.contains("image-syncer")),
        "{files:?}"
    );
}
