//! SIGINT and SIGTERM.

use std::process::{Child, Command};
use std::sync::mpsc;

use testkit::{Action, Fault, Kind, Registry};

use crate::support::{Outcome, PATIENCE, Place, image, insecure, registry};

/// A run whose blob downloads never end, and a way to know that one has begun.
struct Stuck {
    source: Registry,
    destination: Registry,
    child: Child,
    begun: mpsc::Receiver<()>,
    _place: Place,
}

impl Stuck {
    fn start() -> Self {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), &image("a"));
        source.push("done", Some("v1"), &image("a"));
        destination.push("done", Some("v1"), &image("a"));
        let (sender, begun) = mpsc::channel();
        let fault = Fault::on(Kind::BlobGet).matching(move |_| sender.send(()).is_ok());
        source.fault(fault, Action::StallResponse { after: 10 });
        let (from, to) = (source.host(), destination.host());
        let place = Place::new()
            .file(
                "images.yaml",
                &format!("{from}/a: {to}/a\n{from}/done: {to}/done\n"),
            )
            .file("auth.yaml", &insecure(&[&source, &destination]));
        let child = place
            .command(&["--images", "images.yaml", "--auth", "auth.yaml"])
            .spawn()
            .unwrap();
        Self {
            source,
            destination,
            child,
            begun,
            _place: place,
        }
    }

    /// Sends a signal, when a download has begun.
    fn signal(&self, name: &str) {
        self.begun.recv_timeout(PATIENCE).unwrap();
        kill(&self.child, name);
    }

    fn ends(self) -> Outcome {
        let outcome = Outcome::of(self.child.wait_with_output().unwrap());
        assert_eq!(self.destination.state().tags("a"), [""; 0]);
        drop(self.source);
        outcome
    }
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn the_first_signal_ends_the_run_in_order() {
    for signal in ["-INT", "-TERM"] {
        let stuck = Stuck::start();
        stuck.signal(signal);
        let outcome = stuck
            .ends()
            .exits(130)
            .says(&format!("SIG{}: ending what is under way", &signal[1..]))
            .says("1 interrupted")
            .says("run again to finish")
            .does_not_say("hint:");
        assert_eq!(outcome.lines("interrupted").len(), 1);
    }
}
