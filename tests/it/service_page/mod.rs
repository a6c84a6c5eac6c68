//! The pages of a real process in a real browser.

mod browser;
mod differences;
mod large;
mod live;
mod reload;

use serde_json::json;
use testkit::{Action, Fault, Gate, Kind, needs};

use crate::support::{PATIENCE, Service, World, image};
use browser::Browser;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Rules that copy, fail, and have a name that would be a script.
fn world() -> World {
    let world = World::new("").with("a", "v1", &image("a"));
    let rules = format!(
        "version: 1
registries:
  {source}: {{tls: {{plain-http: true}}}}
  {destination}: {{tls: {{plain-http: true}}}}
rules:
- {{name: copies, from: {source}/a, to: {destination}/a}}
- {{name: fails, from: {source}/gone, to: {destination}/gone}}
- {{name: \"<script>document.title='x'</script>\", from: {source}/a, to: {destination}/b}}
",
        source = world.source.host(),
        destination = world.destination.host(),
    );
    std::fs::write(world.place.path("rules.yaml"), rules).unwrap();
    world
}

fn start(world: &World) -> (Service, String) {
    let arguments = ["--config", "rules.yaml", "--grace", "1"];
    let mut service = Service::start(&world.place, &arguments);
    let url = service.url();
    (service, url)
}

/// Presses Tab until the element with the focus satisfies `condition`.
#[track_caller]
fn tab_to(browser: &Browser, condition: &str) {
    for _ in 0..40 {
        browser.press(TAB);
        if browser.value(&format!("(e => {condition})(document.activeElement)")) == json!(true) {
            return;
        }
    }
    panic!("Tab does not lead to {condition}");
}

#[test]
fn a_run_is_started_by_keyboard_followed_live_and_cancelled() {
    needs!("chromium", "chromedriver");
    let world = world();
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("a");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let (service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/"));
    assert_eq!(browser.value("location.pathname"), "/rules");
    browser.until("document.querySelector('#connection').textContent === 'live'");
    // The first stop of the keyboard skips the navigation.
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    browser.value("window.isSamePage = true");
    tab_to(&browser, "e.getAttribute('aria-label') === 'Sync: copies'");
    browser.press(ENTER);
    gate.wait(1, PATIENCE).unwrap();
    // Without a reload, by the events.
    browser.until("document.querySelector('#rules').textContent.includes('Running')");
    assert_eq!(browser.value("window.isSamePage"), json!(true));
    browser.value("document.querySelector('#rules td a[href^=\"/runs/\"]').click()");
    browser.until("location.pathname.startsWith('/runs/') && !!document.querySelector('#live')");
    browser.until("document.querySelector('#live .status').textContent === 'Running'");
    let cancel = "document.querySelector('#live button.danger')";
    browser.value(&format!("{cancel}.click()"));
    browser.until("document.querySelector('#confirmation').open");
    browser.value("document.querySelector('#confirmation button.danger').click()");
    browser.until("document.querySelector('#live .status').textContent === 'Cancelled'");
    gate.open();
    browser.open(&format!("{url}/runs"));
    browser.until("document.querySelector('#runs tbody').textContent.includes('Cancelled')");
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}

#[test]
fn failures_have_a_remedy_and_text_from_files_is_no_markup() {
    needs!("chromium", "chromedriver");
    let world = world();
    let (mut service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules/fails"));
    browser.value("document.querySelector('.actions button.primary').click()");
    browser.until("location.pathname.startsWith('/runs/')");
    service.until("of fails failed:");
    browser.until("document.querySelector('#live .status').textContent === 'Failed'");
    browser.until("document.querySelectorAll('.failure').length === 1");
    let failure = "document.querySelector('.failure').textContent";
    assert_eq!(
        browser.value(&format!("{failure}.includes('What to do:')")),
        json!(true)
    );
    assert_eq!(
        browser.value(&format!("{failure}.includes('/gone')")),
        json!(true)
    );
    browser.open(&format!("{url}/rules"));
    assert_eq!(browser.value("document.title"), "Rules · image-syncer");
    assert_eq!(
        browser.value("document.querySelectorAll('main script').length"),
        0
    );
    let text = "document.querySelector('#rules').textContent.includes('<script>document.title')";
    assert_eq!(browser.value(text), json!(true));
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}

#[test]
fn narrow_dark_and_chinese_pages_fit_and_load_nothing_from_elsewhere() {
    needs!("chromium", "chromedriver");
    let world = world();
    let (mut service, url) = start(&world);
    let browser = Browser::start(360);
    browser.open(&format!("{url}/rules/copies"));
    browser.value("document.querySelector('.actions button.primary').click()");
    service.until("of copies succeeded:");
    browser.until("location.pathname.startsWith('/runs/')");
    let run = browser.value("location.pathname");
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.open(&format!("{url}/rules"));
    let light = browser.value("getComputedStyle(document.body).backgroundColor");
    browser.devtools("Emulation.setEmulatedMedia", &dark);
    let dark = browser.value("getComputedStyle(document.body).backgroundColor");
    assert_ne!(light, dark);
    browser.open(&format!("{url}/preferences?lang=zh&back=/rules"));
    assert_eq!(browser.value("document.documentElement.lang"), "zh-CN");
    assert_eq!(
        browser.value("document.querySelector('h1').textContent"),
        "规则"
    );
    let destination = format!("/image?q={}/a:v1", world.destination.host());
    let pages = [
        "/rules",
        "/rules/copies",
        "/runs",
        run.as_str().unwrap(),
        "/registries",
        "/differences",
        "/differences?rule=copies",
        &destination,
        "/login",
    ];
    for page in pages {
        browser.open(&format!("{url}{page}"));
        let excess =
            browser.value("Math.max(document.documentElement.scrollWidth - innerWidth, 0)");
        assert_eq!(excess, 0, "{page} is too wide");
        assert_eq!(
            browser.value("document.querySelector('main h1') !== null"),
            json!(true),
            "{page}"
        );
        browser.has_no_complaints();
    }
    drop(browser);
    service.stop().exits(0);
}
