#![allow(clippy::unwrap_used)]

use std::time::Duration;

use image_syncer_registry::Repository;
use image_syncer_sync::FailedRequest;

use super::*;

fn failure(cause: Cause, side: Side, repository: &str) -> Failure {
    let repository = Repository::parse(repository).unwrap();
    Failure {
        side,
        cause,
        host: repository.registry().as_str().to_owned(),
        request: Some(Box::new(FailedRequest {
            action: String::new(),
            repository: Some(repository),
            until: None,
        })),
        ..Failure::local("")
    }
}

#[track_caller]
fn says(cause: Cause, repository: &str, words: &str) {
    let text = hint(&failure(cause, Side::Destination, repository)).unwrap();
    assert!(text.contains(words), "no {words:?} in {text:?}");
}

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app";

#[test]
fn a_missing_name_is_created_at_the_destination_and_checked_at_the_source() {
    let at = |side, cause, code: Option<&str>| {
        hint(&Failure {
            code: code.map(str::to_owned),
            ..failure(cause, side, "r.example/a/b")
        })
        .unwrap()
    };
    let unknown = Some("MANIFEST_UNKNOWN");
    assert_eq!(
        at(Side::Source, Cause::NotFound, unknown),
        "check the name, and that the image still exists at the source"
    );
    assert_eq!(
        at(Side::Source, Cause::NameRefused, Some("NAME_INVALID")),
        "check the name at the source: r.example accepts no repository called a/b"
    );
    assert!(at(Side::Destination, Cause::NotFound, unknown).contains("create a/b, or its project"));
    // A bare 404 is no word of a registry.
    assert_eq!(
        at(Side::Destination, Cause::NotFound, None),
        "check that r.example is a registry (curl -i https://r.example/v2/); if it is, create a/b, or its project, before \
         the push"
    );
}

#[test]
fn a_missing_login_has_another_hint_for_a_push_than_for_a_pull() {
    let at = |side| hint(&failure(Cause::NoLogin, side, "r.example/a/b")).unwrap();
    assert_eq!(
        at(Side::Destination),
        "a push needs a login: give r.example a username and password in the auth file or the native file, or log in: docker login r.example"
    );
    assert!(at(Side::Source).contains("if the image is public, check its name"));
}

#[test]
fn a_required_foreign_layer_needs_a_flag() {
    let at_destination = |cause| hint(&failure(cause, Side::Destination, "r.example/a")).unwrap();
    assert_eq!(
        at_destination(Cause::ForeignLayerRequired),
        "run again with --foreign-layers"
    );
    // The hint depends on the cause alone.
    let other = hint(&Failure {
        reason: "blob unknown: --foreign-layers".to_owned(),
        ..failure(Cause::ContentMissing, Side::Destination, "r.example/a")
    });
    assert!(other.unwrap().starts_with("run again: "));
}

#[test]
fn a_type_that_the_source_does_not_serve_has_no_hint_for_the_destination() {
    let at = |side| hint(&failure(Cause::MediaTypeRefused, side, "r.example/a"));
    assert_eq!(at(Side::Source), None);
    assert!(
        at(Side::Destination)
            .unwrap()
            .starts_with("copy to a registry")
    );
}

#[test]
fn each_vendor_has_its_own_login_command() {
    for (repository, words) in [
        ("r.example:5000/a/b", "log in: docker login r.example:5000"),
        ("nginx", "log in: docker login"),
        (
            ECR,
            "aws ecr get-login-password --region eu-west-1 | docker login",
        ),
        ("acme.azurecr.io/a", "az acr login --name acme"),
        (
            "europe-docker.pkg.dev/p/r/i",
            "gcloud auth configure-docker europe-docker.pkg.dev",
        ),
    ] {
        says(Cause::LoginRefused, repository, words);
        says(Cause::NoLogin, repository, words);
    }
}

#[test]
fn a_refusal_of_the_token_server_names_the_registry() {
    let mut failure = failure(Cause::LoginRefused, Side::Source, "nginx");
    failure.host = "auth.docker.io".to_owned();
    let text = hint(&failure).unwrap();
    assert!(
        text.contains("for docker.io in the auth file or the native file, or log in: docker login"),
        "{text}"
    );
}

#[test]
fn each_vendor_has_its_own_command_to_create_a_repository() {
    says(
        Cause::RepositoryMissing,
        ECR,
        "aws ecr create-repository --region eu-west-1 --repository-name team/app",
    );
    says(
        Cause::RepositoryMissing,
        "public.ecr.aws/alias/team/app",
        "aws ecr-public create-repository --region us-east-1 --repository-name team/app",
    );
    says(
        Cause::RepositoryMissing,
        "europe-docker.pkg.dev/proj/repo/image",
        "repositories create repo --repository-format=docker --location=europe --project=proj",
    );
    says(
        Cause::RepositoryMissing,
        "acme/app",
        "https://hub.docker.com",
    );
    says(
        Cause::ProjectMissing,
        "harbor.example/mirror/app",
        "https://harbor.example/api/v2.0/projects --json '{\"project_name\": \"mirror\"}'",
    );
    says(
        Cause::ProjectMissing,
        "quay.io/acme/app",
        "create the organisation acme first",
    );
    says(
        Cause::NameRefused,
        "registry.cn-hangzhou.aliyuncs.com/a/b/c",
        "accepts exactly two names, not a/b/c",
    );
}

#[test]
fn each_vendor_has_its_own_way_to_grant_the_right_to_push() {
    for (repository, words) in [
        (
            "europe-docker.pkg.dev/proj/repo/image",
            "roles/artifactregistry.writer for proj/repo/image, or create it first: gcloud",
        ),
        (
            "registry.cn-hangzhou.aliyuncs.com/a/b/c",
            "the namespace a exists and belongs to the account",
        ),
        ("acme/app", "that the namespace acme belongs to the account"),
        (
            "ghcr.io/acme/app",
            "the right to push to acme/app at ghcr.io",
        ),
    ] {
        says(Cause::NoPushRight, repository, words);
    }
    says(
        Cause::NameRefused,
        "europe-docker.pkg.dev/proj/app",
        "PROJECT/REPOSITORY/IMAGE",
    );
}

#[test]
fn each_vendor_has_its_own_command_to_make_tags_mutable() {
    says(
        Cause::ImmutableTag,
        ECR,
        "aws ecr put-image-tag-mutability --region eu-west-1",
    );
    says(
        Cause::ImmutableTag,
        "acme.azurecr.io/a/b",
        "--name acme --repository a/b",
    );
    says(
        Cause::ImmutableTag,
        "r.example/a/b",
        "makes tags of a/b immutable",
    );
}

#[test]
fn dns_names_have_no_port() {
    // The API of Docker Hub has a name of its own.
    says(
        Cause::NameNotResolved,
        "nginx",
        "getent hosts registry-1.docker.io",
    );
    let mut storage = failure(Cause::NameNotResolved, Side::Source, "r.example/a");
    storage.host = "storage.example:9000".to_owned();
    let text = hint(&storage).unwrap();
    assert!(text.ends_with("getent hosts storage.example"), "{text}");
    says(
        Cause::NameNotResolved,
        "registry.invalid:5000/a",
        "getent hosts registry.invalid",
    );
    says(
        Cause::ProxyRefused,
        "r.example:5000/a",
        "NO_PROXY=r.example bypasses",
    );
}

#[test]
fn a_rate_limit_names_the_time_of_its_end_until_that_has_passed() {
    let mut failure = failure(Cause::RateLimited, Side::Source, "r.example/a");
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 + seconds);
    assert!(
        limited(&failure, &FailureTarget::from_failure(&failure), at(0))
            .contains("or run again later: ")
    );
    failure.request.as_mut().unwrap().until = Some(at(60));
    assert!(
        limited(&failure, &FailureTarget::from_failure(&failure), at(0))
            .contains("or run again after 08:50:37 UTC: ")
    );
    assert!(
        limited(&failure, &FailureTarget::from_failure(&failure), at(60))
            .contains("or run again later: ")
    );
    assert!(
        limited(&failure, &FailureTarget::from_failure(&failure), at(0))
            .contains("--max-requests r.example=N")
    );
}

#[test]
fn causes_whose_reason_says_everything_have_no_hint() {
    for cause in [
        Cause::PrivateAddress,
        Cause::LoginWithheld,
        Cause::Rejected,
        Cause::Interrupted,
        Cause::Defect,
        Cause::Other,
    ] {
        assert_eq!(
            hint(&failure(cause, Side::Source, "r.example/a")),
            None,
            "{cause}"
        );
    }
    says(Cause::TooLarge, "r.example/a", "client_max_body_size");
}

#[test]
fn advice_on_a_file_names_the_command_that_lists_it() {
    for host in ["oci:store", "oci-archive:a.tar", "docker-archive:-"] {
        let at = |side, cause| {
            hint(&Failure {
                side,
                cause,
                host: host.to_owned(),
                ..Failure::local("")
            })
        };
        assert_eq!(
            at(Side::Source, Cause::NotFound),
            Some(format!(
                "check the path, and the name: image-syncer tags {host} lists all names"
            ))
        );
        let created = "check the path: no file or directory can be created there";
        assert_eq!(
            at(Side::Destination, Cause::NotFound).as_deref(),
            Some(created)
        );
        for (cause, word) in [
            (Cause::ContentMissing, "--os"),
            (Cause::StorageFull, "--temp"),
        ] {
            let advice = at(Side::Source, cause).unwrap_or_default();
            assert!(advice.contains(word), "{advice}");
        }
        assert_eq!(at(Side::Source, Cause::Other), None);
    }
}
