//! Signatures, made with a key as cosign makes them, verify where their image was copied to.

use std::fmt::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::raw::{Client, Payload, push_over_http};
use testkit::real::DockerRegistry;
use testkit::{Blob, Image, Manifest, Profile, Registry};

use crate::support::{Outcome, Place, image, index};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// A key.
struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    /// A signature of `image` in cosign's simple signing format, with a subject where it is to be a referrer.
    fn sign(&self, image: &Image, is_referrer: bool) -> Image {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "example.com/a" },
                "image": { "docker-manifest-digest": image.digest() },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string();
        let signature = self
            .0
            .sign(&SystemRandom::new(), payload.as_bytes())
            .unwrap();
        let signature = BASE64_STANDARD.encode(signature.as_ref());
        let (config, payload) = (Blob::new("{}"), Blob::new(payload));
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config.digest(),
                "size": config.size(),
            },
            "layers": [{
                "mediaType": PAYLOAD,
                "digest": payload.digest(),
                "size": payload.size(),
                "annotations": { ANNOTATION: signature },
            }],
        });
        if is_referrer {
            document["artifactType"] = json!(ARTIFACT);
            document["subject"] = image.root().descriptor();
        }
        let root = Manifest::new(MANIFEST, document.to_string());
        Image::of_parts(vec![config, payload], Vec::new(), root)
    }

    /// Whether what `signature` signs is that `digest` is the image's.
    async fn verify(&self, client: &Client, repository: &str, signature: &Value, digest: &str) {
        let layer = &signature["layers"][0];
        assert_eq!(layer["mediaType"], PAYLOAD);
        let url = format!(
            "/v2/{repository}/blobs/{}",
            layer["digest"].as_str().unwrap()
        );
        let payload = client.get(&url).await.unwrap();
        assert_eq!(payload.status, 200, "{url}");
        let bytes = BASE64_STANDARD.decode(layer["annotations"][ANNOTATION].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0.public_key().as_ref())
            .verify(&payload.body, &bytes.unwrap())
            .expect("the signature is not that of the key");
        let named = &payload.json()["critical"]["image"]["docker-manifest-digest"];
        assert_eq!(named, digest);
    }
}

/// A manifest, and its digest.
async fn manifest(client: &Client, repository: &str, reference: &str) -> (Value, String) {
    let url = format!("/v2/{repository}/manifests/{reference}");
    let accept = format!("{MANIFEST}, {INDEX}");
    let answer = client
        .send(
            "GET".parse().unwrap(),
            &url,
            &[("accept", &accept)],
            Payload::None,
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{url}");
    (
        answer.json(),
        Blob::new(answer.body.clone()).digest().to_owned(),
    )
}

/// The digests of the referrers of `digest`, by the API or by the tag that stands in for it.
async fn referrers(client: &Client, repository: &str, digest: &str) -> Vec<String> {
    let url = format!("/v2/{repository}/referrers/{digest}");
    let answer = client.get(&url).await.unwrap();
    let list = if answer.status == 200 {
        answer.json()
    } else {
        manifest(client, repository, &digest.replace(':', "-"))
            .await
            .0
    };
    let entries = list["manifests"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            assert_eq!(entry["artifactType"], ARTIFACT);
            entry["digest"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Pushes `image` with its signatures in both forms.
async fn push_signed(client: &Client, key: &Key, image: &Image) {
    let push = async |tag: Option<&str>, image: &Image| {
        push_over_http(client, "a", tag, image).await.unwrap();
    };
    push(Some("v1"), image).await;
    let referrer = key.sign(image, true);
    push(None, &referrer).await;
    let list = Image::fallback_index([&referrer]);
    push(Some(&image.cosign_tag("")), &list).await;
    push(Some(&image.cosign_tag("sig")), &key.sign(image, false)).await;
}

/// Asserts that the image at `repository:v1` has signatures in both forms that verify.
async fn assert_signed(client: &Client, key: &Key, repository: &str) {
    let (_, digest) = manifest(client, repository, "v1").await;
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let (by_tag, _) = manifest(client, repository, &tag).await;
    key.verify(client, repository, &by_tag, &digest).await;
    let referrers = referrers(client, repository, &digest).await;
    assert_eq!(referrers.len(), 1, "{repository}");
    let (by_subject, _) = manifest(client, repository, &referrers[0]).await;
    assert_eq!(by_subject["subject"]["digest"], digest);
    key.verify(client, repository, &by_subject, &digest).await;
}

fn insecure(hosts: &[String]) -> String {
    let entry = |host: &String| format!("{host}: {{insecure: true}}\n");
    hosts.iter().map(entry).collect()
}

#[test]
fn signatures_verify_at_every_kind_of_registry() {
    let start = |profile| Registry::builder().profile(profile).start_on_thread();
    let kits = [Profile::zot(), Profile::distribution()].map(start);
    let real = DockerRegistry::builder()
        .start()
        .expect("install it with scripts/test");
    let mut hosts: Vec<String> = kits.iter().map(Registry::host).collect();
    hosts.push(real.host());
    let clients: Vec<Client> = hosts
        .iter()
        .map(|host| Client::new(format!("http://{host}")))
        .collect();
    let key = Key::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (client, image) in clients.iter().zip([image("a"), index("b"), index("c")]) {
        runtime.block_on(push_signed(client, &key, &image));
    }
    let mut rules = String::new();
    for (number, source) in hosts.iter().enumerate() {
        let places: Vec<String> = hosts
            .iter()
            .map(|host| format!("{host}/from{number}"))
            .collect();
        writeln!(rules, "{source}/a:v1: [{}]", places.join(", ")).unwrap();
    }
    let place = Place::new()
        .file("images.yaml", &rules)
        .file("auth.yaml", &insecure(&hosts));
    let run = || {
        place
            .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
            .exits(0)
    };
    run()
        .does_not_say("warning")
        .says("9 images: 9 copied")
        .says("18 referrers (signatures and the like) came along");
    for client in &clients {
        for number in 0..hosts.len() {
            runtime.block_on(assert_signed(client, &key, &format!("from{number}")));
        }
    }
    run().says("9 images: 0 copied, 9 unchanged");
}

#[test]
fn a_late_signature_comes_alone_and_is_told() {
    let start = |profile| Registry::builder().profile(profile).start_on_thread();
    for profile in [Profile::zot(), Profile::distribution()] {
        let (source, destination) = (start(profile.clone()), start(profile));
        let (key, image) = (Key::new(), index("a"));
        source.push("a", Some("v1"), &image);
        let hosts = [source.host(), destination.host()];
        let place = Place::new()
            .file(
                "images.yaml",
                &format!("{}/a:v1: {}/a\n", hosts[0], hosts[1]),
            )
            .file("auth.yaml", &insecure(&hosts));
        let run = || {
            place
                .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
                .exits(0)
        };
        run().does_not_say("referrer");
        let client = Client::new(source.url());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(push_signed(&client, &key, &image));
        destination.clear_requests();
        let outcome = run();
        let line = outcome.lines("copied").concat();
        let expected = "2 referrers (signatures and the like); the image is unchanged";
        assert!(line.ends_with(expected), "{line}");
        let root = format!("/manifests/{}", image.digest());
        let pushed =
            destination.count(|request| request.line().starts_with(&format!("PUT /v2/a{root}")));
        assert_eq!(pushed, 0);
        let client = Client::new(destination.url());
        runtime.block_on(assert_signed(&client, &key, "a"));
        run().says("1 image: 0 copied, 1 unchanged");
    }
}

#[test]
fn two_processes_that_bring_referrers_of_one_image_list_both() {
    let start = |profile| Registry::builder().profile(profile).start_on_thread();
    let sources = [Profile::zot(), Profile::zot()].map(start);
    let destination = start(Profile::distribution());
    let image = image("a");
    let mut hosts: Vec<String> = sources.iter().map(Registry::host).collect();
    hosts.push(destination.host());
    let mut place = Place::new().file("auth.yaml", &insecure(&hosts));
    let mut expected = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        source.push("a", Some("v1"), &image);
        let signature = Key::new().sign(&image, true);
        source.push("a", None, &signature);
        expected.push(signature.digest().to_owned());
        let rule = format!("{}/a:v1: {}/a\n", source.host(), destination.host());
        place = place.file(&format!("{number}.yaml"), &rule);
    }
    let run = || {
        let start = |number| {
            let images = format!("{number}.yaml");
            let arguments = ["--images", &images, "--auth", "auth.yaml"];
            place.command(&arguments).spawn().unwrap()
        };
        let children = [start(0), start(1)];
        children.map(|child| Outcome::of(child.wait_with_output().unwrap()).exits(0))
    };
    let contended = run()
        .iter()
        .any(|outcome| outcome.stderr.contains("run again"));
    if contended {
        run();
    }
    let client = Client::new(destination.url());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut listed = runtime.block_on(referrers(&client, "a", image.digest()));
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}
