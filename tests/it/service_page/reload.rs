//! The button that reads the files again.

use serde_json::json;
use testkit::needs;

use super::browser::Browser;
use super::{start, world};
use crate::support::{Service, World};

const CLICK: &str = "document.querySelector('form[action=\"/reload\"] button').click()";
const RESULT: &str = "document.querySelector('#reload').textContent";

fn write(world: &World, edit: impl Fn(String) -> String) {
    let path = world.place.path("rules.yaml");
    std::fs::write(&path, edit(std::fs::read_to_string(&path).unwrap())).unwrap();
}

#[test]
fn a_reload_shows_the_new_rules_or_the_mistakes_with_their_place() {
    needs!("chromium", "chromedriver");
    let world = world();
    let (service, url) = start(&world);
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules"));
    browser.value("window.isSamePage = true");
    browser.value(CLICK);
    browser.until(&format!("{RESULT}.includes('3 rules are in force')"));
    browser.until(&format!("{RESULT}.includes('the same as before')"));
    // The files are also read without a request when they change, so the reload may find nothing new.
    write(&world, |text| text.replace("name: fails", "name: renamed"));
    browser.value(CLICK);
    browser.until("document.querySelector('#rules').textContent.includes('renamed')");
    browser.until(&format!("{RESULT}.includes('3 rules are in force')"));
    write(&world, |text| {
        text.replace("name: renamed", "nome: renamed")
    });
    browser.value(CLICK);
    let notice =
        "(document.querySelector('#rules .result')?.textContent ?? '').includes('stay in force')";
    browser.until(notice);
    let mistakes =
        browser.value("[...document.querySelectorAll('.mistakes li')].map(li => li.textContent)");
    let mistakes = mistakes.as_array().unwrap();
    let first = mistakes[0].as_str().unwrap();
    assert!(
        first.starts_with("rules.yaml:") && first.contains("nome"),
        "{mistakes:?}"
    );
    assert_eq!(browser.value("window.isSamePage"), json!(true));
    // The old rules go on.
    assert_eq!(
        browser.value("document.querySelector('#rules').textContent.includes('renamed')"),
        json!(true)
    );
    // Mistakes are shown until the file is right again.
    assert_eq!(browser.value(RESULT), json!(""));
    browser.open(&format!("{url}/rules"));
    browser.until(notice);
    write(&world, |text| text.replace("nome: renamed", "name: fails"));
    browser.value(CLICK);
    browser.until(&format!("{RESULT}.includes('3 rules are in force')"));
    browser.until("document.querySelectorAll('#rules .result').length === 0");
    browser.until("!document.querySelector('#rules').textContent.includes('renamed')");
    // The answer to the refused request is in the log of the browser.
    drop(browser);
    service.stop().exits(0);
}

#[test]
fn a_reader_without_the_right_has_no_button_and_is_refused() {
    needs!("chromium", "chromedriver");
    let world = world();
    let secrets = "service:
  anonymous: read
  tokens: [{name: ops, secret: {env: OPS}, scope: sync}]
";
    write(&world, |text| format!("{text}{secrets}"));
    let World { place, .. } = world;
    let place = place.variable("OPS", "a-secret-of-32-characters-at-least");
    let mut service = Service::start(&place, &["--config", "rules.yaml", "--grace", "1"]);
    let url = service.url();
    let browser = Browser::start(1280);
    browser.open(&format!("{url}/rules"));
    let buttons = "document.querySelectorAll('form[action=\"/reload\"]').length";
    assert_eq!(browser.value(buttons), 0);
    let status = "fetch('/reload', {method: 'POST', headers: {'X-Image-Syncer': '1'}}).then(r => { window.status_ = r.status })";
    browser.value(&format!("{status} && true"));
    browser.until("window.status_ === 401");
    browser.open(&format!("{url}/login?back=/rules"));
    browser.value("document.querySelector('#token').value = 'a-secret-of-32-characters-at-least'");
    browser.value("document.querySelector('form.login').requestSubmit()");
    browser.until("location.pathname === '/rules'");
    assert_eq!(browser.value(buttons), 1);
    // Without the script, the result is a page of its own.
    browser.value(
        "HTMLFormElement.prototype.submit.call(document.querySelector('form[action=\"/reload\"]'))",
    );
    browser.until("location.pathname === '/reload'");
    assert_eq!(
        browser.value("document.querySelector('h1').textContent"),
        "Reload of the files"
    );
    browser.until(&format!("{RESULT}.includes('3 rules are in force')"));
    drop(browser);
    service.stop().exits(0);
}
