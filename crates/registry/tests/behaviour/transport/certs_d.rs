//! Certificates of single registries.

use std::path::{Path, PathBuf};

use http::Method;
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_registry::{Error, ErrorKind};

use super::{call, ok, secure};
use crate::certificates::Authority;
use crate::server::Server;

fn file(directory: &Path, registry: &str, name: &str, bytes: &[u8]) {
    let folder = directory.join(registry);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

/// Requests the base of `registry` with these directories.
async fn get(registry: &str, directories: &[PathBuf]) -> Result<(), Error> {
    let transport = Transport::new(
        TransportOptions::default().with_certificate_directories(directories.to_vec()),
    )
    .unwrap();
    let url = format!("https://{registry}/v2/");
    let answer = transport.send(call(&secure(registry), Method::GET, &url));
    answer.await.map(drop)
}

#[tokio::test]
async fn the_first_directory_with_a_folder_for_the_registry_counts_alone() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["127.0.0.1"], &["http/1.1"]);
    let server = Server::tls(acceptor, |_| ok("hello")).await;
    let registry = format!("127.0.0.1:{}", server.port);
    let root = tempfile::tempdir().unwrap();
    let directories = ["user", "containers", "docker"].map(|name| root.path().join(name));
    file(&directories[2], &registry, "ca.crt", &authority.pem());
    get(&registry, &directories).await.unwrap();
    file(&directories[0], "other.example", "ca.crt", b"");
    file(&directories[1], &registry, "readme.txt", b"nothing");
    let error = get(&registry, &directories).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    file(&directories[1], &registry, "a.crt", &Authority::new().pem());
    file(&directories[1], &registry, "b.crt", &authority.der());
    get(&registry, &directories).await.unwrap();
    std::os::unix::fs::symlink("/nowhere", directories[1].join(&registry).join("c.crt")).unwrap();
    get(&registry, &directories).await.unwrap();
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn pipes_and_devices_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let directories = [root.path().to_owned()];
    let registry = "127.0.0.1:1";
    file(
        root.path(),
        registry,
        "big.crt",
        &vec![b'x'; 1024 * 1024 + 1],
    );
    let error = get(registry, &directories).await.unwrap_err();
    assert!(
        error.message().ends_with("it is larger than 1024 KiB"),
        "{error}"
    );
    let folder = root.path().join(registry);
    std::fs::remove_file(folder.join("big.crt")).unwrap();
    std::fs::create_dir(folder.join("ca.crt")).unwrap();
    let error = get(registry, &directories).await.unwrap_err();
    assert!(
        error.message().ends_with("it is no regular file"),
        "{error}"
    );
}
