//! Whole images from registry to registry, by nothing but the client.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::auth::Credential;
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{
    BlobSource, BlobStream, Client, Descriptor, Error, Manifest, OpenedUpload, Repository, Target,
};
use testkit::real::DockerRegistry;
use testkit::{Auth, Image, Kind, Layer, Platform, Profile};

use super::kit::{basic, client_of, tag};

/// One end of a copy.
pub(crate) struct End {
    pub(crate) client: Client,
    pub(crate) repository: Repository,
}

/// A blob at the source.
struct AtSource<'a> {
    end: &'a End,
    blob: &'a Descriptor,
}

impl BlobSource for AtSource<'_> {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        async move {
            let End { client, repository } = self.end;
            let reader = client.open_blob(repository, self.blob, offset).await?;
            Ok(reader.into_stream())
        }
        .boxed()
    }
}

pub(crate) fn end(host: &str, credential: Credential, path: &str) -> End {
    let (client, _) = client_of(host, credential);
    let repository = Repository::new(client.registry().clone(), path).unwrap();
    End { client, repository }
}

/// Copies what `target` names, leaves first.
pub(crate) fn copy<'a>(
    from: &'a End,
    to: &'a End,
    target: Target,
) -> BoxFuture<'a, Result<Manifest, Error>> {
    async move {
        let manifest = from.client.get_manifest(&from.repository, &target).await?;
        match manifest.view().unwrap() {
            ManifestView::Index(index) => {
                for child in &index.manifests {
                    copy(from, to, Target::Digest(child.digest.clone())).await?;
                }
            }
            ManifestView::Image(image) => {
                for blob in image.config.iter().chain(&image.layers) {
                    let opened = to.client.open_upload(&to.repository, blob, None).await?;
                    if let OpenedUpload::Session(upload) = opened {
                        to.client
                            .upload(upload, &AtSource { end: from, blob })
                            .await?;
                    }
                }
            }
            ManifestView::Schema1(_) => panic!("not in these tests"),
        }
        to.client
            .put_manifest(&to.repository, &target, &manifest)
            .await?;
        Ok(manifest)
    }
    .boxed()
}

pub(crate) fn index() -> Image {
    let base = Layer::tar("base", 100_000);
    Image::index([
        Image::oci()
            .layer(base.clone())
            .layer(Layer::synthetic(2_000_000, 1))
            .build(),
        Image::docker()
            .platform(Platform::linux("arm64"))
            .layer(base)
            .layer(Layer::synthetic(0, 1))
            .build(),
    ])
}

#[tokio::test]
async fn a_new_image_costs_the_floor() {
    let (source, target) = (
        testkit::Registry::start(Profile::distribution()).await,
        testkit::Registry::start(Profile::distribution()).await,
    );
    let image = Image::single((0..5).map(|n| Layer::synthetic(100_000, n)));
    source.push("from/here", Some("v1"), &image);
    let from = end(&source.host(), Credential::Anonymous, "from/here");
    let to = end(&target.host(), Credential::Anonymous, "to/there");
    copy(&from, &to, tag("v1")).await.unwrap();
    target.verify_complete("to/there", "v1").unwrap();
    assert_eq!(
        target.state().digest("to/there", "v1").as_deref(),
        Some(image.digest())
    );
    // 3 L + 5 for L = 5.
    assert_eq!(source.requests().len(), 7);
    assert_eq!(target.requests().len(), 13);
    assert_eq!(target.bytes_received(), image.blob_bytes());
    // Again: each blob is one question.
    target.clear_requests();
    copy(&from, &to, tag("v1")).await.unwrap();
    assert_eq!(target.count(|r| r.kind == Kind::Mount), 6);
    assert_eq!(target.requests().len(), 7);
    assert_eq!(target.bytes_received(), 0);
    for registry in [&source, &target] {
        assert_eq!(registry.problems(), [""; 0]);
    }
}

#[tokio::test]
async fn an_image_goes_through_the_real_registry_and_back() {
    testkit::needs!("docker-registry");
    let image = index();
    let source = testkit::Registry::start(Profile::strict()).await;
    source.push("a/b", Some("v1"), &image);
    for auth in [
        Auth::Anonymous,
        Auth::basic("ada", "pw"),
        Auth::bearer("ada", "pw"),
    ] {
        let real = DockerRegistry::builder()
            .auth(auth.clone())
            .start()
            .unwrap();
        let back = testkit::Registry::start(Profile::strict()).await;
        let credential = match auth {
            Auth::Anonymous => Credential::Anonymous,
            _ => basic("ada", "pw"),
        };
        let from = end(&source.host(), Credential::Anonymous, "a/b");
        let middle = end(&real.host(), credential, "c/d/e");
        let to = end(&back.host(), Credential::Anonymous, "f");
        copy(&from, &middle, tag("v1")).await.unwrap();
        copy(&middle, &to, tag("v1")).await.unwrap();
        back.verify_complete("f", "v1").unwrap();
        assert_eq!(
            back.state().digest("f", "v1").as_deref(),
            Some(image.digest())
        );
        let head = middle
            .client
            .head_manifest(&middle.repository, &tag("v1"))
            .await
            .unwrap();
        assert_eq!(head.unwrap().digest.as_str(), image.digest());
    }
}
