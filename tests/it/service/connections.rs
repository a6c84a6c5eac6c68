//! Connections to a real process: their limit, and the time of the head of a request.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Place, Service};

/// Maximum number of connections of the service.
const CONNECTIONS: usize = 256;
/// Maximum time until the head of a request has arrived.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Raises the limit on open files of this process to that of the system.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

fn connect(url: &str) -> TcpStream {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request over a connection that stays open, and checks that it is answered.
fn is_healthy(stream: &mut TcpStream) {
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"}") {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..length]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// Returns the number of open sockets of the service.
fn sockets(service: &Service) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", service.id())).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    let sockets = targets.filter(|target| target.to_string_lossy().starts_with("socket:"));
    sockets.count()
}

#[test]
fn a_thousand_idle_connections_hold_neither_clients_nor_files() {
    raise_file_limit();
    let place = Place::new().file(
        "rules.yaml",
        "version: 1\nrules:\n- {name: a, from: a.example/a, to: b.example/a, schedule: never}\n",
    );
    let mut service = Service::start(&place, &["--config", "rules.yaml"]);
    let url = service.url();
    let mut client = connect(&url);
    is_healthy(&mut client);
    let alone = sockets(&service);
    let begin = Instant::now();
    let mut idle: Vec<TcpStream> = (0..1_000).map(|_| connect(&url)).collect();
    for stream in idle.iter_mut().skip(1).step_by(2) {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    }
    // The client is one of those within the limit. The others wait for the end of one of these.
    let full = alone + CONNECTIONS - 1;
    while sockets(&service) < full {
        is_healthy(&mut client);
        assert!(begin.elapsed() < HEADER_TIME, "{}", sockets(&service));
    }
    for _ in 0..100 {
        is_healthy(&mut client);
        assert_eq!(sockets(&service), full);
    }
    assert!(begin.elapsed() < HEADER_TIME);
    // Those within the limit end after the time for the head of a request, and not before.
    for stream in &mut idle[..2] {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            Ok(_) => assert!(!answer.starts_with(b"HTTP/1.1 2")),
        }
        let time = begin.elapsed();
        assert!(time >= HEADER_TIME && time < 2 * HEADER_TIME, "{time:?}");
    }
    assert!(sockets(&service) <= full);
    // Without the others, the next client is answered.
    drop(idle);
    is_healthy(&mut connect(&url));
    service.stop().exits(0);
}
