use crate::service::history::retention::{self, Retention};
use crate::service::history::tests::{Fixture, PATIENCE, at, copied, listed, queued};
use crate::service::observer::RunObserver as _;
use crate::service::run::{Run, RunState};
use crate::service::throughput::{Sample, Throughput};

/// Returns the throughput of a run of so many seconds, which sends 10 bytes in each.
fn throughput(seconds: u64) -> Throughput {
    let mut throughput = Throughput::default();
    for second in 0..=seconds {
        throughput.add(Sample {
            second,
            fetched_bytes: 5 * second,
            sent_bytes: 10 * second,
            ..Sample::default()
        });
    }
    throughput
}

impl Fixture {
    /// Carries out a run with this throughput.
    fn run_with(&self, number: i64, throughput: &Throughput) -> Run {
        let mut run = queued("nightly", number);
        self.history.changed(&run);
        run.state = RunState::Succeeded;
        self.history.record_throughput(run.id, throughput);
        self.history.changed(&run);
        run
    }
}

#[tokio::test]
async fn runs_that_are_over_have_their_throughput() {
    let fixture = Fixture::new();
    let short = fixture.run_with(1, &throughput(3));
    let long = fixture.run_with(2, &throughput(600));
    let idle = fixture.run_with(3, &throughput(0));
    // The end of a run is known with all that belongs to it.
    assert_eq!(
        fixture.history.run(long.id).await.unwrap(),
        Some(long.clone())
    );
    let samples = fixture.history.throughput(long.id).await.unwrap();
    assert!((60..=120).contains(&samples.len()), "{}", samples.len());
    let last = samples.last().unwrap();
    assert_eq!((last.second, last.sent_bytes), (600, 6_000));
    let samples = fixture.history.throughput(short.id).await.unwrap();
    assert_eq!(samples, throughput(3).samples());
    // Nothing moved, so there is nothing to show.
    fixture.history.flush().await;
    assert_eq!(fixture.history.throughput(idle.id).await.unwrap(), []);
    assert_eq!(fixture.number("SELECT count(*) FROM throughputs"), 2);
    let longest = fixture.number("SELECT max(length(samples)) FROM throughputs");
    assert!(longest < 1_500, "{longest}");
}

#[test]
fn the_throughput_of_a_run_is_deleted_with_it() {
    let fixture = Fixture::new();
    fixture.run_with(0, &throughput(9));
    let full = fixture.run(queued("nightly", 1), listed(vec![copied("app:v1", 1)]));
    let last = fixture.run_with(2, &throughput(9));
    fixture.history.close(PATIENCE).unwrap();
    let mut connection = rusqlite::Connection::open(fixture.path()).unwrap();
    let now = at(1_796_000_000_000 + 100 * 24 * 60 * 60 * 1_000);
    while retention::step(&mut connection, &Retention::default(), now).unwrap() {}
    let runs = "SELECT id FROM runs ORDER BY id";
    let mut statement = connection.prepare(runs).unwrap();
    let kept = statement.query_map((), |row| row.get(0)).unwrap();
    let kept: Vec<i64> = kept.map(Result::unwrap).collect();
    assert_eq!(kept, [full.id.number(), last.id.number()]);
    let row = connection.query_row("SELECT run FROM throughputs", (), |row| row.get(0));
    assert_eq!(row, Ok(last.id.number()));
    let number = connection.query_row("SELECT count(*) FROM throughputs", (), |row| row.get(0));
    assert_eq!(number, Ok(1));
}
