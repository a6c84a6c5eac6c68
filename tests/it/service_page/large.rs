//! Pages of a history with many images: no task of the browser takes long.

use std::time::SystemTime;

use rusqlite::{Connection, named_params};
use serde_json::{Value, json};
use testkit::needs;

use super::browser::Browser;
use super::{start, world};

/// Maximum duration of a task, in milliseconds.
const LONGEST: f64 = 200.0;

/// A run with 10,000 images, each in a repository of its own: a tenth failed at 100 hosts, and every second tag differs.
/// Further 500 rules have a tag, and 30 runs each.
const FILL: &str = "
    INSERT INTO rules (id, name) VALUES (1, 'copies');
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO rules (id, name) SELECT i + 1, printf('rule-%03d', i) FROM n;
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
        INSERT INTO repositories (id, name) SELECT i, printf('registry.example.com/team/app-%04d', i) FROM n;
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
        INSERT INTO failures SELECT i, :run, 'destination', 'server-error', printf('host-%02d.example', i), 'wait', 10
        FROM n;
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
        INSERT INTO images SELECT :run, i, i, ':v1', i, ':v1', iif(i % 10 = 0, 'failed', 'copied'), randomblob(32), NULL,
            1000, NULL, iif(i % 10 = 0, i / 10 % 100, NULL), iif(i % 10 = 0, 'the registry answered 500', NULL), NULL, 10
        FROM n;
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
        INSERT INTO tags SELECT i, i, ':v1', 1, i, ':v1', iif(i % 2 = 0, 'moved', 'same'), :at, randomblob(32),
            randomblob(32), :at, :run, 1 FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO tags SELECT i + 10000, i, ':v2', i + 1, i, ':v2', 'missing', :at, randomblob(32), NULL, :at, :run, 0
        FROM n;
    INSERT INTO runs VALUES (:run, 1, 'api', 'sync', NULL, 1, 'failed', :at, :at, :at + 60000000, :at, 10000, 9000, 0, 0,
        0, 1000, 0, 9000000, 9000000, 0, NULL, 10000, 0);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)
        INSERT INTO runs SELECT :run - i, i % 500 + 2, 'schedule', 'sync', NULL, 1, iif(i % 7 = 0, 'failed', 'succeeded'),
            :at, :at, :at, :at, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'the registry answered 500', 0, 0 FROM n";

/// Begins to record long tasks, also those before it.
const RECORD: &str = "(() => { window.tasks = []; new PerformanceObserver(list => { \
    for (const entry of list.getEntries()) window.tasks.push(entry.duration); \
    }).observe({type: 'longtask', buffered: true}); return true; })()";

fn fill(path: &std::path::Path) -> i64 {
    // Older ones would be deleted.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let run = i64::try_from(now.unwrap().as_millis()).unwrap() * 1_000;
    let connection = Connection::open(path).unwrap();
    for statement in FILL.split_inclusive(";\n") {
        let mut statement = connection.prepare(statement).unwrap();
        let values = [(":run", run), (":at", run)];
        for (name, value) in values {
            if let Some(index) = statement.parameter_index(name).unwrap() {
                statement.raw_bind_parameter(index, value).unwrap();
            }
        }
        statement.raw_execute().unwrap();
    }
    let images = connection.query_row(
        "SELECT count(*) FROM images WHERE run = :run",
        named_params! {":run": run},
        |row| row.get(0),
    );
    assert_eq!(images, Ok(10_000));
    run
}

/// Returns the id of a run with this number.
fn id(number: i64) -> String {
    let alphabet = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |place: u32| alphabet[usize::try_from(number >> (5 * place) & 31).unwrap()];
    let digits = (0..11).rev().map(|place| char::from(digit(place)));
    digits.collect()
}

#[test]
fn pages_of_ten_thousand_images_have_no_long_task() {
    needs!("chromium", "chromedriver");
    let world = world();
    let path = world.place.path("rules.yaml");
    let further = (1..=500).map(|number| {
        let rule = "- {name: rule-NR, from: SRC/a, to: DST/many/NR}\n";
        world.with_hosts(&rule.replace("NR", &format!("{number:03}")))
    });
    let rules = world.place.read("rules.yaml") + &further.collect::<String>();
    std::fs::write(path, rules).unwrap();
    // The first service creates the file.
    let (service, _) = start(&world);
    service.stop().exits(0);
    let run = id(fill(&world.place.path("state/history.sqlite3")));
    let (service, url) = start(&world);
    let browser = Browser::start(1280);
    // The first page of a browser also loads fonts.
    browser.open(&format!("{url}/login"));
    let repository = "/differences?rule=copies&repository=registry.example.com%2Fteam%2Fapp-0001";
    let pages = [
        ("/rules", "#rules tbody tr", 50),
        (&format!("/runs/{run}"), "#images tbody tr", 100),
        ("/differences", "#differences tbody tr", 50),
        ("/differences?page=9", "#differences tbody tr", 50),
        ("/differences?rule=copies", "table.tags tbody tr", 100),
        (
            "/differences?rule=copies&page=9",
            "section[aria-labelledby=repositories] tbody tr",
            50,
        ),
        (repository, "table.tags tbody tr", 2),
        ("/runs", "#runs tbody tr", 50),
        ("/rules/rule-250", "#rule tbody tr", 30),
    ];
    for (page, rows, number) in pages {
        browser.open(&format!("{url}{page}"));
        browser.value(RECORD);
        browser.until(&format!(
            "document.querySelectorAll('{rows}').length === {number}"
        ));
        // Two frames: the tasks of the page itself are over.
        browser.value("requestAnimationFrame(() => requestAnimationFrame(() => { window.isDrawn = true })) && true");
        browser.until("window.isDrawn === true");
        let tasks: Value = browser.value("window.tasks");
        let longest = tasks.as_array().unwrap().iter().filter_map(Value::as_f64);
        let longest = longest.fold(0.0, f64::max);
        assert!(longest < LONGEST, "{page}: {tasks}");
        let size = browser.value("document.documentElement.outerHTML.length");
        assert!(size.as_u64().unwrap() < 400_000, "{page}: {size}");
    }
    // Failures are in groups, and the filter finds one image of all.
    browser.open(&format!("{url}/runs/{run}?outcome=failed&q=app-9990"));
    browser.until("document.querySelectorAll('#images tbody tr').length === 1");
    assert_eq!(
        browser.value("document.querySelectorAll('.failure').length"),
        json!(20)
    );
    browser.value("document.querySelector('.failures > p a').click()");
    browser.until("location.search === '?outcome=failed'");
    browser.until("document.querySelectorAll('#images tbody tr').length === 100");
    browser.has_no_complaints();
    drop(browser);
    service.stop().exits(0);
}
