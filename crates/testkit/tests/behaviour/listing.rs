//! Listing APIs of vendors.

use std::time::{Duration, SystemTime};

use http::Method;
use serde_json::{Value, json};
use testkit::profile::{ListKind, ListingApi, ListingFault, ListingLogin};
use testkit::raw::{Client, Payload, RawResponse};
use testkit::{Image, Kind, Profile, Registry};

/// A registry with `team/app` (tags `v1` and `v2` of one image) and `team/deep/tool` without tags.
async fn seeded(profile: Profile) -> (Registry, Client, String) {
    let registry = Registry::builder().profile(profile).start().await;
    let image = Image::oci().build();
    let digest = registry.push("team/app", Some("v1"), &image);
    let state = registry.state();
    state.tag("team/app", "v2", &digest);
    state.set_pushed("team/app", "v2", at(1_732_000_000));
    state.create_repository("team/deep/tool");
    let client = Client::new(registry.url());
    (registry, client, digest)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn with(profile: Profile, api: ListingApi) -> Profile {
    Profile {
        listing_api: Some(api),
        ..profile
    }
}

async fn get(client: &Client, path: &str) -> RawResponse {
    client.get(path).await.unwrap()
}

async fn get_with(client: &Client, path: &str, headers: &[(&str, &str)]) -> RawResponse {
    let send = client.send(Method::GET, path, headers, Payload::None);
    send.await.unwrap()
}

/// Returns the values of a field of all entries.
fn field(list: &Value, name: &str) -> Vec<String> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|entry| entry[name].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn harbor() {
    let (registry, client, digest) = seeded(Profile::harbor()).await;
    let system = get(&client, "/api/v2.0/systeminfo").await;
    assert_eq!(
        (system.status, &system.json()["auth_mode"]),
        (200, &json!("db_auth"))
    );
    let projects = get(&client, "/api/v2.0/projects?page_size=100&page=1").await;
    assert_eq!(projects.header("x-total-count"), "1");
    assert_eq!(field(&projects.json(), "name"), ["team"]);
    let url = "/api/v2.0/projects/team/repositories?page_size=1";
    let first = get(&client, url).await;
    assert_eq!(field(&first.json(), "name"), ["team/app"]);
    assert_eq!(first.header("x-total-count"), "2");
    let next = "/api/v2.0/projects/team/repositories?page_size=1&page=2";
    assert_eq!(first.header("link"), format!("<{next}>; rel=\"next\""));
    let second = get(&client, next).await;
    assert_eq!(field(&second.json(), "name"), ["team/deep/tool"]);
    let url = "/api/v2.0/projects/team/repositories/app/artifacts?with_tag=true";
    let artifacts = get(&client, url).await.json();
    assert_eq!(artifacts[0]["digest"], digest);
    assert_eq!(field(&artifacts[0]["tags"], "name"), ["v1", "v2"]);
    let pushed = ["2023-11-14T22:13:20.000Z", "2024-11-19T07:06:40.000Z"];
    assert_eq!(field(&artifacts[0]["tags"], "push_time"), pushed);
    let artifacts = "/api/v2.0/projects/team/repositories/deep%252Ftool/artifacts";
    assert_eq!(get(&client, artifacts).await.json(), json!([]));
    let once = "/api/v2.0/projects/team/repositories/deep%2Ftool/artifacts";
    assert_eq!(get(&client, once).await.status, 404);
    let large = get(&client, "/api/v2.0/projects?page_size=101").await;
    assert_eq!(
        (large.status, &*large.error_code()),
        (422, "UNPROCESSABLE_ENTITY")
    );
    assert_eq!(registry.count(|r| r.kind == Kind::Listing), 8);
}

#[tokio::test]
async fn harbor_knows_proxies_and_accessories() {
    let (registry, client, digest) = seeded(Profile::harbor()).await;
    let app = Image::oci().build();
    registry.push(
        "team/app",
        Some("signature"),
        &Image::referrer_of(&app, "text/plain", "x"),
    );
    let artifacts = "/api/v2.0/projects/team/repositories/app/artifacts";
    let list = get(&client, artifacts).await.json();
    assert_eq!(
        (&list[0]["digest"], &list[0]["accessories"]),
        (&json!(digest), &Value::Null)
    );
    assert_eq!(list.as_array().unwrap().len(), 1);
    let list = get(&client, &format!("{artifacts}?with_accessory=true"))
        .await
        .json();
    assert_eq!(list[0]["accessories"][0]["subject_artifact_digest"], digest);
    let project = "/api/v2.0/projects/team";
    assert_eq!(
        get(&client, project).await.json()["registry_id"],
        Value::Null
    );
    let api = ListingApi {
        proxies: vec!["team".to_owned()],
        ..ListingApi::harbor()
    };
    registry.change_profile(|p| p.listing_api = Some(api));
    assert_eq!(get(&client, project).await.json()["registry_id"], 1);
    assert_eq!(get(&client, "/api/v2.0/projects/nobody").await.status, 404);
}

#[tokio::test]
async fn docker_hub() {
    let (_registry, client, digest) = seeded(Profile::docker_hub()).await;
    let list = get(&client, "/v2/namespaces/team/repositories?page_size=100")
        .await
        .json();
    assert_eq!(field(&list["results"], "name"), ["app"]);
    assert_eq!((&list["count"], &list["next"]), (&json!(1), &Value::Null));
    let tags = "/v2/namespaces/team/repositories/app/tags?page_size=1";
    let first = get(&client, tags).await.json();
    assert_eq!(first["results"][0]["name"], "v2");
    assert_eq!(first["results"][0]["digest"], digest);
    assert_eq!(
        first["results"][0]["tag_last_pushed"],
        "2024-11-19T07:06:40.000Z"
    );
    let next = first["next"].as_str().unwrap();
    assert!(next.ends_with(&format!("{tags}&page=2")), "{next}");
    assert_eq!(
        get(&client, "/v2/namespaces/nobody/repositories")
            .await
            .status,
        404
    );

    let login = async |secret: &str| {
        let body = json!({"identifier": "user", "secret": secret}).to_string();
        let send = client.send(
            Method::POST,
            "/v2/auth/token",
            &[],
            Payload::Bytes(body.into()),
        );
        send.await.unwrap()
    };
    assert_eq!(login("wrong").await.status, 401);
    let token = login("secret").await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (token, status) in [(&*token, 200), ("other", 401)] {
        let bearer = format!("Bearer {token}");
        let answer = get_with(&client, tags, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status, status);
    }
    let (_registry, client, _) = seeded(Profile::distribution()).await;
    assert_eq!(get(&client, tags).await.status, 404);
}

#[tokio::test]
async fn quay() {
    let (registry, client, digest) = seeded(Profile::quay()).await;
    registry.change_profile(|p| {
        p.listing_api = Some(ListingApi {
            page_size: 1,
            ..ListingApi::quay()
        });
    });
    let url = "/api/v1/repository?namespace=team&public=true&next_page=";
    let first = get(&client, url).await.json();
    assert_eq!(field(&first["repositories"], "name"), ["app"]);
    let next = first["next_page"].as_str().unwrap();
    let second = get(&client, &format!("{url}{next}")).await.json();
    assert_eq!(field(&second["repositories"], "name"), ["deep/tool"]);
    assert_eq!(second.get("next_page"), None);
    let tags = "/api/v1/repository/team/app/tag/?limit=100&onlyActiveTags=true&page=";
    let first = get(&client, &format!("{tags}1")).await.json();
    let entry = &first["tags"][0];
    assert_eq!(
        (&entry["name"], &entry["start_ts"]),
        (&json!("v2"), &json!(1_732_000_000))
    );
    assert_eq!(entry["manifest_digest"], digest);
    assert_eq!(entry["last_modified"], "Tue, 19 Nov 2024 07:06:40 -0000");
    assert_eq!(first["has_additional"], true);
    assert_eq!(
        get(&client, &format!("{tags}2")).await.json()["has_additional"],
        false
    );
    assert_eq!(get(&client, "/api/v1/repository").await.status, 400);
}

#[tokio::test]
async fn github() {
    let (registry, client, digest) = seeded(Profile::ghcr()).await;
    let bearer = format!("Bearer {}", ListingApi::GITHUB_TOKEN);
    let login = [("authorization", &*bearer), ("user-agent", "test")];
    let packages = "/orgs/team/packages?package_type=container&per_page=1";
    let refused = get_with(&client, packages, &[("user-agent", "test")]).await;
    assert_eq!(
        (refused.status, &refused.json()["message"]),
        (401, &json!("Requires authentication"))
    );
    assert_eq!(get_with(&client, packages, &login[..1]).await.status, 403);
    let first = get_with(&client, packages, &login).await;
    assert_eq!(field(&first.json(), "name"), ["app"]);
    let next = "/organizations/1/packages?package_type=container&per_page=1&page=2";
    assert!(
        first
            .header("link")
            .contains(&format!("{next}>; rel=\"next\""))
    );
    let second = get_with(&client, next, &login).await.json();
    assert_eq!(field(&second, "name"), ["deep/tool"]);
    let versions = "/orgs/team/packages/container/app/versions?per_page=100";
    let versions = get_with(&client, versions, &login).await.json();
    assert_eq!(versions[0]["name"], digest);
    assert_eq!(versions[0]["updated_at"], "2024-11-19T07:06:40Z");
    assert_eq!(
        versions[0]["metadata"]["container"]["tags"],
        json!(["v1", "v2"])
    );
    let nested = "/orgs/team/packages/container/deep%2Ftool/versions";
    assert_eq!(get_with(&client, nested, &login).await.status, 200);
    let api = ListingApi {
        users: vec!["team".to_owned()],
        ..ListingApi::github()
    };
    registry.change_profile(|p| p.listing_api = Some(api));
    assert_eq!(get_with(&client, packages, &login).await.status, 404);
    let user = packages.replace("orgs", "users");
    assert_eq!(get_with(&client, &user, &login).await.status, 200);
}

#[tokio::test]
async fn gitlab() {
    let (_registry, client, _) = seeded(Profile::gitlab()).await;
    let group = "/api/v4/groups/team/registry/repositories?per_page=1";
    let first = get(&client, group).await;
    assert_eq!(field(&first.json(), "path"), ["team/app"]);
    let headers =
        ["x-next-page", "x-total", "x-total-pages"].map(|name| first.header(name).to_owned());
    assert_eq!(headers, ["2", "2", "2"]);
    let last = get(&client, &format!("{group}&page=2")).await;
    assert_eq!(
        (last.header("x-next-page"), field(&last.json(), "path")),
        ("", vec!["team/deep/tool".to_owned()])
    );
    let project = get(
        &client,
        "/api/v4/projects/team%2Fdeep/registry/repositories",
    )
    .await;
    assert_eq!(field(&project.json(), "path"), ["team/deep/tool"]);
    for missing in ["groups/team%2Fdeep", "projects/team", "groups/nobody"] {
        let url = format!("/api/v4/{missing}/registry/repositories");
        assert_eq!(get(&client, &url).await.status, 404, "{missing}");
    }
    for (token, status) in [("glpat-testkit", 200), ("other", 401)] {
        let answer = get_with(&client, group, &[("private-token", token)]).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn google() {
    let (_registry, client, digest) = seeded(Profile::google()).await;
    let list = async |name: &str| get(&client, &format!("/v2/{name}/tags/list")).await;
    let top = list("team").await.json();
    assert_eq!(
        (&top["child"], &top["manifest"]),
        (&json!(["app", "deep"]), &json!({}))
    );
    assert_eq!(list("team/deep").await.json()["child"], json!(["tool"]));
    let app = list("team/app").await.json();
    assert_eq!(app["child"], json!([]));
    assert_eq!(app["manifest"][&digest]["tag"], json!(["v1", "v2"]));
    assert_eq!(
        app["manifest"][&digest]["timeUploadedMs"],
        json!(1_732_000_000_000_u64)
    );
    assert_eq!(list("nobody").await.status, 404);
}

#[tokio::test]
async fn lists_can_lie() {
    let (registry, client, _) = seeded(Profile::harbor()).await;
    let url = "/api/v2.0/projects/team/repositories?page_size=1";
    let lie = async |fault| {
        let api = ListingApi::harbor().fault(ListKind::Repositories, fault);
        registry.change_profile(|p| p.listing_api = Some(api));
        get(&client, url).await
    };
    assert_eq!(
        lie(ListingFault::Total(3)).await.header("x-total-count"),
        "5"
    );
    assert_eq!(
        lie(ListingFault::Total(-9)).await.header("x-total-count"),
        "0"
    );
    let cut = lie(ListingFault::EndsAfter(1)).await;
    assert_eq!((cut.header("x-total-count"), cut.header("link")), ("2", ""));
    let elsewhere = format!("<http://{}/api/v2.0/", registry.storage_host());
    assert!(
        lie(ListingFault::NextElsewhere)
            .await
            .header("link")
            .starts_with(&elsewhere)
    );
    assert!(
        lie(ListingFault::RepeatsCursor)
            .await
            .header("link")
            .contains("&page=1>")
    );
    lie(ListingFault::RepeatsPage).await;
    let ninth = get(&client, &format!("{url}&page=9")).await;
    assert_eq!(field(&ninth.json(), "name"), ["team/app"]);
    assert!(ninth.header("link").contains("page=10>; rel=\"next\""));
    assert!(lie(ListingFault::Nonsense).await.json().is_object());
    assert_eq!(lie(ListingFault::Forbidden).await.status, 403);
    let projects = get(&client, "/api/v2.0/projects").await;
    assert_eq!(projects.status, 200);
}

#[tokio::test]
async fn logins_are_checked_by_the_api_alone() {
    let api = ListingApi::harbor().requires(ListingLogin::Users);
    let registry = Registry::builder()
        .profile(with(Profile::harbor(), api))
        .auth(testkit::Auth::bearer("robot", "secret"))
        .namespaces(&["team"])
        .start()
        .await;
    let client = Client::new(registry.url());
    let url = "/api/v2.0/projects";
    assert_eq!(get(&client, url).await.status, 401);
    assert_eq!(get(&client, "/api/v2.0/systeminfo").await.status, 200);
    for (user, status) in [("cm9ib3Q6c2VjcmV0", 200), ("cm9ib3Q6d3Jvbmc=", 401)] {
        let basic = format!("Basic {user}");
        let answer = get_with(&client, url, &[("authorization", &basic)]).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn names_alone_make_a_large_registry() {
    let names = (0..2503).map(|number| format!("team/app-{number:04}"));
    let profile = Profile::gitlab();
    let registry = Registry::builder()
        .profile(profile)
        .repositories(names)
        .start()
        .await;
    let client = Client::new(registry.url());
    let url = "/api/v4/groups/team/registry/repositories?per_page=100&page=26";
    let last = get(&client, url).await;
    assert_eq!(last.json().as_array().unwrap().len(), 3);
    assert_eq!(
        (last.header("x-total"), last.header("x-total-pages")),
        ("2503", "26")
    );
}
