//! The page of a run in progress, and of one that is over.

use serde_json::json;
use testkit::{Action, Fault, Gate, Image, Kind, Layer, needs};

use super::browser::Browser;
use super::{start, world};
use crate::support::{PATIENCE, World};

/// Bytes per second of each connection to the destination.
const BANDWIDTH: u64 = 256 << 10;

/// Returns the number with this label: `Images` and `Sent` are followed by a detail.
fn tile(label: &str) -> String {
    format!(
        "(() => {{ const tiles = [...document.querySelectorAll('#live .tile')]; \
         const tile = tiles.find(t => t.querySelector('dt').textContent === '{label}'); \
         return tile ? tile.querySelector('.value').textContent : ''; }})()"
    )
}

/// Returns the number of bytes that a text such as `1.2 MiB` says.
fn bytes(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').unwrap();
    let units = ["B", "KiB", "MiB", "GiB"];
    let unit = units
        .iter()
        .position(|name| *name == unit.trim_end_matches("/s"));
    number.parse::<f64>().unwrap() * 1024_f64.powi(i32::try_from(unit.unwrap()).unwrap())
}

/// Small images, and one that takes an hour.
fn throttled() -> World {
    let mut world = world();
    for number in 1..=6_u64 {
        let image = Image::single([Layer::synthetic(number * (192 << 10), number)]);
        world = world.with("a", &format!("small-{number}"), &image);
    }
    let huge = Image::single([Layer::synthetic(BANDWIDTH * 3_600, 99)]);
    let world = world.with("a", "huge", &huge);
    world.destination.set_bandwidth(Some(BANDWIDTH));
    world
}

#[test]
fn the_numbers_of_a_throttled_run_move_until_it_is_cancelled() {
    needs!("chromium", "chromedriver");
    let world = throttled();
    let (mut service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules/copies"));
    browser.value("document.querySelector('.actions button.primary').click()");
    browser.until("location.pathname.startsWith('/runs/') && !!document.querySelector('#live')");
    browser.value("window.isSamePage = true");
    let (images, sent, speed) = (tile("Images"), tile("Sent"), tile("Speed now"));
    browser.until(&format!("/[MK]iB/.test({sent}) && Number({images}) >= 1"));
    let before = browser.value(&format!("[{images}, {sent}]"));
    let number = |index: usize| before[index].as_str().unwrap().to_owned();
    browser.until(&format!("Number({images}) > {}", number(0)));
    browser.until(&format!("{sent} !== '{}'", number(1)));
    let after = browser.value(&sent);
    assert!(bytes(after.as_str().unwrap()) > bytes(&number(1)));
    browser.until(&format!("/^[1-9].* [MK]iB\\/s$/.test({speed})"));
    // The plot grows with them, and the transfer shows its blob.
    browser.until("document.querySelectorAll('#live .plot polyline.line-sent').length === 1");
    browser.until("document.querySelectorAll('#live .transfers progress').length >= 1");
    let points = "JSON.parse(document.querySelector('#live .plot').dataset.plot).length";
    let few = browser.value(points);
    browser.until(&format!("{points} > {few}"));
    assert_eq!(browser.value("window.isSamePage"), json!(true));
    browser.value("document.querySelector('#live button.danger').click()");
    browser.until("document.querySelector('#confirmation').open");
    browser.value("document.querySelector('#confirmation button.danger').click()");
    browser.until("document.querySelector('#live .status').textContent === 'Cancelled'");
    service.until("of copies cancelled:");
    // A run that is over keeps its plot, without a reload and with one.
    browser.until("document.querySelectorAll('#live .plot polyline.line-sent').length === 1");
    assert_eq!(browser.value("window.isSamePage"), json!(true));
    browser.value("location.reload()");
    browser.until("window.isSamePage === undefined && !!document.querySelector('#live .plot')");
    let sums = "JSON.parse(document.querySelector('#live .plot').dataset.plot).reduce((sum, p) => sum + p[2], 0)";
    assert!(browser.value(sums).as_u64().unwrap() > BANDWIDTH);
    assert_ne!(browser.value(&tile("Average speed")), json!(""));
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}

#[test]
fn a_page_that_missed_the_end_of_its_run_shows_it() {
    needs!("chromium", "chromedriver");
    let world = world();
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let (mut service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules/copies"));
    browser.value("document.querySelector('.actions button.primary').click()");
    browser.until("location.pathname.startsWith('/runs/') && !!document.querySelector('#live')");
    browser.until("document.querySelector('#connection').textContent === 'live'");
    gate.wait(1, PATIENCE).unwrap();
    browser.until("document.querySelector('#live .status').textContent === 'Running'");
    // As if the run had ended between the page and its stream of events.
    browser.value("unfollow()");
    gate.open();
    service.until("of copies succeeded:");
    browser.value("follow()");
    browser.until("document.querySelector('#live .status').textContent === 'Succeeded'");
    browser.until("document.querySelector('#images').textContent.includes('copied')");
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}
