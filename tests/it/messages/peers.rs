//! Peers that are no registry: ports with a fixed answer, and proxies.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Starts a server that sends `answer` after the first bytes of every connection and closes it. Returns its address.
pub(super) fn answering(answer: &'static [u8]) -> String {
    serving(move |mut stream| {
        let mut asked = [0; 4096];
        if stream.read(&mut asked).is_ok_and(|read| read > 0) {
            stream.write_all(answer).ok();
        }
    })
}

/// Starts a proxy that connects every request to `target`. Returns its address.
pub(super) fn proxy_to(target: &str) -> String {
    let target = target.to_owned();
    serving(move |mut stream| {
        if !head_of(&mut stream).starts_with(b"CONNECT ") {
            return;
        }
        let Ok(mut there) = TcpStream::connect(&target) else {
            return;
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
        let (Ok(mut from), Ok(mut to)) = (stream.try_clone(), there.try_clone()) else {
            return;
        };
        std::thread::spawn(move || {
            std::io::copy(&mut from, &mut to).ok();
            to.shutdown(std::net::Shutdown::Write).ok();
        });
        std::io::copy(&mut there, &mut stream).ok();
    })
}

/// Returns an address at which nothing listens.
pub(super) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Reads the head of a request.
fn head_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    head
}

/// Serves each connection in a thread of its own, until the process of the test ends.
fn serving(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}
