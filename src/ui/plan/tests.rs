//! Plans from events.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image_syncer_registry::Digest;
use image_syncer_sync::event::{Change, Cost, Evidence, Loss, Planned, RuleDescription, Volume};
use image_syncer_sync::rule::{Location, Rule, RuleSet};
use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome};

use super::{PlanForm, PlanListener, RowSelection};
use crate::ui::stdout::{StartWriting, Stdout, WriteEnd};

/// Output of a plan, and how it ended.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn descriptions(rules: &[Arc<Rule>]) -> Vec<Arc<RuleDescription>> {
    RuleSet::from(rules.to_vec()).descriptions()
}

fn rule(source: &str, destinations: &[&str]) -> Arc<Rule> {
    let refuse = |_: &image_syncer_sync::Repository| panic!("a destination is missing");
    Arc::new(Rule::parse(source, destinations, &refuse).unwrap())
}

fn digest(digit: char) -> Digest {
    Digest::parse(&format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
}

fn finished(rule: &Arc<Rule>, source: &str, destination: &str, outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: ImageId {
            rule: rule.id,
            source: source.into(),
            destination: destination.into(),
        },
        outcome,
        elapsed: Duration::ZERO,
    }
}

fn discovered(rule: &Arc<Rule>, images: u64, empty: Option<&str>) -> Event {
    Event::RuleDiscovered {
        rule: rule.id,
        images,
        empty: empty.map(str::to_owned),
    }
}

fn planned(change: Change, cost: Cost) -> Outcome {
    Outcome::Planned(Box::new(Planned {
        digest: digest('a'),
        change,
        filtered: false,
        sparse: false,
        hidden: false,
        cost: Some(cost),
    }))
}

fn cost(platforms: &[&str], layers: u64, volume: Volume) -> Cost {
    Cost {
        platforms: platforms.iter().map(|p| (*p).to_owned()).collect(),
        layers,
        volume,
        referrers: 0,
    }
}

fn unchanged() -> Outcome {
    Outcome::Unchanged {
        digest: digest('a'),
        by: Evidence::Registry,
    }
}

/// Returns a rule with two destinations and a location, one with a tag, and one without images.
fn rules() -> [Arc<Rule>; 3] {
    let first = rule("s.example/app", &["d.example/app", "e.example/other"]);
    let file = "images.yaml".into();
    let first = Arc::unwrap_or_clone(first).located_at(Location { file, line: 3 });
    [
        Arc::new(first),
        rule("s.example/web:v1", &["d.example/web:stable"]),
        rule("s.example/gone:/^v/", &["d.example/gone"]),
    ]
}

/// Returns these rules, and events of all kinds of images in any order.
fn events() -> (Vec<Arc<Rule>>, Vec<Event>) {
    let [first, second, third] = rules();
    let of_first = |tag: &str, outcome| {
        let source = format!("s.example/app:{tag}");
        finished(&first, &source, &format!("d.example/app:{tag}"), outcome)
    };
    let volume = Volume {
        bytes: 70_569_164,
        mounted_bytes: 12 << 20,
        present_bytes: 3 << 20,
        ..Volume::default()
    };
    let many = [
        "linux/amd64",
        "linux/arm64/v8",
        "linux/s390x",
        "windows/amd64",
    ];
    let moved = Change::Moved { from: digest('b') };
    let lost = Change::Again(vec![Loss::Blob(digest('c'))]);
    let with_referrers = Cost {
        referrers: 2,
        ..cost(&[], 4, Volume::default())
    };
    let no_rights =
        "cannot push blob to d.example: 403 Forbidden, after 1 try: no right to do so, as it said";
    let events = vec![
        discovered(&third, 0, Some("no tag of it fits")),
        finished(
            &second,
            "s.example/web:v1",
            "d.example/web:stable",
            planned(Change::New, cost(&many[..1], 5, Volume::default())),
        ),
        of_first("v2", planned(moved, cost(&many, 12, volume))),
        of_first("v10", unchanged()),
        of_first("v9", Outcome::Failed(Failure::local(no_rights))),
        of_first(
            "v1",
            planned(Change::New, cost(&many[..1], 5, Volume::default())),
        ),
        discovered(&second, 1, None),
        of_first(
            "v4",
            Outcome::Skipped {
                why: "no platform of it is asked for".to_owned(),
            },
        ),
        of_first("v5", planned(lost, cost(&many, 12, Volume::default()))),
        of_first("v6", planned(Change::Referrers, with_referrers)),
        discovered(&first, 8, None),
        finished(
            &first,
            "s.example/app:v1",
            "e.example/other:v1",
            unchanged(),
        ),
    ];
    (vec![first, second, third], events)
}

async fn written(form: PlanForm, which: RowSelection) -> String {
    let (rules, events) = events();
    let page = Page::default();
    let stdout = Stdout::to(page.clone(), StartWriting::AtOnce, || {}).unwrap();
    let plan = PlanListener::new(&descriptions(&rules), form, which, stdout.clone());
    for event in &events {
        plan.event(event);
    }
    plan.close(vec!["total".to_owned()]);
    let ended = stdout.finish(std::future::pending::<()>()).await;
    assert!(matches!(ended, Ok(WriteEnd::Whole)), "{ended:?}");
    page.text()
}

fn table(width: usize, colours: bool) -> PlanForm {
    PlanForm::Table { width, colours }
}

#[tokio::test]
async fn a_wide_table() {
    insta::assert_snapshot!(written(table(160, false), RowSelection::Notable).await);
}

#[tokio::test]
async fn a_table_of_eighty_columns() {
    let text = written(table(80, false), RowSelection::All).await;
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}\n{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_table_is_not_cut_on_a_narrow_terminal() {
    let text = written(table(20, false), RowSelection::Notable).await;
    for whole in ["v2", "bbbbbbb → aaaaaaa", "67.3 MiB", "15.0 MiB", "repair"] {
        assert!(text.contains(whole), "no {whole} in\n{text}");
    }
}

#[tokio::test]
async fn colours_do_not_change_the_text() {
    let painted = written(table(80, true), RowSelection::All).await;
    assert!(painted.contains("\x1b[32mnew\x1b[0m "), "{painted}");
    let escape = regex::Regex::new("\x1b\\[[0-9]+m").unwrap();
    let plain = written(table(80, false), RowSelection::All).await;
    let lines =
        |text: &str| -> Vec<String> { text.lines().map(|l| l.trim_end().to_owned()).collect() };
    assert_eq!(lines(&escape.replace_all(&painted, "")), lines(&plain));
}

#[tokio::test]
async fn plain_lines_are_whole() {
    insta::assert_snapshot!(written(PlanForm::Plain, RowSelection::All).await);
}

#[tokio::test]
async fn only_differences() {
    let lines = PlanForm::Lines {
        short: false,
        colours: false,
    };
    insta::assert_snapshot!(written(lines, RowSelection::Different).await);
}

#[tokio::test]
async fn a_rule_is_written_when_it_and_all_before_it_have_ended() {
    let (rules, events) = events();
    let page = Page::default();
    let stdout = Stdout::to(page.clone(), StartWriting::AtOnce, || {}).unwrap();
    let plan = PlanListener::new(
        &descriptions(&rules),
        PlanForm::Plain,
        RowSelection::Notable,
        stdout.clone(),
    );
    let (last, before) = events.split_last().unwrap();
    for event in before {
        plan.event(event);
    }
    let so_far = async || {
        let (reached, here) = tokio::sync::oneshot::channel();
        stdout.send(|_| {
            reached.send(()).unwrap();
            Ok(())
        });
        here.await.unwrap();
        page.text()
    };
    assert_eq!(so_far().await, "", "the first rule has not ended");
    plan.event(last);
    let headings = "# s.example/app  (images.yaml:3)|# s.example/web:v1|# s.example/gone:/^v/";
    let text = so_far().await;
    let found: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# s."))
        .collect();
    assert_eq!(found.join("|"), headings);
}

#[tokio::test]
async fn images_that_were_not_compared_are_counted() {
    let one = rule("s.example/app", &["d.example/app"]);
    let two = rule("s.example/lost", &["d.example/lost"]);
    let page = Page::default();
    let stdout = Stdout::to(page.clone(), StartWriting::AtOnce, || {}).unwrap();
    let rules = [Arc::clone(&one), Arc::clone(&two)];
    let plan = PlanListener::new(
        &descriptions(&rules),
        PlanForm::Plain,
        RowSelection::Notable,
        stdout.clone(),
    );
    let interrupted = Outcome::Failed(Failure::interrupted());
    plan.event(&finished(
        &one,
        "s.example/app:v1",
        "d.example/app:v1",
        interrupted,
    ));
    plan.event(&Event::RuleFailed {
        rule: two.id,
        failure: Failure::local("cannot list tags of s.example/lost:\n\u{1b}[2J it is not there"),
    });
    plan.close(Vec::new());
    stdout.finish(std::future::pending::<()>()).await.unwrap();
    assert_eq!(
        page.text(),
        "# s.example/app\n# interrupted: 1 image not compared\n# s.example/lost\n\
         failed     s.example/lost: cannot list tags of s.example/lost:\\n\\u{1b}[2J it is not there\n"
    );
}

/// Output that fails.
struct Closed(std::io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_is_gone_stops_the_run_and_fails_nothing() {
    use std::io::ErrorKind::{BrokenPipe, StorageFull};
    for kind in [BrokenPipe, StorageFull] {
        let (gone, closed) = tokio::sync::oneshot::channel();
        let stdout = Stdout::to(Closed(kind), StartWriting::AtOnce, move || {
            gone.send(()).unwrap();
        })
        .unwrap();
        stdout.send(|out| out.write_all(b"rule"));
        closed.await.unwrap();
        // The output has failed already.
        stdout.send(|out| out.write_all(b"rule"));
        let ended = stdout.finish(std::future::pending::<()>()).await;
        match kind {
            BrokenPipe => assert!(matches!(ended, Ok(WriteEnd::Unread))),
            kind => assert_eq!(ended.unwrap_err().kind(), kind),
        }
    }
}
