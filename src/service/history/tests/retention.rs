use std::time::Duration;

use rusqlite::Connection;

use crate::service::history::retention::{self, Retention};
use crate::service::history::tests::{Fixture, at, copied, listed, queued};
use crate::service::run::{Run, RunId, Scope};

const KEPT: Retention = Retention {
    age: Duration::from_secs(90 * 24 * 60 * 60),
    images: 1_000_000,
    runs: 1_000_000,
    every: Duration::from_millis(1),
};

impl Fixture {
    /// Ends the service, and deletes what is not kept `days` after the first run. Returns the numbers of steps.
    fn prune(self, retention: &Retention, days: i64) -> (Connection, usize) {
        self.history.close(super::PATIENCE).unwrap();
        let path = self.path();
        let mut connection = Connection::open(&path).unwrap();
        let now = at(1_796_000_000_000 + days * 24 * 60 * 60 * 1_000);
        let steps = (0..).take_while(|_| retention::step(&mut connection, retention, now).unwrap());
        let steps = steps.count();
        (connection, steps)
    }

    /// Carries out a run with this number of images.
    fn fill(&self, rule: &str, number: i64, images: u64) -> Run {
        let images = (0..images).map(|image| copied(&format!("{rule}:v{image}"), image));
        self.run(queued(rule, number), listed(images.collect()))
    }
}

fn ids(connection: &Connection, table: &str, column: &str) -> Vec<i64> {
    let statement = format!("SELECT DISTINCT {column} FROM {table} ORDER BY 1");
    let mut statement = connection.prepare(&statement).unwrap();
    let ids = statement.query_map((), |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

fn totals(connection: &Connection) -> (i64, i64) {
    let totals = "SELECT runs, images FROM totals";
    let row = connection.query_row(totals, (), |row| Ok((row.get(0)?, row.get(1)?)));
    row.unwrap()
}

#[test]
fn runs_are_kept_for_90_days_and_the_last_of_each_rule_for_ever() {
    const DAY: i64 = 24 * 60;
    let fixture = Fixture::new();
    fixture.fill("daily", 0, 1);
    let second = fixture.fill("daily", DAY, 2_500);
    let mut part = queued("daily", 2 * DAY);
    part.scope = Scope {
        tags: vec!["v1".into()],
        ..Scope::default()
    };
    let part = fixture.run(part, listed(vec![copied("daily:v1", 1)]));
    let once = fixture.fill("once", 1, 3);
    let (connection, steps) = fixture.prune(&KEPT, 500);
    // The second run is the last one of the whole rule.
    let kept = [once.id, second.id, part.id].map(RunId::number);
    assert_eq!(ids(&connection, "runs", "id"), kept);
    assert_eq!(ids(&connection, "images", "run"), kept);
    assert_eq!(totals(&connection), (3, 2_504));
    assert_eq!(ids(&connection, "tags", "id"), [0; 0]);
    // One run, and the tags of both rules: 2,503 in steps of up to 1,000 for each rule.
    assert!((2..=5).contains(&steps), "{steps}");
}

#[test]
fn a_run_with_many_images_is_deleted_in_steps() {
    let fixture = Fixture::new();
    let first = fixture.fill("daily", 0, 2_500);
    let second = fixture.fill("daily", 1, 10);
    let few = Retention {
        images: 100,
        ..KEPT
    };
    let (connection, steps) = fixture.prune(&few, 1);
    assert_eq!(steps, 3);
    assert_eq!(ids(&connection, "runs", "id"), [second.id.number()]);
    assert_eq!(totals(&connection), (1, 10));
    assert_eq!(ids(&connection, "failures", "id"), [0; 0]);
    assert_ne!(first.id, second.id);
}

#[test]
fn the_oldest_runs_go_if_there_are_too_many() {
    let fixture = Fixture::new();
    let runs: Vec<Run> = (0..10)
        .map(|number| fixture.fill("daily", number, 1))
        .collect();
    let few = Retention { runs: 4, ..KEPT };
    let (connection, _) = fixture.prune(&few, 1);
    let kept: Vec<i64> = runs[6..].iter().map(|run| run.id.number()).collect();
    assert_eq!(ids(&connection, "runs", "id"), kept);
    let images = "SELECT count(*) FROM images";
    let images: i64 = connection.query_row(images, (), |row| row.get(0)).unwrap();
    assert_eq!((images, totals(&connection)), (4, (4, 4)));
}

#[test]
fn the_service_itself_deletes_what_is_not_kept() {
    let few = Retention { images: 50, ..KEPT };
    let fixture = Fixture::with(few);
    for number in 0..10 {
        fixture.fill("daily", number, 20);
    }
    let began = std::time::Instant::now();
    loop {
        let images = fixture.number("SELECT images FROM totals");
        if images == 40 && fixture.number("SELECT runs FROM totals") == 2 {
            break;
        }
        assert!(began.elapsed() < super::PATIENCE, "{images}");
    }
}
