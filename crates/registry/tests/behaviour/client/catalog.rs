//! Lists of repositories.

use image_syncer_registry::{Cause, Error, ErrorKind};
use testkit::auth::Access;
use testkit::profile::LinkForm;
use testkit::{Action, Answer, Auth, Fault, Grant, Kind, Profile, TokenRules};

use super::kit::{Kit, basic};

/// A registry with `count` repositories, and this form of links between pages of a thousand.
async fn with_repositories(count: usize, catalog_link: LinkForm) -> Kit {
    let kit = Kit::open(Profile {
        catalog_link,
        ..Profile::distribution()
    })
    .await;
    for n in 0..count {
        kit.server
            .state()
            .create_repository(&format!("team/r{n:04}"));
    }
    kit
}

/// The paths on all pages, joined.
async fn all(kit: &Kit) -> Result<Vec<String>, Error> {
    let mut pages = kit.client.catalog();
    let mut paths = Vec::new();
    while let Some(page) = pages.next().await? {
        assert!(!page.is_empty(), "an empty page was given");
        for repository in page {
            assert_eq!(repository.registry(), kit.client.registry());
            paths.push(repository.path().to_owned());
        }
    }
    assert!(pages.next().await?.is_none(), "the end is the end");
    Ok(paths)
}

async fn refused(kit: &Kit) -> Error {
    all(kit).await.unwrap_err()
}

#[tokio::test]
async fn a_small_catalog_is_one_request() {
    let kit = with_repositories(3, LinkForm::Relative).await;
    assert_eq!(
        all(&kit).await.unwrap(),
        ["team/r0000", "team/r0001", "team/r0002"]
    );
    assert_eq!(kit.lines(), ["GET /v2/_catalog?n=1000"]);
}

#[tokio::test]
async fn pages_are_followed_in_every_form_of_link() {
    for form in [
        LinkForm::Relative,
        LinkForm::Absolute,
        LinkForm::Several,
        LinkForm::Unquoted,
        LinkForm::Opaque,
        LinkForm::OtherHost,
    ] {
        let kit = with_repositories(2501, form).await;
        assert_eq!(
            all(&kit).await.unwrap(),
            kit.server.state().repositories(),
            "{form:?}"
        );
        assert_eq!(kit.took(), [(Kind::Catalog, 200); 3], "{form:?}");
        assert_eq!(kit.server.storage_requests().len(), 0);
    }
}

#[tokio::test]
async fn a_list_whose_links_lead_astray_begins_again_without_a_page_size() {
    for form in [LinkForm::Loop, LinkForm::Elsewhere, LinkForm::Broken] {
        let kit = with_repositories(1501, form).await;
        assert_eq!(
            all(&kit).await.unwrap(),
            kit.server.state().repositories(),
            "{form:?}"
        );
        let lines = kit.lines();
        assert_eq!(
            lines.first().unwrap(),
            "GET /v2/_catalog?n=1000",
            "{form:?}"
        );
        assert_eq!(lines.last().unwrap(), "GET /v2/_catalog", "{form:?}");
        assert!(lines.len() <= 3, "{lines:?}");
        assert_eq!(kit.server.storage_requests().len(), 0);
        // That is remembered.
        all(&kit).await.unwrap();
        assert_eq!(kit.lines(), ["GET /v2/_catalog"], "{form:?}");
    }
}

#[tokio::test]
async fn links_that_lead_astray_in_any_form_end_in_an_error() {
    for (link, kind, why) in [
        (
            "</v2/_catalog?n=1000>; rel=next",
            ErrorKind::Protocol,
            "the registry's list of repositories leads back to a page that was read before",
        ),
        (
            "<https://elsewhere.example/v2/pages>; rel=next",
            ErrorKind::Refused,
            "the next page is at elsewhere.example",
        ),
        (
            "</v2/_catalog; rel=next",
            ErrorKind::Protocol,
            "the `Link` header",
        ),
    ] {
        let kit = with_repositories(3, LinkForm::Relative).await;
        let headers = Action::WithHeaders(vec![("link", link.to_owned())]);
        kit.server.fault(Fault::on(Kind::Catalog).always(), headers);
        let error = refused(&kit).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with(why), "{error}");
        assert_eq!(error.repository(), None);
        assert!(kit.took().len() <= 4, "{link}");
    }
}

#[tokio::test]
async fn a_page_size_that_is_refused_is_left_out_from_then_on() {
    let kit = with_repositories(3, LinkForm::Relative).await;
    let sized = |request: &testkit::Request| request.query.as_deref() == Some("n=1000");
    let fault = Fault::on(Kind::Catalog).matching(sized).always();
    kit.server.fault(fault, Action::status(400));
    assert_eq!(all(&kit).await.unwrap().len(), 3);
    assert_eq!(kit.took(), [(Kind::Catalog, 400), (Kind::Catalog, 200)]);
    all(&kit).await.unwrap();
    assert_eq!(kit.lines(), ["GET /v2/_catalog"]);
    // Lists of tags are another endpoint.
    kit.server
        .push("team/r0000", Some("v1"), &super::manifests::image());
    let mut tags = kit.client.tags(&kit.repository("team/r0000"));
    tags.next().await.unwrap();
    assert_eq!(kit.lines(), ["GET /v2/team/r0000/tags/list?n=1000"]);
}

#[tokio::test]
async fn names_that_are_no_repositories_are_left_out_with_a_warning() {
    let kit = with_repositories(0, LinkForm::Relative).await;
    let page = r#"{"repositories":["a/b",null,"A/B","a/b","c"]}"#;
    let answer = Answer::new(200).body("application/json", page);
    kit.server.fault(Fault::on(Kind::Catalog), answer);
    assert_eq!(all(&kit).await.unwrap(), ["a/b", "c"]);
    let host = kit.server.host();
    assert_eq!(
        kit.heard.warnings(),
        [
            format!("a repository of {host} is left out: the list has `null` in its place"),
            format!(
                "a repository of {host} is left out: `A/B` is not a repository: a repository is lower case, \
                 write `a` for `A`"
            ),
        ]
    );
}

#[tokio::test]
async fn the_token_is_for_the_catalog() {
    let auth = Auth::bearer("ada", "pw");
    let kit = Kit::guarded(Profile::distribution(), auth).await;
    kit.server.state().create_repository("a/b");
    assert_eq!(all(&kit).await.unwrap(), ["a/b"]);
    let tokens = kit.server.token_requests();
    let scopes: Vec<_> = tokens
        .iter()
        .filter_map(|token| token.parameter("scope"))
        .collect();
    assert_eq!(scopes, ["registry:catalog:*"]);
    assert_eq!(kit.took(), [(Kind::Catalog, 401), (Kind::Catalog, 200)]);
}

#[tokio::test]
async fn a_login_without_the_right_gets_advice() {
    let access = Access::new().user_with("ada", "pw", [Grant::new("a/*", "pull")]);
    for auth in [
        Auth::Basic(access.clone()),
        Auth::Bearer(access, TokenRules::default()),
    ] {
        let server = testkit::Registry::builder().auth(auth).start().await;
        let kit = Kit::of(server, basic("ada", "pw"));
        let error = refused(&kit).await;
        assert_eq!(error.cause(), Cause::NoPullRight, "{error}");
        let advice = "most registries list their repositories for administrators only: use such a login, or name them \
                      instead";
        assert!(error.message().ends_with(advice), "{error}");
        assert!(
            !error.message().contains("or the repository does not exist"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_registry_without_a_catalog_says_so() {
    for status in [404, 405, 501] {
        let kit = with_repositories(1, LinkForm::Relative).await;
        let answer = Answer::new(status).body("application/json", "{}");
        kit.server.fault(Fault::on(Kind::Catalog).always(), answer);
        let error = refused(&kit).await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(error.cause(), Cause::NotFound, "{error}");
        let host = kit.server.host();
        let begins = format!("cannot list the repositories of {host} at {host}: ");
        assert!(error.to_string().starts_with(&begins), "{error}");
        let advice =
            "the registry does not list its repositories (`GET /v2/_catalog`): name them instead";
        assert!(error.message().ends_with(advice), "{error}");
    }
}
