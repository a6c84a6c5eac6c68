//! Docker's and podman's files.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use image_syncer_registry::auth::{Access, Credential, DockerFiles, Keychain, Secret};
use image_syncer_registry::{Error, ErrorKind, Repository};

/// Returns the login of a repository in one file.
async fn of(document: &str, repository: &str) -> Result<Credential, Error> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(&file, document).unwrap();
    Ok(find(DockerFiles::from_paths([file]), repository)
        .await?
        .credential)
}

async fn find(files: DockerFiles, repository: &str) -> Result<Access, Error> {
    let keychain = Keychain::new(Vec::new(), Some(files)).unwrap();
    keychain
        .access(&Repository::parse(repository).unwrap())
        .await
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    }
}

#[tokio::test]
async fn keys_in_all_their_forms() {
    for (key, repository) in [
        ("quay.io", "quay.io/a/b"),
        ("https://quay.io", "quay.io/a"),
        ("https://quay.io/v1/", "quay.io/a"),
        ("http://quay.io/v2/", "quay.io/a"),
        ("quay.io/v2", "quay.io/a"),
        ("r.example.com:5000", "r.example.com:5000/a"),
        (
            "https://r.example.com:5000/some/path",
            "r.example.com:5000/a",
        ),
        ("https://index.docker.io/v1/", "nginx"),
        ("index.docker.io/v1/", "nginx"),
        ("docker.io", "me/app"),
        ("registry-1.docker.io", "docker.io/me/app"),
        ("docker.io/library", "nginx"),
        ("quay.io/a/b", "quay.io/a/b"),
        ("quay.io/a/", "quay.io/a/b/c"),
    ] {
        let document = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
        assert_eq!(
            of(&document, repository).await.unwrap(),
            basic("u", "p"),
            "{key}"
        );
        assert_eq!(
            of(&document, "quay.io.example.com/a/b").await.unwrap(),
            Credential::Anonymous,
            "{key}"
        );
    }
}

#[tokio::test]
async fn the_most_specific_key_wins_and_an_empty_one_says_nothing() {
    let document = r#"{"auths":{
        "quay.io": {"auth":"d2hvbGU6cA=="},
        "https://quay.io/v1/": {},
        "quay.io/team": {"auth":"dGVhbTpw"},
        "quay.io/team/app": {"auth":"YXBwOnA="},
        "quay.io/team/app/empty": {}
    }}"#;
    for (repository, user) in [
        ("quay.io/other", "whole"),
        ("quay.io/teams/app", "whole"),
        ("quay.io/team/other", "team"),
        ("quay.io/team/app", "app"),
        ("quay.io/team/app/empty", "app"),
    ] {
        assert_eq!(
            of(document, repository).await.unwrap(),
            basic(user, "p"),
            "{repository}"
        );
    }
}

#[tokio::test]
async fn logins_in_all_their_forms() {
    for (entry, expected) in [
        (r#"{"auth":"dTphOmI="}"#, basic("u", "a:b")),
        (r#"{"auth":"dTpwAAA="}"#, basic("u", "p")),
        (r#"{"auth":"dTpwcA"}"#, basic("u", "pp")),
        (r#"{"auth":" dTpw\n"}"#, basic("u", "p")),
        (
            r#"{"username":"u","password":"p","email":"x"}"#,
            basic("u", "p"),
        ),
        (
            r#"{"auth":"dTpw","identitytoken":"i"}"#,
            Credential::Identity(Secret::new("i")),
        ),
        (
            r#"{"auth":"dTpw","registrytoken":"r","identitytoken":"i"}"#,
            Credential::Bearer(Secret::new("r")),
        ),
        (
            r#"{"auth":"PHRva2VuPjppZA=="}"#,
            Credential::Identity(Secret::new("id")),
        ),
        (
            r#"{"auth":"","identitytoken":"","password":""}"#,
            Credential::Anonymous,
        ),
        (r#"{"auth":null}"#, Credential::Anonymous),
    ] {
        let document =
            format!(r#"{{"auths":{{"quay.io":{entry}}},"HttpHeaders":{{"X":"y"}},"psFormat":1}}"#);
        assert_eq!(
            of(&document, "quay.io/a").await.unwrap(),
            expected,
            "{entry}"
        );
    }
}

#[tokio::test]
async fn what_is_broken_is_named_with_its_place_and_without_its_content() {
    for (document, expected) in [
        ("{\"auths\":\n  s3cret}", "line 2 column 3 is not JSON"),
        (
            "{\"auths\": {\"quay.io\": \"s3cret\"}}",
            "line 1 column 30 is not what docker or podman write there",
        ),
        (
            "{\"auths\":{\"quay.io\":{\"auth\":\"s3cret!\"}}}",
            "the entry \"quay.io\": its \"auth\" is not base64",
        ),
        (
            "{\"auths\":{\"quay.io\":{\"auth\":\"czNjcmV0\"}}}",
            "the entry \"quay.io\": its \"auth\" has no colon",
        ),
        (
            "{\"auths\":{\"quay.io\":{\"auth\":\"/zo=\"}}}",
            "the entry \"quay.io\": its \"auth\" is base64 of something that is no text",
        ),
    ] {
        let error = of(document, "quay.io/a").await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(
            said.contains(expected) && said.contains("config.json"),
            "{said}"
        );
        assert!(
            !said.contains("s3cret") && !said.contains("czNjcmV0"),
            "{said}"
        );
    }
    let long = format!("{{\"auths\":{{}}}}{}", " ".repeat(1024 * 1024));
    assert!(
        of(&long, "quay.io/a")
            .await
            .unwrap_err()
            .to_string()
            .contains("it is larger than 1024 KiB")
    );
    for blank in [
        "",
        " \n",
        "\u{feff}{}",
        "{}",
        "{\"auths\":null,\"credsStore\":\"\"}",
    ] {
        assert_eq!(
            of(blank, "quay.io/a").await.unwrap(),
            Credential::Anonymous,
            "{blank:?}"
        );
    }
}

/// An environment with a file at each usual place, which says whose place it is.
fn environment(dir: &Path) -> Vec<(&'static str, OsString)> {
    let write = |path: &str, user: &str| {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let document =
            format!(r#"{{"auths":{{"quay.io":{{"username":"{user}","password":"p"}}}}}}"#);
        std::fs::write(path, document).unwrap();
    };
    write("named.json", "REGISTRY_AUTH_FILE");
    write("run/containers/auth.json", "XDG_RUNTIME_DIR");
    write("xdg/containers/auth.json", "XDG_CONFIG_HOME");
    write("docker/config.json", "DOCKER_CONFIG");
    write("home/.config/containers/auth.json", "~/.config");
    write("home/.docker/config.json", "~/.docker");
    vec![
        ("REGISTRY_AUTH_FILE", dir.join("named.json").into()),
        (
            "DOCKER_AUTH_CONFIG",
            r#"{"auths":{"quay.io":{"username":"DOCKER_AUTH_CONFIG","password":"p"}}}"#.into(),
        ),
        ("XDG_RUNTIME_DIR", dir.join("run").into()),
        ("XDG_CONFIG_HOME", dir.join("xdg").into()),
        ("DOCKER_CONFIG", dir.join("docker").into()),
        ("HOME", dir.join("home").into()),
    ]
}

#[tokio::test]
async fn files_are_asked_in_the_documented_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut vars = environment(dir.path());
    let mut found = Vec::new();
    while !vars.is_empty() {
        let files = DockerFiles::from_vars(|name| {
            vars.iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| value.clone())
        });
        let access = find(files, "quay.io/a").await.unwrap();
        let Credential::Basic { username, .. } = access.credential else {
            panic!("{access:?}")
        };
        found.push((username, access.origin));
        vars.remove(0);
        if found.len() == 6 {
            // Without podman's file of the home, docker's is left.
            std::fs::remove_file(dir.path().join("home/.config/containers/auth.json")).unwrap();
        }
    }
    let at = |path: &str| dir.path().join(path).display().to_string();
    assert_eq!(
        found,
        [
            ("REGISTRY_AUTH_FILE".to_owned(), at("named.json")),
            (
                "DOCKER_AUTH_CONFIG".to_owned(),
                "DOCKER_AUTH_CONFIG".to_owned()
            ),
            ("XDG_RUNTIME_DIR".to_owned(), at("run/containers/auth.json")),
            ("XDG_CONFIG_HOME".to_owned(), at("xdg/containers/auth.json")),
            (
                "~/.config".to_owned(),
                "~/.config/containers/auth.json".to_owned()
            ),
            (
                "~/.config".to_owned(),
                "~/.config/containers/auth.json".to_owned()
            ),
        ]
    );
    let home = dir.path().join("home");
    let files = DockerFiles::from_vars(|name| (name == "HOME").then(|| home.clone().into()));
    assert_eq!(
        find(files, "quay.io/a").await.unwrap().origin,
        "~/.docker/config.json"
    );
    let files = DockerFiles::from_vars(|_| Some(OsString::new()));
    assert_eq!(find(files, "quay.io/a").await.unwrap().origin, "no entry");
}

#[tokio::test]
async fn a_file_without_the_registry_leaves_it_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a.json"), dir.path().join("b.json"));
    std::fs::write(&first, r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#).unwrap();
    std::fs::write(&second, r#"{"auths":{"quay.io":{"auth":"dTpw"}}}"#).unwrap();
    let missing = dir.path().join("missing/c.json");
    let access = find(
        DockerFiles::from_paths([missing, first, second.clone()]),
        "quay.io/a",
    )
    .await
    .unwrap();
    assert_eq!(access.origin, second.display().to_string());
}

#[tokio::test]
async fn a_usual_place_that_cannot_be_read_is_named_and_a_chosen_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join(".docker/config.json");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let files = DockerFiles::from_vars(|name| (name == "HOME").then(|| dir.path().into()));
    let access = find(files, "quay.io/a").await.unwrap();
    assert_eq!(access.credential, Credential::Anonymous);
    assert!(
        access
            .origin
            .starts_with("no entry; ~/.docker/config.json cannot be read ("),
        "{}",
        access.origin
    );
    let docker = dir.path().join(".docker");
    let files =
        DockerFiles::from_vars(|name| (name == "DOCKER_CONFIG").then(|| docker.clone().into()));
    let error = find(files, "quay.io/a").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("config.json: it cannot be read: "),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_renewed_in_a_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let write = |auth: &str| {
        std::fs::write(
            &file,
            format!(r#"{{"auths":{{"quay.io":{{"auth":"{auth}"}}}}}}"#),
        )
        .unwrap();
    };
    write("dTpvbmU=");
    let keychain =
        Keychain::new(Vec::new(), Some(DockerFiles::from_paths([file.clone()]))).unwrap();
    let repository = Repository::parse("quay.io/a").unwrap();
    let one = keychain.access(&repository).await.unwrap();
    write("dTp0d28=");
    assert_eq!(keychain.access(&repository).await.unwrap(), one);
    assert_eq!(keychain.renewed(&repository, &one).await.unwrap(), None);
    tokio::time::advance(Duration::from_secs(10)).await;
    let two = keychain.renewed(&repository, &one).await.unwrap().unwrap();
    assert_eq!(two.credential, basic("u", "two"));
    write("dTp0aHJlZQ==");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(
        keychain.access(&repository).await.unwrap().credential,
        basic("u", "three")
    );
}

#[tokio::test]
async fn what_is_no_regular_file_is_an_error_and_is_never_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("config.json");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    for (path, why) in [
        (fifo.as_path(), "it is not a regular file"),
        (Path::new("/dev/zero"), "it is not a regular file"),
        (dir.path(), "it is a directory"),
    ] {
        let files = DockerFiles::from_paths([path.to_owned()]);
        let error = find(files, "r.example/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        let message = format!("it cannot be read: {why}");
        assert!(error.message().contains(&message), "{error}");
    }
}
