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
fn the_same_cause_wants_something_else_at_either_end() {
    let at = |side| hint(&failure(Cause::NotFound, side, "r.example/a/b")).unwrap();
    assert!(at(Side::Source).contains("at the source"));
    assert!(at(Side::Destination).contains("create a/b, or its project, first"));
}

#[test]
fn logins_are_made_as_the_registry_has_it() {
    for (repository, words) in [
        ("r.example:5000/a/b", "with: docker login r.example:5000"),
        ("nginx", "with: docker login"),
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
fn a_token_server_is_no_registry_to_log_in_to() {
    let mut failure = failure(Cause::LoginRefused, Side::Source, "nginx");
    failure.host = "auth.docker.io".to_owned();
    let text = hint(&failure).unwrap();
    assert!(
        text.contains("for docker.io, or log in with: docker login"),
        "{text}"
    );
}

#[test]
fn what_must_exist_first_is_made_as_the_registry_has_it() {
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
        "takes exactly two names, and got a/b/c",
    );
}

#[test]
fn a_right_to_push_is_had_as_the_registry_has_it() {
    for (repository, words) in [
        (
            "europe-docker.pkg.dev/proj/repo/image",
            "roles/artifactregistry.writer for proj/repo/image, or create it first: gcloud",
        ),
        (
            "registry.cn-hangzhou.aliyuncs.com/a/b/c",
            "the namespace a exists and is the account's",
        ),
        ("acme/app", "whether the namespace acme is the account's"),
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
fn tags_are_unlocked_as_the_registry_has_it() {
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
        "keeps tags of a/b as they are",
    );
}

#[test]
fn names_go_to_dns_without_a_port() {
    // As it is asked, whatever the user calls it.
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
        "NO_PROXY=r.example goes",
    );
}

#[test]
fn a_limit_is_over_when_the_host_says_so() {
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
fn what_says_all_in_its_reason_has_no_hint() {
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
