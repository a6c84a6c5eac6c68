use std::time::Duration;

use jiff::Timestamp;

use crate::service::history::WaitingDeliveries;
use crate::service::history::tests::Fixture;

#[tokio::test]
async fn a_notification_waits_until_it_arrives_or_is_given_up() {
    let fixture = Fixture::new();
    let history = &fixture.history;
    assert_eq!(
        history.waiting_deliveries().await.unwrap(),
        WaitingDeliveries::default()
    );
    history.add_delivery("slack", "one".into());
    history.add_delivery("hook", "two".into());
    let now = Timestamp::now();
    let due = history.due_deliveries(now, 10).await.unwrap();
    let found: Vec<_> = due
        .iter()
        .map(|it| (&*it.receiver, &*it.body, it.tries))
        .collect();
    assert_eq!(found, [("slack", "one", 0), ("hook", "two", 0)]);
    assert_eq!(history.due_deliveries(now, 1).await.unwrap().len(), 1);
    history.finish_delivery(due[0].id);
    let later = now + Duration::from_secs(30);
    history.retry_delivery(due[1].id, later, "timed out".into());
    assert_eq!(history.due_deliveries(now, 10).await.unwrap(), []);
    let waiting = history.waiting_deliveries().await.unwrap();
    assert_eq!(waiting.number, 1);
    assert_eq!(
        waiting.next.unwrap().as_microsecond(),
        later.as_microsecond()
    );
    let due = history.due_deliveries(later, 10).await.unwrap();
    assert_eq!((due.len(), due[0].tries), (1, 1));
    history.fail_delivery(due[0].id, "timed out".into());
    assert_eq!(
        history.waiting_deliveries().await.unwrap(),
        WaitingDeliveries::default()
    );
    let states = "SELECT group_concat(state || tries, ' ') FROM deliveries";
    let file = fixture.file();
    let states = file.connection.query_row(states, (), |row| row.get(0));
    assert_eq!(states, Ok("delivered0 failed2".to_owned()));
}
