//! Signatures as cosign makes them and checks them: ECDSA over a payload that names a digest.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::image::media;
use testkit::{Blob, Image, Manifest};

use super::ends::End;

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Artifact type of a signature that refers to its subject.
pub(crate) const ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// Owner of a key.
pub(crate) struct Signer(EcdsaKeyPair);

/// Form of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Under the tag `sha256-<hex>.sig`.
    Tag,
    /// In the list of referrers of the image.
    Referrer,
}

/// A signature that was found.
pub(crate) struct Found {
    pub(crate) payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    /// Returns a signature of `manifest`, which the signer pulled as `name`; its tag is [`tag_of`].
    pub(crate) fn by_tag(&self, name: &str, manifest: &Manifest) -> Image {
        let config = Blob::new(
            json!({
                "architecture": "", "os": "", "config": {},
                "rootfs": {"type": "layers", "diff_ids": []},
            })
            .to_string(),
        );
        self.sign(name, manifest, media::OCI_CONFIG, config, None)
    }

    /// Returns a signature of `manifest` that names it as its subject. As with cosign, its config has the artifact
    /// type.
    pub(crate) fn by_subject(&self, name: &str, manifest: &Manifest) -> Image {
        let subject = Some(manifest.descriptor());
        self.sign(name, manifest, ARTIFACT_TYPE, Blob::new("{}"), subject)
    }

    /// Signs `manifest` in both forms at a registry, and returns the referrer.
    pub(crate) fn sign_at(&self, end: &End, repository: &str, manifest: &Manifest) -> Image {
        let name = format!("{}/{repository}", end.host());
        let tag = tag_of(&manifest.digest);
        end.push(repository, Some(&tag), &self.by_tag(&name, manifest));
        let referrer = self.by_subject(&name, manifest);
        end.refer(repository, &manifest.digest, &[&referrer]);
        referrer
    }

    fn sign(
        &self,
        name: &str,
        manifest: &Manifest,
        config_type: &str,
        config: Blob,
        subject: Option<Value>,
    ) -> Image {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": manifest.digest},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = Blob::new(payload.to_string());
        let bytes = payload.bytes().unwrap();
        let signature = self.0.sign(&SystemRandom::new(), &bytes).unwrap();
        let mut document = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": {"mediaType": config_type, "digest": config.digest(), "size": config.size()},
            "layers": [{
                "mediaType": PAYLOAD, "digest": payload.digest(), "size": payload.size(),
                "annotations": {SIGNATURE: STANDARD.encode(signature.as_ref())},
            }],
        });
        if let Some(subject) = subject {
            document["subject"] = subject;
        }
        let root = Manifest::new(media::OCI_MANIFEST, document.to_string());
        Image::of_parts(vec![config, payload], Vec::new(), root)
    }

    /// Returns true for the owner's signature of these bytes.
    pub(crate) fn made(&self, found: &Found) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0.public_key().as_ref());
        key.verify(&found.payload, &found.signature).is_ok()
    }

    /// Verifies a reference like `cosign verify`: resolves it, finds the signature of the digest in one form, and checks
    /// the signature and its payload. Returns the signature.
    #[track_caller]
    pub(crate) fn verify(&self, end: &End, repository: &str, what: &str, form: Form) -> Found {
        let manifest = end.manifest(repository, what).expect("the image");
        let digest = testkit::digest::sha256(&manifest);
        let found = Found::at(end, repository, &digest, form)
            .unwrap_or_else(|| panic!("no signature of {repository} {what} as {form:?}"));
        assert!(self.made(&found), "{repository} {what} as {form:?}");
        let payload: Value = serde_json::from_slice(&found.payload).unwrap();
        let signed = &payload["critical"]["image"]["docker-manifest-digest"];
        assert_eq!(signed, &digest, "{repository} {what} as {form:?}");
        found
    }
}

impl Found {
    /// Returns the signature of `digest`, or `None`.
    pub(crate) fn at(end: &End, repository: &str, digest: &str, form: Form) -> Option<Self> {
        let reference = match form {
            Form::Tag => tag_of(digest),
            Form::Referrer => {
                let entries = end.referrers(repository, digest);
                let entry = entries
                    .iter()
                    .find(|entry| entry["artifactType"] == ARTIFACT_TYPE)?;
                entry["digest"].as_str()?.to_owned()
            }
        };
        let manifest = end.manifest(repository, &reference)?;
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        if form == Form::Referrer {
            assert_eq!(manifest["subject"]["digest"], digest);
        }
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], PAYLOAD);
        let signature = layer["annotations"][SIGNATURE].as_str()?;
        Some(Self {
            payload: end.blob(repository, layer["digest"].as_str()?)?,
            signature: STANDARD.decode(signature).unwrap(),
        })
    }
}

/// Returns the tag under which cosign looks for the signature of a digest.
pub(crate) fn tag_of(digest: &str) -> String {
    format!("{}.sig", digest.replace(':', "-"))
}
