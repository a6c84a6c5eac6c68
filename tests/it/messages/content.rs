//! What is copied, and where it lies.

use testkit::fault::Answer;
use testkit::profile::Profile;
use testkit::{Action, Fault, Image, Kind, Registry, Tls};

use super::Case;
use super::peers::proxy_to;
use super::trial::{Told, Trial, from, image, source};
use crate::support::registry;

pub(super) const CASES: &[Case] = &[
    ("media-type-refused", media_type_refused),
    ("media-type-refused", schema1),
    ("attestations-refused", attestations_refused),
    ("manifest-invalid", manifest_invalid),
    ("rejected", rejected),
    ("too-large", too_large),
    ("upload-invalid", upload_invalid),
    ("content-missing", content_missing),
    ("corrupt", corrupt),
    ("private-address", private_address),
    ("downgrade", downgrade),
    ("unsafe", too_many_redirects),
];

/// A copy of `image` to a registry of this profile.
fn copy(image: &Image, profile: Profile) -> Told {
    let source = registry();
    source.push("team/app", Some("v1"), image);
    let destination = Registry::builder().profile(profile).start_on_thread();
    destination.state().create_namespace("mirror");
    Trial::new(&source.host(), &destination.host()).fails()
}

fn media_type_refused() -> Told {
    let source = source();
    let destination = registry();
    let answer = Action::error(415, "MANIFEST_INVALID", "unsupported media type");
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn schema1() -> Told {
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

fn attestations_refused() -> Told {
    let child = image();
    let attestation = Image::attestation_of(&child);
    copy(&Image::index([child, attestation]), Profile::huawei_swr())
}

fn manifest_invalid() -> Told {
    let profile = Profile {
        refuses_oci: true,
        ..Profile::distribution()
    };
    copy(&image(), profile)
}

fn rejected() -> Told {
    let (source, destination) = (source(), registry());
    let answer = Action::error(409, "CONFLICT", "the repository is being deleted");
    destination.fault(Fault::on(Kind::ManifestPut), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn too_large() -> Told {
    let profile = Profile {
        put_limit: Some(1_000),
        patch_limit: Some((1_000, 413)),
        ..Profile::distribution()
    };
    copy(&image(), profile)
}

fn upload_invalid() -> Told {
    let (source, destination) = (source(), registry());
    let answer = Answer::new(404).error("BLOB_UPLOAD_INVALID", "blob upload invalid");
    let steps = [Kind::UploadPatch, Kind::UploadPut, Kind::UploadStatus];
    destination.fault(Fault::on(steps), answer);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn content_missing() -> Told {
    let source = source();
    for digest in source.state().blobs("team/app") {
        source.state().remove_blob("team/app", &digest);
    }
    from(&source)
}

fn corrupt() -> Told {
    let source = source();
    source.fault(Fault::on(Kind::ManifestGet), Action::Corrupt { offset: 10 });
    from(&source)
}

/// From a registry with a name and a certificate, whose blobs are redirected to `location`.
fn redirecting(location: &str) -> Told {
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

fn private_address() -> Told {
    redirecting("https://10.0.0.7/blobs/1")
}

fn downgrade() -> Told {
    redirecting("http://storage.example.com/blobs/1")
}

fn too_many_redirects() -> Told {
    redirecting("?again")
}
