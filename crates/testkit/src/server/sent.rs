//! Detection that the peer has received everything that was written to a socket.
//!
//! A reset discards the bytes in the send queue, which is not empty if the client reads slowly. To reset exactly after
//! n bytes, the server must wait. Linux shows the length of the queue in `/proc/net/tcp`; on other systems the reset
//! does not wait, and is exact only for bytes that fit into the socket's buffers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// Interval of the checks of the queue, and their maximum number: a client that reads nothing for so long is reset
/// anyway.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSES: u32 = 10_000;

/// Waits until the peer has acknowledged every byte, then resets.
pub(super) async fn reset(stream: TcpStream) {
    for _ in 0..PAUSES {
        if !is_waiting(&stream) {
            break;
        }
        // Not the runtime's timer: a test with a paused clock would see it jump.
        let pause = tokio::task::spawn_blocking(|| std::thread::sleep(PAUSE));
        let _ = pause.await;
    }
    // Linger zero makes the close a reset. If the option fails, the connection is already closed.
    let _ = stream.set_zero_linger();
}

fn is_waiting(stream: &TcpStream) -> bool {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return false;
    };
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| table(file).ok())
        .any(|table| queued(&table, local, peer).is_some_and(|bytes| bytes > 0))
}

fn table(file: &str) -> io::Result<String> {
    std::fs::read_to_string(file)
}

/// Length of the send queue of the connection between two ports, in bytes. (Two connections of one machine have the
/// same pair of ports only if their addresses differ, which then costs at most a pause.)
fn queued(table: &str, local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (ours, theirs) = (port(fields.next()?)?, port(fields.next()?)?);
        let queues = fields.nth(1)?;
        let (send, _) = queues.split_once(':')?;
        let bytes = u64::from_str_radix(send, 16).ok()?;
        (ours == local.port() && theirs == peer.port()).then_some(bytes)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_queue_is_found_by_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 0100007F:1F90 0100007F:9C40 01 00000A00:00000001 00:00000000\n";
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(queued(table, address(8080), address(40000)), Some(2560));
        assert_eq!(queued(table, address(8080), address(40001)), None);
    }

    #[tokio::test]
    async fn bytes_wait_until_they_are_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let block = vec![0; 1 << 20];
        let mut written = 0;
        while let Ok(bytes) = server.try_write(&block) {
            written += bytes;
        }
        assert!(is_waiting(&server));
        let resetting = tokio::spawn(reset(server));
        let mut read = 0;
        let mut buffer = vec![0; 1 << 16];
        let end = loop {
            match tokio::io::AsyncReadExt::read(&mut client, &mut buffer).await {
                Ok(bytes) => read += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(
            (read, end.kind()),
            (written, io::ErrorKind::ConnectionReset)
        );
        resetting.await.unwrap();
    }
}
