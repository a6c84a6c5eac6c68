//! Images, their parts and their locations.

use testkit::fault::Answer;
use testkit::image::{Format, IndexBuilder, Manifest};
use testkit::profile::Profile;
use testkit::{Action, Fault, Image, Kind, Platform, Registry, Tls};

use super::Case;
use super::peers::proxy_to;
use super::trial::{Message, Trial, from, image, source};
use crate::support::registry;

pub(super) const CASES: &[Case] = &[
    ("media-type-refused", media_type_refused),
    ("media-type-refused", schema1),
    ("media-type-refused", artifact_refused),
    ("attestations-refused", attestations_refused),
    ("attestations-refused", attestations_denied),
    ("sparse-refused", sparse_refused),
    ("foreign-layer-required", foreign_layer_required),
    ("referrer-refused", referrer_refused),
    ("manifest-invalid", manifest_invalid),
    ("manifest-invalid", source_manifest_invalid),
    ("rejected", rejected),
    ("too-large", too_large),
    ("upload-invalid", upload_invalid),
    ("content-missing", content_missing),
    ("content-missing", child_missing),
    ("corrupt", corrupt),
    ("private-address", private_address),
    ("downgrade", downgrade),
    ("unsafe", too_many_redirects),
];

/// Copies `image` to a registry of this profile.
fn copy(image: &Image, profile: Profile) -> Message {
    let source = registry();
    source.push("team/app", Some("v1"), image);
    let destination = Registry::builder().profile(profile).start_on_thread();
    destination.state().create_namespace("mirror");
    Trial::new(&source.host(), &destination.host()).fails()
}

fn media_type_refused() -> Message {
    let source = source();
    let destination = registry();
    let answer = Action::error(415, "MANIFEST_INVALID", "unsupported media type");
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn schema1() -> Message {
    let layers = [testkit::Layer::tar("old", 2_000)];
    let image = Image::signed_schema1("team/app", "v1", layers);
    let old = Profile {
        schema1: true,
        ..Profile::distribution()
    };
    let source = Registry::builder().profile(old).start_on_thread();
    source.push("team/app", Some("v1"), &image);
    let destination = registry();
    let answer = Action::error(400, "MANIFEST_INVALID", "manifest invalid");
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn attestations_refused() -> Message {
    let child = image();
    let attestation = Image::attestation_of(&child);
    copy(&Image::index([child, attestation]), Profile::huawei_swr())
}

/// Returns the profile of a registry that refuses types of configs with 403, as Alibaba Cloud does.
fn denying(config: &'static [&'static str]) -> Profile {
    Profile {
        refuses_configs: Some((403, config)),
        ..Profile::distribution()
    }
}

fn artifact_refused() -> Message {
    let chart = Image::helm_chart("app", "1.0.0");
    copy(
        &chart,
        denying(&["application/vnd.cncf.helm.config.v1+json"]),
    )
}

fn attestations_denied() -> Message {
    let child = image();
    let attestation = Image::artifact_attestation_of(&child);
    let index = Image::index([child, attestation]);
    copy(&index, denying(&["application/vnd.oci.empty.v1+json"]))
}

fn sparse_refused() -> Message {
    let source = registry();
    let images = ["amd64", "arm64"].map(|architecture| {
        let layer = testkit::Layer::tar(architecture, 2_000);
        let image = Image::oci().platform(Platform::linux(architecture));
        image.layer(layer).build()
    });
    source.push("team/app", Some("v1"), &Image::index(images));
    let destination = registry();
    let arguments = ["--retries", "0", "--arch", "amd64", "--sparse"];
    let trial = Trial::new(&source.host(), &destination.host());
    trial.arguments(&arguments).fails()
}

/// Provokes the answer of distribution to a foreign layer without addresses.
fn foreign_layer_required() -> Message {
    let foreign = testkit::Layer::nondistributable("windows", 1_000);
    let body = format!(
        r#"{{"errors": [{{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": "{}"}}]}}"#,
        foreign.blob().digest()
    );
    let (source, destination) = (registry(), registry());
    let layers = [testkit::Layer::tar("a", 500), foreign.pushed()];
    source.push("team/app", Some("v1"), &Image::single(layers));
    let answer = Answer::new(400).body("application/json", body);
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn referrer_refused() -> Message {
    let source = source();
    let sbom = Image::referrer_of(&image(), "application/spdx+json", "an SBOM");
    source.push("team/app", None, &sbom);
    let fallback = Image::fallback_index([&sbom]);
    let tag = image().cosign_tag("");
    source.push("team/app", Some(&tag), &fallback);
    let profile = denying(&["application/vnd.oci.empty.v1+json"]);
    let destination = Registry::builder().profile(profile).start_on_thread();
    Trial::new(&source.host(), &destination.host()).fails()
}

/// Provokes the answer of Quay to a manifest that it refuses.
fn manifest_invalid() -> Message {
    let (source, destination) = (source(), registry());
    let body = r#"{"errors": [{"code": "MANIFEST_INVALID", "message": "manifest invalid",
                   "detail": {"message": "failed schema validation"}}]}"#;
    let answer = Answer::new(400).body("application/json", body);
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn source_manifest_invalid() -> Message {
    let (source, destination) = (source(), registry());
    let document = r#"{"schemaVersion": 2, "config": {}, "layers": [], "Layers": []}"#;
    let manifest = Manifest::new(testkit::image::media::OCI_MANIFEST, document);
    source.put_manifest("team/app", Some("v1"), &manifest);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn rejected() -> Message {
    let (source, destination) = (source(), registry());
    let answer = Action::error(409, "CONFLICT", "the repository is being deleted");
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn too_large() -> Message {
    let profile = Profile {
        put_limit: Some(1_000),
        patch_limit: Some((1_000, 413)),
        ..Profile::distribution()
    };
    copy(&image(), profile)
}

fn upload_invalid() -> Message {
    let (source, destination) = (source(), registry());
    let answer = Answer::new(404).error("BLOB_UPLOAD_INVALID", "blob upload invalid");
    let steps = [Kind::UploadPatch, Kind::UploadPut, Kind::UploadStatus];
    destination.fault(Fault::on(steps), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn content_missing() -> Message {
    let source = source();
    for digest in source.state().blobs("team/app") {
        source.state().remove_blob("team/app", &digest);
    }
    from(&source)
}

/// Copies an index with a child that does not exist.
fn child_missing() -> Message {
    let other = Image::oci().platform(Platform::linux("arm64"));
    let index = IndexBuilder::new(Format::Oci)
        .child(image())
        .missing_child(other.build());
    let source = registry();
    source.push("team/app", Some("v1"), &index.build());
    from(&source)
}

fn corrupt() -> Message {
    let source = source();
    source.fault(Fault::on(Kind::ManifestGet), Action::Corrupt { offset: 10 });
    from(&source)
}

/// Copies from a registry with a name and a certificate, whose blobs are redirected to `location`.
fn redirecting(location: &str) -> Message {
    const NAME: &str = "source.example.com";
    let tls = Tls::new().for_names(&[NAME]);
    let ca = tls.ca_pem();
    let source = Registry::builder().tls(tls).start_on_thread();
    source.push("team/app", Some("v1"), &image());
    let answer = Answer::new(307).header("location", location);
    source.fault(Fault::on(Kind::BlobGet), answer);
    let destination = registry();
    let proxy = proxy_to(&source.address().to_string());
    Trial::new(NAME, &destination.host())
        .auth(&format!("{}: {{insecure: true}}\n", destination.host()))
        .trusting(&ca)
        .variable("HTTPS_PROXY", &format!("http://{proxy}"))
        .variable("NO_PROXY", "127.0.0.1")
        .fails()
}

fn private_address() -> Message {
    redirecting("https://10.0.0.7/blobs/1")
}

fn downgrade() -> Message {
    redirecting("http://storage.example.com/blobs/1")
}

fn too_many_redirects() -> Message {
    redirecting("?again")
}
