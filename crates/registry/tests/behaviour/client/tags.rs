//! Tag lists in every shape that registries give them.

use std::collections::BTreeSet;

use registry::{Error, ErrorKind};
use testkit::profile::{LinkForm, Paging, TagsRule};
use testkit::{Action, Fault, Image, Kind, Layer, Profile};

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
async fn a_page_can_be_had_before_the_next_is_asked_for() {
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
async fn a_round_page_without_a_link_is_doubted() {
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
async fn loops_and_foreign_pages_are_errors() {
    let kit = with_tags(5, Paging::Link(LinkForm::Loop), 2).await;
    let error = all(&kit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("leads back"), "{error}");
    assert!(kit.took().len() <= 2);
    let kit = with_tags(5, Paging::Link(LinkForm::OtherHost), 2).await;
    let error = all(&kit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(kit.took().len(), 1);
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
async fn what_is_no_tag_is_left_out_with_a_warning() {
    let kit = with_tags(1, Paging::None, 1000).await;
    let body = r#"{"name":"a/b","tags":["ok","with space","ok","_x","","../y"]}"#;
    let answer = testkit::Answer::new(200).body("application/json", body);
    kit.server.fault(Fault::on(Kind::Tags), answer);
    assert_eq!(all(&kit).await.unwrap(), ["ok", "_x"]);
    assert_eq!(kit.heard.warnings().len(), 3, "{:?}", kit.heard.warnings());
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
