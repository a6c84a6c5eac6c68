//! The endpoints of a registry as a whole, and deletion, at Debian's `docker-registry` (distribution 2.8).

use image_syncer_registry::auth::{Credential, LoginScheme};
use image_syncer_registry::{
    Cause, Client, CopiedBlob, ErrorKind, OpenedUpload, PingLogin, Repository,
};
use testkit::real::DockerRegistry;
use testkit::{Auth, Blob, Image};

use super::kit::{Given, MIB, basic, by_digest, client_of, descriptor, tag};

async fn send(client: &Client, path: &str, blob: &Blob) {
    let repository = repository(client, path);
    let opened = client
        .open_upload(&repository, &descriptor(blob), None)
        .await;
    if let OpenedUpload::Session(upload) = opened.unwrap() {
        client.upload(upload, &Given::of(blob)).await.unwrap();
    }
}

/// Pushes an image with the tags `v1` and `v2`.
async fn push(client: &Client, path: &str) -> Image {
    let image = super::manifests::image();
    for blob in image.blobs() {
        send(client, path, blob).await;
    }
    let (repository, manifest) = (repository(client, path), super::manifests::manifest(&image));
    for name in ["v1", "v2"] {
        let pushed = client
            .put_manifest(&repository, &tag(name), &manifest)
            .await;
        pushed.unwrap();
    }
    image
}

fn client(server: &DockerRegistry, credential: Credential) -> Client {
    client_of(&server.host(), credential).0
}

fn repository(client: &Client, path: &str) -> Repository {
    Repository::new(client.registry().clone(), path).unwrap()
}

async fn catalog(client: &Client) -> Vec<String> {
    let mut pages = client.catalog();
    let mut paths = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        paths.extend(page.iter().map(|repository| repository.path().to_owned()));
    }
    paths
}

#[tokio::test]
async fn it_lists_its_repositories() {
    testkit::needs!("docker-registry");
    for auth in [
        Auth::Anonymous,
        Auth::basic("ada", "pw"),
        Auth::bearer("ada", "pw"),
    ] {
        let server = DockerRegistry::builder().auth(auth).start().unwrap();
        let client = client(&server, basic("ada", "pw"));
        assert_eq!(catalog(&client).await, [""; 0]);
        for path in ["team/app", "a", "team/app/cache"] {
            push(&client, path).await;
        }
        assert_eq!(catalog(&client).await, ["a", "team/app", "team/app/cache"]);
    }
}

#[tokio::test]
async fn a_catalog_with_shorter_pages_is_listed_whole() {
    testkit::needs!("docker-registry");
    let server = DockerRegistry::builder().setting("REGISTRY_CATALOG_MAXENTRIES", "3");
    let server = server.start().unwrap();
    let client = client(&server, Credential::Anonymous);
    let image = push(&client, "team/app-0").await;
    let manifest = super::manifests::manifest(&image);
    let mut expected = vec!["team/app-0".to_owned()];
    for number in 1..8 {
        let path = format!("team/app-{number}");
        let repository = repository(&client, &path);
        for blob in image.blobs() {
            send(&client, &path, blob).await;
        }
        client
            .put_manifest(&repository, &tag("v1"), &manifest)
            .await
            .unwrap();
        expected.push(path);
    }
    let raw = testkit::raw::Client::new(server.url());
    let refused = raw.get("/v2/_catalog?n=1000").await.unwrap();
    let code = "PAGINATION_NUMBER_INVALID";
    assert_eq!((refused.status, &*refused.error_code()), (400, code));
    assert_eq!(catalog(&client).await, expected);
    let mut pages = client.list_repositories("team");
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        listed.extend(page.repositories.iter().map(|it| it.path().to_owned()));
    }
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn it_deletes_manifests_and_blobs_and_no_tags() {
    testkit::needs!("docker-registry");
    for auth in [Auth::Anonymous, Auth::bearer("ada", "pw")] {
        let server = DockerRegistry::builder().auth(auth).start().unwrap();
        let client = client(&server, basic("ada", "pw"));
        let image = push(&client, "a/b").await;
        let repository = repository(&client, "a/b");

        let error = client
            .delete_manifest(&repository, &tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.cause()),
            (ErrorKind::Rejected, Cause::Policy),
            "{error}"
        );
        let advice = "delete the manifest by its digest, which deletes its other tags as well";
        assert!(error.message().ends_with(advice), "{error}");

        let digest = by_digest(image.digest());
        client.delete_manifest(&repository, &digest).await.unwrap();
        let found = client.head_manifest(&repository, &tag("v2")).await;
        assert_eq!(found.unwrap(), None);
        let error = client
            .delete_manifest(&repository, &digest)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

        let blob = descriptor(&image.blobs()[0].clone());
        client.delete_blob(&repository, &blob.digest).await.unwrap();
        assert!(!client.has_blob(&repository, &blob).await.unwrap());
        let error = client
            .delete_blob(&repository, &blob.digest)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn it_says_that_deletion_is_switched_off() {
    testkit::needs!("docker-registry");
    let server = DockerRegistry::builder().without_delete().start().unwrap();
    let client = client(&server, Credential::Anonymous);
    let image = push(&client, "a/b").await;
    let repository = repository(&client, "a/b");
    let digest = by_digest(image.digest());
    let error = client
        .delete_manifest(&repository, &digest)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.cause()),
        (ErrorKind::Rejected, Cause::Policy),
        "{error}"
    );
    assert!(
        error
            .message()
            .ends_with("`REGISTRY_STORAGE_DELETE_ENABLED=true`)"),
        "{error}"
    );
    let blob = descriptor(&image.blobs()[0].clone());
    let error = client
        .delete_blob(&repository, &blob.digest)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

#[tokio::test]
async fn it_answers_pings() {
    testkit::needs!("docker-registry");
    for (auth, scheme) in [
        (Auth::Anonymous, None),
        (Auth::basic("ada", "pw"), Some(LoginScheme::Basic)),
        (Auth::bearer("ada", "pw"), Some(LoginScheme::Token)),
    ] {
        let server = DockerRegistry::builder().auth(auth).start().unwrap();
        let ping = client(&server, basic("ada", "pw")).ping().await.unwrap();
        let login = match scheme {
            None => PingLogin::NotRequired,
            Some(_) => PingLogin::Accepted,
        };
        assert_eq!((ping.login, ping.scheme), (login, scheme));
        assert_eq!(ping.api_version.as_deref(), Some("registry/2.0"));
        if scheme.is_some() {
            let error = client(&server, basic("ada", "no"))
                .ping()
                .await
                .unwrap_err();
            assert_eq!(error.cause(), Cause::LoginRefused, "{error}");
        }
    }
    let server = DockerRegistry::builder()
        .auth(Auth::basic("ada", "pw"))
        .start()
        .unwrap();
    let ping = client(&server, Credential::Anonymous).ping().await.unwrap();
    assert_eq!(ping.login, PingLogin::Missing);
}

#[tokio::test]
async fn blobs_are_copied_from_one_to_another() {
    testkit::needs!("docker-registry");
    let start = || DockerRegistry::builder().start().unwrap();
    let (one, other) = (start(), start());
    let blob = Blob::synthetic(3 * MIB, 1);
    let source = client(&one, Credential::Anonymous);
    send(&source, "a/b", &blob).await;
    let destination = client(&other, Credential::Anonymous);
    let (from, to) = (repository(&source, "a/b"), repository(&destination, "c/d"));
    let blob = descriptor(&blob);
    let copied = source.copy_blob(&from, &blob, &destination, &to).await;
    assert_eq!(copied.unwrap(), CopiedBlob::Uploaded);
    let within = repository(&destination, "e/f");
    let copied = destination
        .copy_blob(&to, &blob, &destination, &within)
        .await;
    assert_eq!(copied.unwrap(), CopiedBlob::Mounted);
    assert!(destination.has_blob(&within, &blob).await.unwrap());
}
