//! Entry point for fuzzing the documents of APIs; see [`crate::fuzzing`].

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic where a promise is broken is what it is for"
)]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::fuzzing::assert_is_short;
use crate::listing::ghcr::Ghcr;
use crate::listing::gitlab::Gitlab;
use crate::listing::google::Google;
use crate::listing::harbor::Harbor;
use crate::listing::hub::Hub;
use crate::listing::quay::Quay;
use crate::listing::vendor::{
    ApiAnswer, ApiList, ApiPage, ApiRequest, ListContent, Position, VendorApi,
};
use crate::reference::Registry;

const KINDS: [ListContent; 4] = [
    ListContent::Namespaces,
    ListContent::Repositories,
    ListContent::Tags,
    ListContent::Facts,
];

/// Reads a page of each list of each API. Lines up to an empty one are headers, the rest is the document.
///
/// Requests for the next page, and for lists that the page names, stay below the base of the API.
pub fn listings(data: &[u8]) {
    let answer = answer(data);
    let registry = Registry::docker_hub();
    let (quay, google) = (Quay::new(&registry), Google::new(registry));
    let apis: [&dyn VendorApi; 6] = [&Harbor, &Hub, &quay, &Ghcr, &Gitlab, &google];
    for api in apis {
        for kind in KINDS {
            let page = ApiPage {
                position: Position::Number(2),
                received: 100,
                ..ApiPage::first(ApiList::new(kind, "team/app"))
            };
            read(api, &page, &answer);
        }
    }
}

fn answer(data: &[u8]) -> ApiAnswer {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, document) = match end {
        Some(end) => data.split_at(end + 1),
        None => (&[][..], data),
    };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
        Some((HeaderName::from_bytes(name).ok()?, value))
    });
    ApiAnswer {
        headers: headers.collect::<HeaderMap>(),
        bytes: Bytes::copy_from_slice(document),
    }
}

fn read(api: &dyn VendorApi, page: &ApiPage, answer: &ApiAnswer) {
    let content = match api.read(page, answer) {
        Ok(content) => content,
        Err(why) => return assert_is_short(&why),
    };
    // Each entry and each list has a text of its own in the document.
    let named = content.entries.len() + content.nested.len();
    assert!(named <= answer.bytes.len(), "{named} names");
    if let Some(position) = content.next {
        if let Position::Number(number) = position {
            assert!(number > 1, "the next page is the first");
        }
        stays_below_base(
            api,
            &ApiPage {
                position,
                ..page.clone()
            },
        );
    }
    for list in content.nested {
        if list.is_path() {
            stays_below_base(api, &ApiPage::first(list));
        }
    }
}

fn stays_below_base(api: &dyn VendorApi, page: &ApiPage) {
    let ApiRequest::Api(path) = api.request(page) else {
        return;
    };
    let base = Url::parse("https://api.example/base/");
    let url = base.and_then(|base| base.join(&path));
    let is_below = url
        .is_ok_and(|url| url.host_str() == Some("api.example") && url.path().starts_with("/base/"));
    assert!(is_below, "{path}");
}
