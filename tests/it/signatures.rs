//! Signatures verify at the destination: made with a key like cosign's, in both forms.

use testkit::{Action, Fault, Image, Kind, Manifest};

use crate::support::ends::{End, Which, command, sync};
use crate::support::signing::{Form, Signer, tag_of};
use crate::support::{Outcome, Place, image, index};

/// Returns every manifest of an image, its root last.
fn manifests(image: &Image) -> impl Iterator<Item = &Manifest> {
    image.manifests().iter().chain([image.root()])
}

/// Copies a signed image, and an index that is signed with all its children, by tag and with all tags of their
/// repository. Asserts that all signatures verify.
fn signatures_verify(from: Which, to: Which) {
    let (source, destination) = (from.start(), to.start());
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (single, multi) = (image("signed"), index("signed"));
    for (repository, image) in [("single", &single), ("multi", &multi)] {
        source.push(repository, Some("v1"), image);
        for manifest in manifests(image) {
            let referrer = signer.sign_at(&source, repository, manifest);
            // Clients that ignore the API write the list in any case.
            let list = Image::fallback_index([&referrer]);
            let tag = manifest.digest.replace(':', "-");
            source.push(repository, Some(&tag), &list);
        }
    }
    let rules = "SRC/single:v1: DST/by-tag/single\nSRC/multi:v1: DST/by-tag/multi\n\
                 SRC/single: DST/all/single\nSRC/multi: DST/all/multi\n";
    let place = Place::new();
    sync(&place, &source, &destination, rules)
        .exits(0)
        .says("4 images: 4 copied, 0 unchanged, 0 skipped, 0 failed")
        // One manifest and four, in two forms, at two places.
        .says("20 referrers (signatures and the like) copied\n")
        .does_not_say("warning");
    sync(&place, &source, &destination, rules)
        .exits(0)
        .says(" images: 0 copied, ");
    let mut again = command(&place, &source, &destination, rules);
    Outcome::of(again.arg("--referrers=deep").output().unwrap())
        .exits(0)
        .says("4 images: 0 copied, 4 unchanged");
    for (repository, image) in [
        ("by-tag/single", &single),
        ("all/single", &single),
        ("by-tag/multi", &multi),
        ("all/multi", &multi),
    ] {
        let there = destination.manifest(repository, "v1");
        assert_eq!(there.as_deref(), Some(&*image.root().bytes));
        for form in [Form::Tag, Form::Referrer] {
            signer.verify(&destination, repository, "v1", form);
            for manifest in manifests(image) {
                let mut found = signer.verify(&destination, repository, &manifest.digest, form);
                // The check itself works: another key or payload fails.
                assert!(!stranger.made(&found));
                let last = found.payload.len() - 1;
                found.payload[last] ^= 1;
                assert!(!signer.made(&found));
            }
        }
    }
    if to == Which::Real {
        as_skopeo_sees_it(&source, &destination, &multi);
    }
}

/// Checks with skopeo that the index and the signatures under tags are unchanged.
fn as_skopeo_sees_it(source: &End, destination: &End, multi: &Image) {
    let seen = destination.by_skopeo("by-tag/multi", "v1");
    assert_eq!(seen, multi.root().bytes);
    for manifest in manifests(multi) {
        let tag = tag_of(&manifest.digest);
        let at_source = source.manifest("multi", &tag).unwrap();
        assert_eq!(destination.by_skopeo("by-tag/multi", &tag), at_source);
    }
}

#[test]
fn signatures_verify_with_and_without_the_referrers_api() {
    for from in [Which::WithApi, Which::WithoutApi] {
        for to in [Which::WithApi, Which::WithoutApi] {
            signatures_verify(from, to);
        }
    }
}

#[test]
fn signatures_verify_at_docker_registry() {
    testkit::needs!("docker-registry", "skopeo");
    for from in Which::ALL {
        signatures_verify(from, Which::Real);
    }
}

#[test]
fn signatures_from_docker_registry_verify() {
    testkit::needs!("docker-registry", "skopeo");
    for to in [Which::WithApi, Which::WithoutApi] {
        signatures_verify(Which::Real, to);
    }
}

/// Returns the references of the manifests that a testkit registry received, in order.
fn pushed(end: &End) -> Vec<String> {
    let puts = end.kit().requests().into_iter();
    puts.filter(|request| request.kind == Kind::ManifestPut)
        .filter_map(|request| request.reference)
        .collect()
}

/// Copies an image that is signed in both forms afterwards. The next run copies the signatures and reports that; the one
/// after it copies nothing.
fn a_late_signature_is_all_that_is_copied(to: Which) {
    let (source, destination) = (Which::WithApi.start(), to.start());
    let (signer, image, place) = (Signer::new(), index("late"), Place::new());
    let rules = "SRC/a:v1: DST/a\n";
    source.push("a", Some("v1"), &image);
    sync(&place, &source, &destination, rules)
        .exits(0)
        .says("1 copied");

    let name = format!("{}/a", source.host());
    let by_tag = signer.by_tag(&name, image.root());
    let by_subject = signer.by_subject(&name, image.root());
    let tag = tag_of(image.digest());
    source.push("a", Some(&tag), &by_tag);
    source.refer("a", image.digest(), &[&by_subject]);
    sync(&place, &source, &destination, rules)
        .exits(0)
        .says("1 image: 1 copied")
        .says("2 referrers (signatures and the like); the image is unchanged\n")
        .says("copied; 1 image is otherwise unchanged\n");
    signer.verify(&destination, "a", "v1", Form::Tag);
    signer.verify(&destination, "a", "v1", Form::Referrer);

    sync(&place, &source, &destination, rules)
        .exits(0)
        .says("1 image: 0 copied, 1 unchanged");
}

fn clear(source: &End, destination: &End) {
    source.kit().clear_requests();
    destination.kit().clear_requests();
}

#[test]
fn late_signatures_are_copied_alone_with_the_referrers_api() {
    a_late_signature_is_all_that_is_copied(Which::WithApi);
}

#[test]
fn late_signatures_are_copied_alone_without_the_referrers_api() {
    a_late_signature_is_all_that_is_copied(Which::WithoutApi);
}

/// A destination with an older image under the tag, and a source whose newer index is signed in both forms, with its
/// children.
struct Newer {
    source: End,
    destination: End,
    signer: Signer,
    older: Image,
    image: Image,
}

impl Newer {
    fn start(to: Which) -> Self {
        let (source, destination) = (Which::WithApi.start(), to.start());
        let (signer, older, image) = (Signer::new(), index("older"), index("newer"));
        source.push("a", Some("v1"), &image);
        for manifest in manifests(&image) {
            signer.sign_at(&source, "a", manifest);
        }
        destination.push("a", Some("v1"), &older);
        clear(&source, &destination);
        Self {
            source,
            destination,
            signer,
            older,
            image,
        }
    }

    fn copy(&self) -> Outcome {
        let rules = "SRC/a:v1: DST/a\n";
        sync(&Place::new(), &self.source, &self.destination, rules)
    }

    /// Returns the digest of the tag.
    fn tagged(&self) -> String {
        let digest = self.destination.kit().state().digest("a", "v1");
        digest.expect("the tag")
    }

    fn referrer(&self) -> String {
        self.source.referring("a", self.image.digest())[0].clone()
    }
}

#[test]
fn the_tag_follows_all_referrers() {
    for to in [Which::WithApi, Which::WithoutApi] {
        let newer = Newer::start(to);
        newer.copy().exits(0).says("1 copied");
        let pushed = pushed(&newer.destination);
        let place = |reference: &str| {
            let mut at = pushed.iter().enumerate();
            let (first, _) = at.find(|(_, one)| *one == reference).unwrap();
            assert!(at.all(|(_, one)| one != reference), "{pushed:?}");
            first
        };
        // A signature after its subject, the root after its children, the tag after everything.
        assert_eq!(place("v1"), pushed.len() - 1, "{pushed:?}");
        for manifest in manifests(&newer.image) {
            let referrer = newer.source.referring("a", &manifest.digest).remove(0);
            assert!(place(&manifest.digest) < place(&referrer), "{pushed:?}");
            let tag = tag_of(&manifest.digest);
            assert!(place(&manifest.digest) < place(&tag), "{pushed:?}");
            assert!(place(&manifest.digest) <= place(newer.image.digest()));
        }
        assert_eq!(newer.tagged(), newer.image.digest());
    }
}

/// Fails a push of a signature, and asserts that the tag does not move until a run copies the signature.
#[track_caller]
fn the_tag_stays(to: Which, reference: impl Fn(&Newer) -> String, says: impl Fn(&Newer) -> String) {
    let newer = Newer::start(to);
    let fault = Fault::on(Kind::ManifestPut).reference(reference(&newer));
    newer
        .destination
        .kit()
        .fault(fault, Action::error(403, "DENIED", "not this one"));
    let outcome = newer.copy().exits(1).says("1 failed");
    assert_eq!(newer.tagged(), newer.older.digest());
    assert!(!pushed(&newer.destination).contains(&"v1".to_owned()));
    let failed = outcome.lines("failed").concat();
    let image = format!("{}/a:v1", newer.source.host());
    for part in [&image, newer.image.digest(), &says(&newer)] {
        assert!(failed.contains(part), "no {part} in: {failed}");
    }
    newer.destination.kit().clear_faults();
    newer.copy().exits(0).says("1 copied");
    assert_eq!(newer.tagged(), newer.image.digest());
    for form in [Form::Tag, Form::Referrer] {
        newer.signer.verify(&newer.destination, "a", "v1", form);
    }
}

#[test]
fn a_refused_referrer_leaves_the_tag_unmoved() {
    for to in [Which::WithApi, Which::WithoutApi] {
        the_tag_stays(to, Newer::referrer, Newer::referrer);
    }
}

#[test]
fn a_refused_cosign_tag_leaves_the_tag_unmoved() {
    let tag = |newer: &Newer| tag_of(newer.image.digest());
    the_tag_stays(Which::WithApi, tag, tag);
}

#[test]
fn a_refused_list_of_referrers_leaves_the_tag_unmoved() {
    let tag = |newer: &Newer| newer.image.digest().replace(':', "-");
    the_tag_stays(Which::WithoutApi, tag, tag);
}

#[test]
fn an_interval_without_records_is_reported_as_ineffective() {
    let (source, destination) = (Which::WithApi.start(), Which::WithApi.start());
    let place = Place::new();
    source.push("a", Some("v1"), &image("interval"));
    let mut command = command(&place, &source, &destination, "SRC/a:v1: DST/a\n");
    let command = command.args(["--no-records", "--referrers-interval=15m"]);
    Outcome::of(command.output().unwrap())
        .exits(0)
        .says("--referrers-interval has no effect: this run has no records");
}

#[test]
fn an_invalid_interval_is_a_mistake() {
    for wrong in ["5", "1.5h", "h", "-5s", "12 h", "1w", "999999999999999999d"] {
        let flag = format!("--referrers-interval={wrong}");
        let arguments = ["copy", "a.example/a:1", "b.example/b:1", &flag];
        Place::new()
            .run(&arguments)
            .exits(2)
            .says("--referrers-interval")
            .says(wrong)
            .says("such as 30s, 15m, 12h or 7d");
    }
}
