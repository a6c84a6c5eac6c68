//! Differences between a source and a destination, as a check finds them.

use serde_json::json;
use testkit::needs;

use super::browser::Browser;
use super::{start, world};
use crate::support::image;

/// Rows of the table of tags: source with its digest, destination with its digest, and the state.
const ROWS: &str = "[...document.querySelectorAll('table.tags tbody tr')].map(row => [ \
    row.querySelector('th').textContent, row.querySelector('th code')?.title ?? '', \
    row.querySelector('td[data-label=\"At the destination\"]').textContent, \
    row.querySelector('td[data-label=\"At the destination\"] code')?.title ?? '', \
    row.querySelector('.status').textContent])";

#[test]
fn a_check_shows_what_is_the_same_missing_and_moved_with_the_digests() {
    needs!("chromium", "chromedriver");
    let (same, missing, new, old) = (image("a"), image("b"), image("c"), image("d"));
    let world = world().with("a", "v2", &missing).with("a", "v3", &new);
    world.destination.push("a", Some("v1"), &same);
    world.destination.push("a", Some("v3"), &old);
    let (mut service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules/copies"));
    browser.value("[...document.querySelectorAll('.actions button')].find(b => b.textContent.includes('Check')).click()");
    service.until("of copies succeeded:");
    let numbers = "[...document.querySelectorAll('#differences tbody td.number')].map(cell => cell.textContent)";
    browser.open(&format!("{url}/differences"));
    // Same, missing, moved, incomplete, failed, extra.
    browser.until("document.querySelectorAll('#differences tbody tr').length === 1");
    assert_eq!(
        browser.value(numbers),
        json!(["1", "1", "1", "0", "0", "0"])
    );
    assert_eq!(
        browser.value("document.querySelector('#differences p').textContent"),
        "Rules with differences: 1 of 1"
    );
    browser.value("document.querySelector('#differences tbody a').click()");
    browser.until("location.search === '?rule=copies'");
    let (source, destination) = (world.source.host(), world.destination.host());
    let row = |tag: &str, expected: &str, digest: &str, state: &str| {
        let short = |digest: &str| match digest {
            "" => "no digest".to_owned(),
            digest => digest["sha256:".len()..][..12].to_owned(),
        };
        json!([
            format!("{source}/a:{tag}{}", short(expected)),
            expected,
            format!("{destination}/a:{tag}{}", short(digest)),
            digest,
            state,
        ])
    };
    let is_missing = row("v2", missing.digest(), "", "missing");
    let is_moved = row("v3", new.digest(), old.digest(), "moved");
    assert_eq!(browser.value(ROWS), json!([is_missing, is_moved]));
    // The page of the repository also has the one that is the same.
    browser
        .value("document.querySelector('section[aria-labelledby=repositories] tbody a').click()");
    browser.until("location.search.includes('repository=')");
    let is_same = row("v1", same.digest(), same.digest(), "same");
    assert_eq!(browser.value(ROWS), json!([is_same, is_missing, is_moved]));
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}
