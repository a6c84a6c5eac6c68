#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Time that is never reached.
const LONG: Duration = Duration::from_secs(600);

/// Sink of lines. Returns an error for a piece that names one.
struct Lines<const RECOVERS: bool>;

impl<const RECOVERS: bool> Sink for Lines<RECOVERS> {
    type Piece = &'static str;
    const RECOVERS: bool = RECOVERS;

    fn write(
        &mut self,
        out: &mut dyn Write,
        batch: Batch<&'static str>,
    ) -> Result<Option<Instant>> {
        let mut first = Ok(());
        for piece in batch.pieces {
            first = first.and(match piece {
                "panic" => panic!("as requested"),
                "pipe" => Err(ErrorKind::BrokenPipe.into()),
                "full" => Err(ErrorKind::StorageFull.into()),
                text => out.write_all(text.as_bytes()),
            });
        }
        first.map(|()| None)
    }
}

/// Stream that blocks at each call until it is allowed or the sender is gone, and then sends what it got.
struct Gate(Receiver<()>, Sender<String>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let _ = self.0.recv();
        self.1
            .send(String::from_utf8(bytes.to_vec()).unwrap())
            .unwrap();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

type Started = (
    BackgroundWriter<&'static str>,
    Sender<()>,
    Receiver<String>,
    Receiver<ErrorKind>,
);

fn start<const RECOVERS: bool>() -> Started {
    let (open, opened) = channel();
    let (sender, written) = channel();
    let (reporter, reports) = channel();
    let report = move |error: &Error| reporter.send(error.kind()).unwrap();
    let out = Gate(opened, sender);
    let writer = BackgroundWriter::start("test", out, Lines::<RECOVERS>, report).unwrap();
    (writer, open, written, reports)
}

/// Returns a queue without a thread.
fn queue() -> BackgroundWriter<u32> {
    BackgroundWriter(Arc::new(Queue::new()))
}

#[test]
fn a_queue_that_grows_drops_nothing() {
    let queue = queue();
    for number in 0..100_000 {
        queue.push(number, 1 << 20, Overflow::Grow);
    }
    let batch = queue.0.next(None);
    assert_eq!(batch.pieces, (0..100_000).collect::<Vec<_>>());
    assert_eq!((batch.dropped, batch.is_last), (0, false));
}

#[test]
fn pieces_without_space_are_dropped_and_counted() {
    let queue = queue();
    for number in 0..10 {
        queue.push(number, 10, Overflow::Drop(45));
    }
    // A piece of higher importance has more space.
    queue.push(100, 10, Overflow::Drop(50));
    queue.push(101, 10, Overflow::Drop(50));
    queue.push(102, 10, Overflow::Grow);
    let batch = queue.0.next(None);
    assert_eq!(batch.pieces, [0, 1, 2, 3, 100, 102]);
    assert_eq!(batch.dropped, 7);
    // Pieces that are being written need space as well.
    queue.push(103, 10, Overflow::Drop(45));
    let batch = queue.0.next(None);
    assert_eq!((batch.pieces.len(), batch.dropped), (0, 1));
    queue.push(104, 10, Overflow::Drop(45));
    let batch = queue.0.next(None);
    assert_eq!((batch.pieces, batch.dropped), (vec![104], 0));
}

#[test]
fn a_piece_waits_for_space() {
    let queue = queue();
    let overflow = Overflow::WaitThenDrop(10, LONG);
    queue.push(1, 10, overflow);
    let (pushed, done) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            queue.push(2, 10, overflow);
            pushed.send(()).unwrap();
        });
        assert_eq!(queue.0.next(None).pieces, [1]);
        // The first piece is being written: there is no space before the next batch.
        done.try_recv().unwrap_err();
        assert_eq!(queue.0.next(None).pieces, [2]);
        done.recv().unwrap();
    });
    assert_eq!(queue.0.lock().dropped, 0);
}

#[test]
fn after_a_wait_in_vain_pieces_are_dropped_until_the_writer_gets_on() {
    let queue = queue();
    queue.push(1, 10, Overflow::WaitThenDrop(10, LONG));
    queue.push(2, 10, Overflow::WaitThenDrop(10, Duration::from_millis(1)));
    // These would wait for ten minutes each.
    for number in 3..10 {
        queue.push(number, 10, Overflow::WaitThenDrop(10, LONG));
    }
    let batch = queue.0.next(None);
    assert_eq!((batch.pieces, batch.dropped), (vec![1], 8));
    queue.end_writing();
    queue.push(10, 10, Overflow::WaitThenDrop(10, LONG));
    assert_eq!(queue.0.next(None).pieces, [10]);
}

impl BackgroundWriter<u32> {
    /// Marks the last batch as written.
    fn end_writing(&self) {
        self.0.lock().writing = 0;
    }
}

#[test]
fn pieces_wait_for_the_due_time_unless_they_are_urgent() {
    let due = || Some(Instant::now() + LONG);
    let queue = queue();
    queue.0.lock().paced = true;
    queue.push(1, 10, Overflow::Drop(100));
    assert!(!queue.0.lock().urgent);
    let passed = queue.0.next(Some(Instant::now()));
    assert_eq!(passed.pieces, [1], "the time has come");
    queue.end_writing();
    // A piece without a size, a queue that is half full, a piece that was dropped.
    for sizes in [&[10, 0][..], &[10, 41], &[10, 91]] {
        for size in sizes {
            queue.push(2, *size, Overflow::Drop(100));
        }
        let batch = queue.0.next(due());
        assert_eq!(batch.pieces.len() as u64 + batch.dropped, 2, "{sizes:?}");
        queue.end_writing();
    }
    queue.push(3, 10, Overflow::Drop(100));
    drop(queue.0.end());
    let batch = queue.0.next(due());
    assert_eq!((batch.pieces, batch.is_last), (vec![3], true));
    queue.push(4, 10, Overflow::Grow);
    assert!(queue.0.lock().pieces.is_empty(), "nothing follows the end");
}

#[test]
fn closing_waits_for_the_rest_until_the_deadline() {
    let (writer, open, written, reports) = start::<false>();
    writer.push("one", 3, Overflow::Grow);
    writer.push("two", 3, Overflow::Grow);
    assert!(!writer.close(Duration::from_millis(1)));
    assert!(writer.is_ended());
    drop(open);
    assert!(writer.close(LONG));
    assert_eq!(written.iter().collect::<String>(), "onetwo");
    assert_eq!(reports.iter().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_writer_is_known() {
    let never = std::future::pending::<()>;
    let (writer, open, _written, _) = start::<false>();
    writer.push("one", 3, Overflow::Grow);
    let end = writer
        .finish(std::future::ready(()), Duration::from_secs(1))
        .await;
    assert!(matches!(end, Ok(WriteEnd::Interrupted)), "{end:?}");
    drop(open);
    let end = writer.finish(never(), Duration::ZERO).await;
    assert!(matches!(end, Ok(WriteEnd::Whole)), "{end:?}");
    // After the end, nothing is waited for.
    let end = writer.finish(never(), Duration::ZERO).await;
    assert!(matches!(end, Ok(WriteEnd::Whole)), "{end:?}");
}

#[tokio::test]
async fn the_first_error_ends_a_writer_and_is_reported_once() {
    for (piece, kind) in [
        ("pipe", ErrorKind::BrokenPipe),
        ("full", ErrorKind::StorageFull),
    ] {
        let (writer, _open, written, reports) = start::<false>();
        writer.push(piece, 0, Overflow::Grow);
        assert_eq!(reports.recv().unwrap(), kind);
        writer.push("full", 0, Overflow::Grow);
        let end = writer
            .finish(std::future::pending::<()>(), Duration::ZERO)
            .await;
        match kind {
            ErrorKind::BrokenPipe => assert!(matches!(end, Ok(WriteEnd::Unread)), "{end:?}"),
            kind => assert_eq!(end.unwrap_err().kind(), kind),
        }
        assert_eq!((reports.iter().count(), written.iter().count()), (0, 0));
    }
}

#[test]
fn a_sink_that_recovers_goes_on_after_an_error_that_is_reported_once() {
    let (writer, open, written, reports) = start::<true>();
    drop(open);
    for piece in ["one", "full", "pipe", "two", "full", "three"] {
        writer.push(piece, 0, Overflow::Grow);
    }
    assert!(writer.close(LONG));
    assert_eq!(written.iter().collect::<String>(), "onetwothree");
    assert_eq!(reports.iter().collect::<Vec<_>>(), [ErrorKind::StorageFull]);
}

#[tokio::test]
async fn a_panic_of_the_thread_is_an_error_and_holds_nobody() {
    let (writer, _open, _, _) = start::<true>();
    writer.push("panic", 0, Overflow::Grow);
    let end = writer
        .finish(std::future::pending::<()>(), Duration::ZERO)
        .await;
    let error = end.unwrap_err().to_string();
    assert!(error.starts_with("internal error: "), "{error}");
    writer.push("one", 1, Overflow::WaitThenDrop(0, LONG));
    assert!(writer.0.lock().pieces.is_empty());
    assert!(writer.close(LONG));
}

#[test]
fn a_writer_without_handles_ends_after_the_rest() {
    let (writer, open, written, _) = start::<false>();
    writer.push("one", 3, Overflow::Grow);
    drop((writer, open));
    assert_eq!(written.iter().collect::<Vec<_>>(), ["one"]);
}

/// Stream that fails a few times in a way that passes.
struct Busy(Vec<ErrorKind>, Vec<u8>);

impl Write for Busy {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self.0.pop() {
            Some(kind) => Err(kind.into()),
            None => self.1.write(bytes),
        }
    }
    fn flush(&mut self) -> Result<()> {
        self.0.pop().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

#[test]
fn a_stream_that_is_full_is_tried_again() {
    let kinds = vec![
        ErrorKind::WouldBlock,
        ErrorKind::Interrupted,
        ErrorKind::WouldBlock,
    ];
    let mut stream = BlockingStream(Busy(kinds, Vec::new()));
    stream.write_all(b"all").unwrap();
    assert_eq!(stream.0.1, b"all");
    stream.0.0.push(ErrorKind::WouldBlock);
    stream.flush().unwrap();
    stream.0.0.push(ErrorKind::StorageFull);
    assert_eq!(
        stream.write(b"x").unwrap_err().kind(),
        ErrorKind::StorageFull
    );
}
