#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use image_syncer_registry::Digest;

use crate::Repository;

use super::{Fact, Inventory, ManifestScope, MountCandidate, MountConfidence, SharedFacts};

fn repository(path: &str) -> Repository {
    Repository::parse(path).unwrap()
}

#[test]
fn a_blob_is_here_elsewhere_or_unknown() {
    let inventory = Inventory::new();
    let blob = Digest::sha256(b"a");
    let (a, b) = (repository("r.example/a"), repository("r.example/b"));
    assert_eq!(inventory.blob(&a, &blob), Fact::Unknown);
    inventory.record_present(&a, &blob);
    assert_eq!(inventory.blob(&a, &blob), Fact::Here);
    assert_eq!(inventory.blob(&b, &blob), Fact::Elsewhere(vec![a]));
    let other = repository("other.example/b");
    assert_eq!(inventory.blob(&other, &blob), Fact::Unknown);
    assert_eq!(inventory.blob(&b, &Digest::sha256(b"b")), Fact::Unknown);
}

#[test]
fn a_repository_whose_manifest_names_the_blob_is_the_best_to_mount_from() {
    let inventory = Inventory::new();
    let blob = Digest::sha256(b"a");
    for path in ["r.example/a", "r.example/b", "r.example/c", "r.example/d"] {
        inventory.record_present(&repository(path), &blob);
    }
    inventory.record_committed(&repository("r.example/c"), [&blob]);
    let known = inventory.knowledge(&repository("r.example/e"), &blob);
    let candidate = |path, confidence| MountCandidate {
        repository: repository(path),
        confidence,
    };
    assert_eq!(
        known.elsewhere,
        [
            candidate("r.example/c", MountConfidence::Committed),
            candidate("r.example/a", MountConfidence::Uncommitted),
            candidate("r.example/b", MountConfidence::Uncommitted),
        ]
    );
}

#[test]
fn a_committed_blob_is_in_the_repository() {
    let inventory = Inventory::new();
    let (repository, blob) = (repository("r.example/a"), Digest::sha256(b"a"));
    inventory.record_committed(&repository, [&blob]);
    assert_eq!(inventory.blob(&repository, &blob), Fact::Here);
}

#[test]
fn manifests_are_known_by_repository() {
    let inventory = Inventory::new();
    let manifest = Digest::sha256(b"m");
    let scope = ManifestScope::default();
    let (a, b) = (repository("r.example/a"), repository("r.example/b"));
    inventory.record_manifest(&a, &manifest, scope);
    assert!(inventory.has_manifest(&a, &manifest, scope));
    assert!(!inventory.has_manifest(&b, &manifest, scope));
    assert!(!inventory.has_manifest(&a, &Digest::sha256(b"n"), scope));
    assert_eq!(inventory.blob(&a, &manifest), Fact::Unknown);
}

#[test]
fn a_forgotten_repository_is_no_mount_source_and_can_be_learned_again() {
    let inventory = Inventory::new();
    let (blob, manifest) = (Digest::sha256(b"a"), Digest::sha256(b"m"));
    let scope = ManifestScope::default();
    let (a, b) = (repository("r.example/a"), repository("r.example/b"));
    inventory.record_present(&a, &blob);
    inventory.record_present(&b, &blob);
    inventory.record_manifest(&a, &manifest, scope);
    inventory.forget(&a);
    assert!(!inventory.has_manifest(&a, &manifest, scope));
    assert_eq!(inventory.blob(&a, &blob), Fact::Elsewhere(vec![b.clone()]));
    inventory.forget(&b);
    assert_eq!(inventory.blob(&a, &blob), Fact::Unknown);
    inventory.record_present(&a, &blob);
    assert_eq!(inventory.blob(&a, &blob), Fact::Here);
    assert_eq!(inventory.blob(&b, &blob), Fact::Elsewhere(vec![a]));
}

#[test]
fn digests_of_any_algorithm_are_told_apart() {
    let inventory = Inventory::new();
    let repository = repository("r.example/a");
    let long = Digest::compute(image_syncer_registry::Algorithm::Sha512, b"a");
    let odd =
        Digest::parse("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8").unwrap();
    inventory.record_present(&repository, &long);
    assert_eq!(inventory.blob(&repository, &long), Fact::Here);
    assert_eq!(inventory.blob(&repository, &odd), Fact::Unknown);
    assert_eq!(
        inventory.blob(&repository, &Digest::sha256(b"a")),
        Fact::Unknown
    );
    inventory.record_present(&repository, &odd);
    assert_eq!(inventory.blob(&repository, &odd), Fact::Here);
}

#[test]
fn mount_behavior_is_kept_by_registry() {
    let inventory = Inventory::new();
    let here = repository("r.example/a");
    let blob = Digest::sha256(b"a");
    let from = MountCandidate {
        repository: here.clone(),
        confidence: MountConfidence::Committed,
    };
    inventory.record_mount_answer(&from, &blob, false);
    let there = repository("other.example/a");
    assert!(
        !inventory
            .knowledge(&here, &blob)
            .mounting
            .is_worth_awaiting()
    );
    assert!(
        inventory
            .knowledge(&there, &blob)
            .mounting
            .is_worth_awaiting()
    );
}

#[test]
fn facts_of_an_earlier_run_are_hints_for_the_next() {
    let facts = Arc::<SharedFacts>::default();
    let (a, b) = (repository("r.example/a"), repository("r.example/b"));
    let (blob, manifest) = (Digest::sha256(b"a"), Digest::sha256(b"m"));
    let first = Inventory::new().sharing(&facts);
    first.note_empty(&a);
    first.record_upload(&a, &blob);
    first.record_committed(&a, [&blob]);
    let scope = ManifestScope::default();
    first.record_manifest(&a, &manifest, scope);
    let second = Inventory::new().sharing(&facts);
    let known = second.knowledge(&a, &blob);
    assert!(!known.here && known.recorded);
    let candidate = MountCandidate {
        repository: a.clone(),
        confidence: MountConfidence::Recorded,
    };
    assert_eq!(second.knowledge(&b, &blob).elsewhere, [candidate]);
    assert!(!second.has_manifest(&a, &manifest, scope));
    assert!(!second.was_uploaded(&a, &blob) && !second.was_empty(&a));
    // The first run still believes what it has done.
    assert_eq!(first.blob(&a, &blob), Fact::Here);
    assert!(first.has_manifest(&a, &manifest, scope));
    assert!(first.was_uploaded(&a, &blob) && first.was_empty(&a));
    // A lookup confirms the hint.
    second.record_lookup(&a, &blob, Some(true));
    assert_eq!(second.blob(&a, &blob), Fact::Here);
    assert!(!second.was_uploaded(&a, &blob));
}

#[test]
fn runs_at_the_same_time_believe_what_the_others_learn() {
    let facts = Arc::<SharedFacts>::default();
    let (a, blob) = (repository("r.example/a"), Digest::sha256(b"a"));
    let first = Inventory::new().sharing(&facts);
    let second = Inventory::new().sharing(&facts);
    first.record_upload(&a, &blob);
    assert_eq!(second.blob(&a, &blob), Fact::Here);
}

#[test]
fn a_wrong_hint_of_an_earlier_run_is_dropped() {
    let facts = Arc::<SharedFacts>::default();
    let (a, blob) = (repository("r.example/a"), Digest::sha256(b"a"));
    let first = Inventory::new().sharing(&facts);
    first.record_upload(&a, &blob);
    // The repository and the blob.
    assert_eq!(facts.len(), 2);
    let second = Inventory::new().sharing(&facts);
    second.record_lookup(&a, &blob, Some(false));
    assert_eq!(second.blob(&a, &blob), Fact::Unknown);
    let other = second.knowledge(&repository("r.example/b"), &blob);
    assert_eq!(other.elsewhere, []);
}
