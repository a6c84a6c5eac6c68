//! The client against Debian's `docker-registry` (distribution 2.8).

use image_syncer_registry::auth::Credential;
use image_syncer_registry::{Client, Error, ErrorKind, OpenedUpload, Repository};
use testkit::real::DockerRegistry;
use testkit::{Auth, Blob, Image, Layer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::kit::{Given, MIB, basic, client_of, descriptor, tag};

struct Real {
    server: DockerRegistry,
    client: Client,
}

impl Real {
    fn start(auth: Auth, credential: Credential) -> Self {
        let server = DockerRegistry::builder().auth(auth).start().unwrap();
        let (client, _) = client_of(&server.host(), credential);
        Self { server, client }
    }
    fn repository(&self, path: &str) -> Repository {
        Repository::new(self.client.registry().clone(), path).unwrap()
    }
    async fn open(&self, path: &str, blob: &Blob, from: Option<&str>) -> OpenedUpload {
        let from = from.map(|from| self.repository(from));
        self.client
            .open_upload(&self.repository(path), &descriptor(blob), from.as_ref())
            .await
            .unwrap()
    }
    async fn send(&self, path: &str, blob: &Blob, source: &Given) -> Result<(), Error> {
        match self.open(path, blob, None).await {
            OpenedUpload::Present { .. } => Ok(()),
            OpenedUpload::Session(upload) => self.client.upload(upload, source).await,
        }
    }
    async fn has(&self, path: &str, blob: &Blob) -> bool {
        let repository = self.repository(path);
        self.client
            .has_blob(&repository, &descriptor(blob))
            .await
            .unwrap()
    }
}

fn open_registry() -> Real {
    Real::start(Auth::Anonymous, Credential::Anonymous)
}

#[tokio::test]
async fn blobs_arrive_are_mounted_and_are_read() {
    testkit::needs!("docker-registry");
    for (auth, credential) in [
        (Auth::Anonymous, Credential::Anonymous),
        (Auth::basic("ada", "pw"), basic("ada", "pw")),
        (Auth::bearer("ada", "pw"), basic("ada", "pw")),
    ] {
        let real = Real::start(auth, credential);
        let blob = Blob::synthetic(5_000_000, 1);
        real.send("a/b", &blob, &Given::of(&blob)).await.unwrap();
        assert!(real.has("a/b", &blob).await && !real.has("c/d", &blob).await);
        // The question for the repository's own blob, and for another's, is answered without a byte.
        let own = real.open("a/b", &blob, None).await;
        assert!(matches!(own, OpenedUpload::Present { mounted: false }));
        let other = real.open("c/d", &blob, Some("a/b")).await;
        assert!(matches!(other, OpenedUpload::Present { mounted: true }));
        assert!(real.has("c/d", &blob).await);
        let repository = real.repository("c/d");
        for offset in [0, 1, 4_999_999] {
            let mut reader = real
                .client
                .open_blob(&repository, &descriptor(&blob), offset)
                .await
                .unwrap();
            let mut all = Vec::new();
            while let Some(bytes) = reader.chunk().await.unwrap() {
                all.extend_from_slice(&bytes);
            }
            assert_eq!(
                all,
                blob.bytes().unwrap()[usize::try_from(offset).unwrap()..]
            );
        }
    }
}

#[tokio::test]
async fn blobs_of_every_size_arrive() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    for size in [0, 1, 65_536, 3_000_001] {
        let blob = Blob::synthetic(size, 7);
        real.send("a/b", &blob, &Given::of(&blob)).await.unwrap();
        assert!(real.has("a/b", &blob).await, "{size}");
    }
}

/// Starts a proxy to `target` that resets a connection after 5 MiB of a request. Returns its host.
async fn cutting_proxy(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(relay(client, server));
        }
    });
    host
}

async fn relay(mut client: TcpStream, mut server: TcpStream) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut sent = 0;
    // An answer ends a request.
    while sent <= 5 * MIB {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(length @ 1..) => {
                    sent += length as u64;
                    server.write_all(&up[..length]).await.unwrap();
                }
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(length @ 1..) => {
                    sent = 0;
                    client.write_all(&down[..length]).await.unwrap();
                }
                _ => return,
            },
        }
    }
    client.set_zero_linger().unwrap();
}

#[tokio::test]
async fn uploads_behind_a_proxy_that_cuts_them_off_arrive_in_chunks() {
    testkit::needs!("docker-registry");
    let server = DockerRegistry::builder().start().unwrap();
    let proxy = cutting_proxy(server.host()).await;
    let (client, heard) = client_of(&proxy, Credential::Anonymous);
    let real = Real { server, client };
    let mut retries = Vec::new();
    for seed in 0..3 {
        let blob = Blob::synthetic(12 * MIB, seed);
        real.send("a/b", &blob, &Given::of(&blob)).await.unwrap();
        assert!(real.has("a/b", &blob).await);
        retries.push(heard.retries());
    }
    // Two cuts of the first body, and none after that.
    assert_eq!(retries, [2, 2, 2]);
}

#[tokio::test]
async fn a_session_that_was_purged_is_opened_anew() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    let blob = Blob::synthetic(2_000_000, 1);
    let OpenedUpload::Session(upload) = real.open("a/b", &blob, None).await else {
        panic!("the blob is there");
    };
    let uploads = real
        .server
        .storage_dir()
        .join("docker/registry/v2/repositories/a/b/_uploads");
    std::fs::remove_dir_all(&uploads).unwrap();
    real.client.upload(upload, &Given::of(&blob)).await.unwrap();
    assert!(real.has("a/b", &blob).await);
}

#[tokio::test]
async fn a_source_that_breaks_leaves_no_blob() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    let blob = Blob::synthetic(2_000_000, 1);
    let cause = Error::new(ErrorKind::Broken, "fetch blob", "source.example", "gone");
    let half = Given::bytes(blob.bytes().unwrap().slice(..1_000_000)).failing(cause);
    let error = real.send("a/b", &blob, &half).await.unwrap_err();
    assert_eq!(error.host(), "source.example");
    assert!(!real.has("a/b", &blob).await);
}

#[tokio::test]
async fn wrong_bytes_are_refused_twice() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    let blob = Blob::synthetic(1000, 1);
    let other = Given::of(&Blob::synthetic(1000, 2));
    let error = real.send("a/b", &blob, &other).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Rejected, Some("DIGEST_INVALID"))
    );
    assert_eq!(other.opened(), [0, 0]);
}

#[tokio::test]
async fn a_manifest_that_lacks_its_blobs_names_them() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    let image = Image::single([Layer::tar("x", 10)]);
    let manifest = image_syncer_registry::Manifest::new(
        image.root().bytes.clone(),
        Some(&image.root().media_type),
        image_syncer_registry::Digest::parse(image.digest()).unwrap(),
    );
    let repository = real.repository("a/b");
    let error = real
        .client
        .put_manifest(&repository, &tag("v1"), &manifest.unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingContent, "{error}");
    assert_eq!(error.missing().len(), 2);
}

#[tokio::test]
async fn tags_are_listed() {
    testkit::needs!("docker-registry");
    let real = open_registry();
    let repository = real.repository("a/b");
    let error = real.client.tags(&repository).next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let image = Image::single([Layer::tar("x", 10)]);
    for blob in image.blobs() {
        real.send("a/b", blob, &Given::of(blob)).await.unwrap();
    }
    let root = image.root();
    let digest = image_syncer_registry::Digest::parse(&root.digest).unwrap();
    let manifest =
        image_syncer_registry::Manifest::new(root.bytes.clone(), Some(&root.media_type), digest)
            .unwrap();
    for name in ["v1", "v2", "latest"] {
        real.client
            .put_manifest(&repository, &tag(name), &manifest)
            .await
            .unwrap();
    }
    let mut pages = real.client.tags(&repository);
    let page = pages.next().await.unwrap().unwrap();
    let page: Vec<&str> = page
        .iter()
        .map(image_syncer_registry::Tag::as_str)
        .collect();
    assert_eq!(page, ["latest", "v1", "v2"]);
    assert!(pages.next().await.unwrap().is_none());
}
