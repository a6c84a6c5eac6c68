//! Tag lists in every shape that registries give them.

use std::collections::BTreeSet;

use image_syncer_registry::{Error, ErrorKind};
use testkit::profile::{LinkForm, Paging, TagsRule};
use testkit::{Action, Cut, Fault, Image, Kind, Layer, Profile};

use super::kit::Kit;

/// A registry that pages in this way, `page_size` tags at a time, with `count` tags in `a/b`.
async fn with_tags(count: usize, paging: Paging, page_size: usize) -> Kit {
    let tags = TagsRule {
        paging,
        page_size,
        always_pages: true,
        ..Profile::distribution().tags
    };
    let kit = Kit::open(Profile {
        tags,
        ..Profile::distribution()
    })
    .await;
    let image = Image::single([Layer::tar("x", 1)]);
    for n in 0..count {
        kit.server.push("a/b", Some(&format!("v{n:04}")), &image);
    }
    kit
}

/// All pages, joined; that no tag came twice is asserted.
async fn all(kit: &Kit) -> Result<Vec<String>, Error> {
    let mut pages = kit.client.tags(&kit.repository("a/b"));
    let mut tags = Vec::new();
    while let Some(page) = pages.next().await? {
        assert!(!page.is_empty(), "an empty page was given");
        tags.extend(page.into_iter().map(|tag| tag.as_str().to_owned()));
    }
    assert!(pages.next().await?.is_none(), "the end is the end");
    let distinct: BTreeSet<&String> = tags.iter().collect();
    assert_eq!(distinct.len(), tags.len());
    Ok(tags)
}

#[tokio::test]
async fn pages_are_followed_in_every_form_of_link() {
    for form in [
        LinkForm::Relative,
        LinkForm::Absolute,
        LinkForm::Several,
        LinkForm::Unquoted,
        LinkForm::Opaque,
    ] {
        let kit = with_tags(5, Paging::Link(form), 2).await;
        let tags = all(&kit).await.unwrap();
        assert_eq!(tags, kit.server.state().tags("a/b"), "{form:?}");
        assert_eq!(kit.took(), [(Kind::Tags, 200); 3], "{form:?}");
    }
}

#[tokio::test]
async fn a_page_is_returned_before_the_next_is_requested() {
    let kit = with_tags(5, Paging::Link(LinkForm::Relative), 2).await;
    let mut pages = kit.client.tags(&kit.repository("a/b"));
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 2);
    assert_eq!(kit.took(), [(Kind::Tags, 200)]);
}

#[tokio::test]
async fn a_list_in_one_piece_is_one_request() {
    let kit = with_tags(37, Paging::None, 1000).await;
    assert_eq!(all(&kit).await.unwrap().len(), 37);
    assert_eq!(kit.lines(), ["GET /v2/a/b/tags/list?n=1000"]);
}

#[tokio::test]
async fn a_round_page_without_a_link_leads_to_one_more_request() {
    // It pages by hundreds and does not say so.
    let kit = with_tags(230, Paging::WithoutLink, 100).await;
    assert_eq!(all(&kit).await.unwrap(), kit.server.state().tags("a/b"));
    assert_eq!(
        kit.lines(),
        [
            "GET /v2/a/b/tags/list?n=1000",
            "GET /v2/a/b/tags/list?n=1000&last=v0099",
            "GET /v2/a/b/tags/list?n=1000&last=v0199",
        ]
    );
    // It has just as many, and knows nothing of `last`.
    let kit = with_tags(100, Paging::None, 1000).await;
    assert_eq!(all(&kit).await.unwrap().len(), 100);
    assert_eq!(kit.took().len(), 2);
}

#[tokio::test]
async fn a_page_size_that_is_refused_is_left_out_from_then_on() {
    for status in [400, 405] {
        let tags = TagsRule {
            paging: Paging::Link(LinkForm::Relative),
            page_size: 2,
            always_pages: true,
            refuses_large_n: Some(status),
            ..Profile::distribution().tags
        };
        let kit = Kit::open(Profile {
            tags,
            ..Profile::distribution()
        })
        .await;
        for tag in ["a", "b", "c"] {
            kit.server
                .push("a/b", Some(tag), &Image::single([Layer::tar("x", 1)]));
        }
        assert_eq!(all(&kit).await.unwrap(), ["a", "b", "c"]);
        assert_eq!(kit.took()[..2], [(Kind::Tags, status), (Kind::Tags, 200)]);
        all(&kit).await.unwrap();
        assert_eq!(kit.took()[0], (Kind::Tags, 200));
    }
}

#[tokio::test]
async fn a_list_with_broken_links_in_any_form_is_an_error() {
    for (form, kind, said, lines) in [
        (
            LinkForm::Loop,
            ErrorKind::Protocol,
            "the registry's list of tags leads back to a page that was read before",
            &["?n=1000", "", "?n=2"][..],
        ),
        (
            LinkForm::Elsewhere,
            ErrorKind::Refused,
            "the next page is at 127.0.0.1, and a list is not followed to another host; name the repository by that host, or correct the external URL in the registry's settings",
            &["?n=1000", ""],
        ),
        (
            LinkForm::Broken,
            ErrorKind::Protocol,
            "the `Link` header that leads to its next page cannot be parsed; see whether a proxy in front of the registry changes it",
            &["?n=1000", ""],
        ),
    ] {
        let kit = with_tags(5, Paging::Link(form), 2).await;
        let error = all(&kit).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.message(), said);
        let expected = lines
            .iter()
            .map(|query| format!("GET /v2/a/b/tags/list{query}"));
        assert_eq!(kit.lines(), expected.collect::<Vec<_>>());
        assert_eq!(kit.server.storage_requests().len(), 0);
        // Nothing was learned that a list without a page size would be better by.
        all(&kit).await.unwrap_err();
        assert_eq!(kit.lines()[0], "GET /v2/a/b/tags/list?n=1000");
    }
}

#[tokio::test]
async fn a_list_with_broken_links_for_a_page_size_is_read_without_one_from_then_on() {
    for form in [
        LinkForm::Loop,
        LinkForm::Elsewhere,
        LinkForm::Broken,
        LinkForm::WrongPath,
    ] {
        let kit = with_tags(5, Paging::Link(form), 2).await;
        kit.server
            .change_profile(|profile| profile.tags.always_pages = false);
        assert_eq!(
            all(&kit).await.unwrap(),
            kit.server.state().tags("a/b"),
            "{form:?}"
        );
        let lines = kit.lines();
        assert_eq!(lines[0], "GET /v2/a/b/tags/list?n=1000", "{form:?}");
        assert_eq!(lines.last().unwrap(), "GET /v2/a/b/tags/list", "{form:?}");
        let astray = usize::from(form == LinkForm::WrongPath);
        assert_eq!(lines.len(), 2 + astray, "{form:?}");
        assert_eq!(all(&kit).await.unwrap().len(), 5);
        assert_eq!(kit.lines(), ["GET /v2/a/b/tags/list"], "{form:?}");
    }
}

#[tokio::test]
async fn a_page_size_that_the_server_does_not_know_is_left_out() {
    for status in [406, 414, 416, 501] {
        let kit = with_tags(5, Paging::None, 1000).await;
        let sized = Fault::on(Kind::Tags).matching(|request| request.query.is_some());
        kit.server.fault(sized, Action::status(status));
        assert_eq!(all(&kit).await.unwrap().len(), 5, "{status}");
        assert_eq!(kit.took().len(), 2, "{status}");
        assert_eq!(all(&kit).await.unwrap().len(), 5, "{status}");
        assert_eq!(kit.took(), [(Kind::Tags, 200)], "{status}");
    }
}

#[tokio::test]
async fn a_list_that_ends_early_for_other_reasons_is_not_listed_again() {
    for action in [Action::status(429), Action::CutBeforeAnswer(Cut::Reset)] {
        let kit = with_tags(5, Paging::Link(LinkForm::Relative), 2).await;
        kit.server.fault(Fault::on(Kind::Tags).after(1), action);
        all(&kit).await.unwrap_err();
        assert!(
            kit.lines()
                .iter()
                .skip(1)
                .all(|line| line.contains("last="))
        );
    }
}

#[tokio::test]
async fn a_page_at_another_name_of_the_registry_is_requested_at_the_registry() {
    for form in [LinkForm::OtherHost, LinkForm::Bare] {
        let kit = with_tags(5, Paging::Link(form), 2).await;
        let tags = all(&kit).await.unwrap();
        assert_eq!(tags, kit.server.state().tags("a/b"), "{form:?}");
        assert_eq!(kit.took(), [(Kind::Tags, 200); 3], "{form:?}");
        assert_eq!(kit.server.storage_requests().len(), 0);
    }
}

#[tokio::test]
async fn no_tags_and_no_repository_are_two_things() {
    let kit = with_tags(0, Paging::None, 1000).await;
    let error = all(&kit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    kit.server
        .change_profile(|profile| profile.tags.null_when_empty = true);
    kit.server.state().create_repository("a/b");
    assert_eq!(all(&kit).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn invalid_tags_are_left_out_with_a_warning() {
    let kit = with_tags(1, Paging::None, 1000).await;
    let body = r#"{"name":"a/b","tags":["ok","with space","ok","_x","","../y"]}"#;
    let answer = testkit::Answer::new(200).body("application/json", body);
    kit.server.fault(Fault::on(Kind::Tags), answer);
    assert_eq!(all(&kit).await.unwrap(), ["ok", "_x"]);
    assert_eq!(kit.heard.warnings().len(), 3, "{:?}", kit.heard.warnings());
}

#[tokio::test]
async fn other_json_values_among_tags_are_left_out_with_a_warning() {
    let kit = with_tags(1, Paging::None, 1000).await;
    let body = r#"{"name":"a/b","tags":[null,"one",2,"two",null]}"#;
    let answer = testkit::Answer::new(200).body("application/json", body);
    kit.server.fault(Fault::on(Kind::Tags), answer);
    assert_eq!(all(&kit).await.unwrap(), ["one", "two"]);
    let said = |what: &str| format!("a tag of a/b is left out: the list has {what} in its place");
    let expected = [said("`null`"), said("a number"), said("`null`")];
    assert_eq!(kit.heard.warnings(), expected);
    assert_eq!(kit.took().len(), 1);
}

#[tokio::test]
async fn a_round_page_that_ends_in_null_continues_after_its_last_tag() {
    let kit = with_tags(150, Paging::WithoutLink, 100).await;
    let tags: Vec<String> = (0..99).map(|n| format!("\"v{n:04}\"")).collect();
    let body = format!("{{\"tags\":[{},null]}}", tags.join(","));
    let answer = testkit::Answer::new(200).body("application/json", body);
    kit.server.fault(Fault::on(Kind::Tags).nth(1), answer);
    assert_eq!(all(&kit).await.unwrap().len(), 150);
    assert_eq!(kit.lines()[1], "GET /v2/a/b/tags/list?n=1000&last=v0098");
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_an_error() {
    let kit = with_tags(1, Paging::None, 1000).await;
    kit.server.fault(Fault::on(Kind::Tags), Action::Html);
    let error = all(&kit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_page_that_breaks_is_read_again() {
    let kit = with_tags(5, Paging::Link(LinkForm::Relative), 2).await;
    kit.server
        .fault(Fault::on(Kind::Tags).nth(2), Action::status(503));
    assert_eq!(all(&kit).await.unwrap().len(), 5);
    assert_eq!(kit.took().len(), 4);
}
