//! Referrers: listing them, and seeing to it that they are listed.

mod attaching;
mod contention;
mod listing;

use image_syncer_registry::{
    Client, Descriptor, Digest, Error, IndexedBy, IndexedReferrers, ReferrersOrigin, Tag,
};
use testkit::profile::Referrers;
use testkit::{Image, Kind, Layer, Profile};

use super::kit::Kit;
use super::manifests::manifest;

const LIST: (Kind, u16) = (Kind::Referrers, 200);
const NO_API: (Kind, u16) = (Kind::Referrers, 404);
const GET: (Kind, u16) = (Kind::ManifestGet, 200);
const NO_TAG: (Kind, u16) = (Kind::ManifestGet, 404);
const PUT: (Kind, u16) = (Kind::ManifestPut, 201);
const HEAD: (Kind, u16) = (Kind::ManifestHead, 200);

fn with(referrers: Referrers) -> Profile {
    Profile {
        referrers,
        ..Profile::distribution()
    }
}

fn subject(label: &str) -> Image {
    Image::oci()
        .layer(Layer::tar("base", 100))
        .label(label)
        .build()
}

fn sbom(subject: &Image, content: &str) -> Image {
    Image::referrer_of(subject, "application/sbom", content)
}

fn digest(image: &Image) -> Digest {
    Digest::parse(image.digest()).unwrap()
}

fn fallback(subject: &Image) -> Tag {
    Tag::parse(&subject.cosign_tag("")).unwrap()
}

fn descriptors<'a>(images: impl IntoIterator<Item = &'a Image>) -> Vec<Descriptor> {
    images
        .into_iter()
        .map(|image| manifest(image).referrer_descriptor().unwrap())
        .collect()
}

/// Attaches `referrers`, which are pushed behind the registry's back.
async fn attach(
    kit: &Kit,
    client: &Client,
    subject: &Image,
    referrers: &[&Image],
) -> Result<IndexedReferrers, Error> {
    for referrer in referrers {
        kit.server.push("a/b", None, referrer);
    }
    let list = descriptors(referrers.iter().copied());
    client
        .update_referrers_index(&kit.repository("a/b"), &digest(subject), &list)
        .await
}

/// The digests that the fallback tag of `subject` lists, in order.
fn listed(kit: &Kit, subject: &Image) -> Vec<String> {
    let tag = subject.cosign_tag("");
    let (_, bytes) = kit.server.state().manifest("a/b", &tag).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn digests(images: &[&Image]) -> Vec<String> {
    images
        .iter()
        .map(|image| image.digest().to_owned())
        .collect()
}

fn by_api() -> IndexedReferrers {
    IndexedReferrers {
        by: IndexedBy::Api,
        contended: false,
    }
}

/// Listed under the current tag.
fn by_tag(kit: &Kit, subject: &Image, written: bool) -> IndexedReferrers {
    let stands = kit.server.state().digest("a/b", &subject.cosign_tag(""));
    IndexedReferrers {
        by: IndexedBy::Tag {
            tag: fallback(subject),
            digest: stands.map(|digest| Digest::parse(&digest).unwrap()),
            written,
        },
        contended: false,
    }
}

/// Origin that names the current fallback tag.
fn tagged(kit: &Kit, subject: &Image) -> ReferrersOrigin {
    let stands = kit.server.state().digest("a/b", &subject.cosign_tag(""));
    ReferrersOrigin::Tag {
        tag: fallback(subject),
        digest: Digest::parse(&stands.unwrap()).unwrap(),
    }
}
