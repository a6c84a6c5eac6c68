//! Two runs of one session at the same time, and a listener of their events: `cargo run --example listener`.
//!
//! Needs no network: the registries are in this process.
#![allow(clippy::print_stdout, reason = "it is here to show something")]

use std::error::Error;
use std::sync::Arc;

use image_syncer_registry::Options;
use image_syncer_registry::auth::{Credential, Keychain, KeychainEntry};
use image_syncer_registry::transport::{Transport, TransportOptions};
use image_syncer_sync::report::Report;
use image_syncer_sync::rule::{Rule, RuleError};
use image_syncer_sync::session::{Session, SessionOptions};
use image_syncer_sync::{Event, Listener, Outcome};
use testkit::{Image, Layer, Profile, Registry};

/// Prints the outcome of each image, and counts.
struct Printer {
    run: &'static str,
    report: Report,
}

impl Listener for Printer {
    fn event(&self, event: &Event) {
        self.report.event(event);
        if let Event::ImageFinished { image, outcome, .. } = event {
            let result = match outcome {
                Outcome::Copied(copied) => format!("copied as {}", copied.digest),
                Outcome::Failed(failure) => format!("failed: {failure}"),
                _ => "nothing to do".to_owned(),
            };
            println!(
                "{}: {} -> {}: {result}",
                self.run, image.source, image.destination
            );
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let source = Registry::start(Profile::distribution()).await;
    let destination = Registry::start(Profile::distribution()).await;
    for tag in ["v1", "v2"] {
        let image = Image::single([Layer::synthetic(1_000_000, 1), Layer::tar(tag, 1_000)]);
        source.push("team/app", Some(tag), &image);
    }

    // Registries without TLS have to be named.
    let entry = |host: String| {
        KeychainEntry::new(host, Credential::Anonymous, "the example").with_insecure(true)
    };
    let entries = vec![entry(source.host()), entry(destination.host())];
    let transport = Arc::new(Transport::new(TransportOptions::from_env())?);
    let keychain = Arc::new(Keychain::new(entries, None)?);
    let session = Session::new(Options::new(transport, keychain), SessionOptions::default());

    let start = |run, path: &str| {
        let listener = Arc::new(Printer {
            run,
            report: Report::new(),
        });
        let from = format!("{}/team/app", source.host());
        let to = format!("{}/{path}", destination.host());
        let no_default = |_: &_| Err(RuleError("the destination is empty".to_owned()));
        let rule = Rule::parse(&from, &[&to], &no_default)?;
        let handle = session.run(vec![Arc::new(rule)], listener.clone());
        Ok::<_, RuleError>((handle, listener))
    };
    let (one, first) = start("first", "mirror/app")?;
    let (two, second) = start("second", "team/app")?;
    let (one, two) = tokio::join!(one.wait(), two.wait());
    for (listener, end) in [(first, one), (second, two)] {
        let summary = listener.report.summary();
        println!(
            "{}: {} copied, {} failed, {} bytes fetched, {} sent",
            listener.run, summary.copied, summary.failed, end.fetched, end.sent
        );
    }
    Ok(())
}
