//! Tag lists, page by page.

use serde_json::json;
use testkit::profile::{LinkForm, Paging, TagsRule};
use testkit::raw::Client;
use testkit::{Access, Auth, Image, Profile, Registry};

use crate::start;

fn rule(change: impl FnOnce(&mut TagsRule)) -> Profile {
    let mut profile = Profile::distribution3();
    change(&mut profile.tags);
    profile
}

fn seed(registry: &Registry, tags: &[&str]) {
    for tag in tags {
        registry.push("team/app", Some(tag), &Image::oci().build());
    }
}

/// Returns the URL between `<` and `>` of the link with `next`.
fn next(link: &str) -> Option<String> {
    let before = &link[..link
        .find("rel=\"next\"")
        .or_else(|| link.find("rel=next"))?];
    let open = before.rfind('<')?;
    Some(before[open + 1..before.rfind('>')?].to_owned())
}

async fn pages(client: &Client, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut url = Some(first.to_owned());
    while let Some(page) = url {
        let answer = client.get(&page).await.unwrap();
        let tags = answer.json()["tags"].as_array().unwrap().clone();
        pages.push(
            tags.iter()
                .map(|t| t.as_str().unwrap().to_owned())
                .collect(),
        );
        url = next(answer.header("link"));
    }
    pages
}

#[tokio::test]
async fn every_form_of_link_leads_on() {
    for form in [
        LinkForm::Relative,
        LinkForm::Absolute,
        LinkForm::Several,
        LinkForm::Unquoted,
        LinkForm::Opaque,
    ] {
        for order in [false, true] {
            let (registry, client) = start(rule(|r| {
                r.paging = Paging::Link(form);
                r.creation_order = order;
            }))
            .await;
            seed(&registry, &["c", "a", "e", "b", "d"]);
            let expected: &[&[&str]] = if order {
                &[&["c", "a"], &["e", "b"], &["d"]]
            } else {
                &[&["a", "b"], &["c", "d"], &["e"]]
            };
            assert_eq!(
                pages(&client, "/v2/team/app/tags/list?n=2").await,
                expected,
                "{form:?}"
            );
            assert_eq!(pages(&client, "/v2/team/app/tags/list").await.len(), 1);
        }
    }
}

#[tokio::test]
async fn pages_are_clamped_forced_or_refused() {
    let tags = ["a", "b", "c"];
    let (registry, client) = start(rule(|r| {
        r.page_size = 2;
        r.always_pages = true;
    }))
    .await;
    seed(&registry, &tags);
    let list = "/v2/team/app/tags/list";
    assert_eq!(pages(&client, list).await, [vec!["a", "b"], vec!["c"]]);
    assert_eq!(pages(&client, &format!("{list}?n=9")).await.len(), 2);
    assert_eq!(
        client.get(&format!("{list}?n=x")).await.unwrap().status,
        400
    );
    registry.change_profile(|p| p.tags.refuses_large_n = Some(405));
    assert_eq!(
        client.get(&format!("{list}?n=9")).await.unwrap().status,
        405
    );
    registry.change_profile(|p| p.tags.paging = Paging::WithoutLink);
    let page = client.get(&format!("{list}?n=2&last=b")).await.unwrap();
    assert_eq!(
        (&page.json()["tags"], page.header("link")),
        (&json!(["c"]), "")
    );
}

#[tokio::test]
async fn links_that_lead_astray() {
    let (registry, client) = start(rule(|r| r.paging = Paging::Link(LinkForm::Loop))).await;
    seed(&registry, &["a", "b", "c"]);
    let url = "/v2/team/app/tags/list?n=2";
    let page = client.get(url).await.unwrap();
    assert_eq!(next(page.header("link")).unwrap(), url);
    registry.change_profile(|p| p.tags.paging = Paging::Link(LinkForm::OtherHost));
    let page = client.get(url).await.unwrap();
    assert!(page.header("link").contains(&registry.storage_host()));
}

#[tokio::test]
async fn nothing_to_list() {
    let (registry, client) = start(rule(|_| {})).await;
    registry.push("team/app", None, &Image::oci().build());
    assert_eq!(
        client.get("/v2/team/app/tags/list").await.unwrap().status,
        404
    );
    registry.change_profile(|p| p.tags.null_when_empty = true);
    let answer = client.get("/v2/team/app/tags/list").await.unwrap();
    assert_eq!(answer.json(), json!({"name": "team/app", "tags": null}));
    assert_eq!(
        client.get("/v2/team/none/tags/list").await.unwrap().status,
        404
    );
}

#[tokio::test]
async fn google_says_digests() {
    let (registry, client) = start(Profile::google()).await;
    seed(&registry, &["a", "b"]);
    let digest = registry.state().digest("team/app", "a").unwrap();
    let list = client.get("/v2/team/app/tags/list").await.unwrap().json();
    assert_eq!(list["manifest"][&digest]["tag"], json!(["a", "b"]));
}

#[tokio::test]
async fn users_can_be_refused() {
    let access = Access::new().user("user", "secret");
    let registry = Registry::builder().acr_aliyun(access).start().await;
    seed(&registry, &["a"]);
    let login = testkit::raw::Login::Exchange("user".into(), "secret".into());
    let client = Client::new(registry.url()).login(login);
    assert_eq!(
        client.get("/v2/team/app/tags/list").await.unwrap().status,
        200
    );
    registry.change_profile(|p| p.tags.refuses_users = Some(403));
    assert_eq!(
        client.get("/v2/team/app/tags/list").await.unwrap().status,
        403
    );
    registry.set_auth(Auth::Anonymous);
    assert_eq!(
        client.get("/v2/team/app/tags/list").await.unwrap().status,
        200
    );
}
