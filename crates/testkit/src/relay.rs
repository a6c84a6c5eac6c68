//! A relay in front of a server: counts the bytes that are sent to the server, and stops at a byte.
//!
//! The server may be any that speaks TCP, so that a real registry can be observed as closely as that of this crate.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lock::lock;

/// Number of bytes that are forwarded at once.
const CHUNK: usize = 16 * 1024;

/// A relay; its threads end with the connections. Meant for tests that block.
pub struct Relay {
    host: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    flow: Mutex<Flow>,
    changed: Condvar,
}

/// Bytes sent to the server, and the number that may still be sent.
#[derive(Default)]
struct Flow {
    sent: u64,
    stop_at: Option<u64>,
    stopped: bool,
    /// Connections of earlier rounds are cut.
    round: u64,
}

impl Relay {
    /// Starts a relay to `target`, as `host:port`, on a free loopback port.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(target: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let host = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            target: target.into(),
            flow: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || shared.serve(&client));
            }
        });
        Ok(Self { host, shared })
    }

    /// `127.0.0.1:port`, as in references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Number of bytes sent to the server so far, including the heads of requests.
    pub fn sent(&self) -> u64 {
        self.shared.flow().sent
    }

    /// Lets `bytes` more pass to the server, and none after them, until the connections are [cut](Relay::cut).
    pub fn stop_after(&self, bytes: u64) {
        let mut flow = self.shared.flow();
        flow.stop_at = Some(flow.sent + bytes);
        flow.stopped = false;
    }

    /// Blocks until the relay has stopped with bytes left to send.
    ///
    /// # Errors
    /// The number of bytes sent, if it did not stop within `patience`.
    pub fn wait_stopped(&self, patience: Duration) -> Result<(), u64> {
        let flow = self.shared.flow();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(flow, patience, |flow| !flow.stopped);
        let (flow, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(flow.sent);
        }
        Ok(())
    }

    /// Cuts all connections, and discards the held bytes. New connections are not stopped.
    pub fn cut(&self) {
        let mut flow = self.shared.flow();
        flow.round += 1;
        flow.stop_at = None;
        flow.stopped = false;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        lock(&self.flow)
    }

    /// Forwards bytes between client and server until either ends.
    fn serve(&self, client: &TcpStream) {
        let round = self.flow().round;
        // If the server does not listen, the connection ends immediately.
        let _ = TcpStream::connect(&self.target).and_then(|server| {
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
            std::thread::spawn(move || {
                let _ = io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let passed = self.pass_on(client, &server, round);
            let _ = server.shutdown(Shutdown::Both);
            let _ = client.shutdown(Shutdown::Both);
            passed
        });
    }

    fn pass_on(
        &self,
        mut client: &TcpStream,
        mut server: &TcpStream,
        round: u64,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = client.read(&mut buffer)?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            while !rest.is_empty() {
                let Some(admitted) = self.admit(rest.len(), round) else {
                    return Ok(());
                };
                let (now, later) = rest.split_at(admitted);
                server.write_all(now)?;
                rest = later;
            }
        }
    }

    /// Returns how many of `wanted` bytes may pass. Waits while there are none. Returns `None` if the connection was
    /// cut.
    fn admit(&self, wanted: usize, round: u64) -> Option<usize> {
        let mut flow = self.flow();
        loop {
            if flow.round != round {
                return None;
            }
            let room = flow
                .stop_at
                .map_or(u64::MAX, |at| at.saturating_sub(flow.sent));
            let admitted = wanted.min(usize::try_from(room).unwrap_or(usize::MAX));
            if admitted > 0 {
                flow.sent += admitted as u64;
                return Some(admitted);
            }
            flow.stopped = true;
            self.changed.notify_all();
            flow = self
                .changed
                .wait(flow)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn it_counts_stops_at_a_byte_and_goes_on_when_it_was_cut() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::start(server.local_addr().unwrap().to_string()).unwrap();
        relay.stop_after(5);
        let mut client = TcpStream::connect(relay.host()).unwrap();
        client.write_all(b"12345678").unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        relay.wait_stopped(PATIENCE).unwrap();
        assert_eq!(relay.sent(), 5);
        relay.cut();
        let mut taken = String::new();
        accepted.read_to_string(&mut taken).unwrap();
        assert_eq!(taken, "12345");
        assert_eq!(client.read(&mut [0]).unwrap_or_default(), 0);

        let mut client = TcpStream::connect(relay.host()).unwrap();
        client.write_all(b"90").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        taken.clear();
        accepted.read_to_string(&mut taken).unwrap();
        assert_eq!((taken.as_str(), relay.sent()), ("90", 7));
        assert_eq!(relay.wait_stopped(Duration::ZERO), Err(7));
    }
}
