//! The list on terminals, and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use testkit::{Action, Fault, Gate, Image, Kind, Layer, Platform};

use crate::support::terminal::Terminal;
use crate::support::{Place, image, index, registry};

#[test]
fn on_a_terminal_the_list_is_a_table_of_its_width() {
    let (source, place) = (registry(), Place::new());
    source.push("team/app", Some("latest"), &index("multi"));
    source.push("team/app", Some("v1.10.2"), &image("single"));
    source.push(
        "team/app",
        Some("chart"),
        &Image::helm_chart("app", "1.0.0"),
    );
    let host = source.host();
    for (columns, more) in [(120, &["-l"][..]), (70, &["-l"]), (40, &["-l"]), (80, &[])] {
        let text = format!("{host}/team/app:latest,v1.10.2,chart,v9");
        let command = [&["tags", &text, "--insecure", &host], more].concat();
        let mut command = place.command(&command);
        command.env("TERM", "xterm");
        let ended = Terminal::whole(command, columns, 40).ends();
        assert_eq!(ended.code, 1, "{}", ended.screen);
        // A name of the same length.
        let name: String = "registry.test:5000".chars().take(host.len()).collect();
        let screen = ended.screen.replace(&host, &name);
        let form = if more.is_empty() { "digests" } else { "long" };
        insta::assert_snapshot!(format!("{form}_at_{columns}"), screen.trim_end());
        assert!(ended.raw.contains("\x1b[2mNAME"), "{}", ended.raw);
    }
}

#[test]
fn hidden_characters_of_a_registry_are_escaped() {
    let (source, place) = (registry(), Place::new());
    let child = Image::oci()
        .platform(Platform::linux("amd\u{9b}31m\u{202e}64"))
        .layer(Layer::tar("base", 3_000))
        .build();
    source.push("app", Some("v1"), &Image::index([child]));
    let (host, name) = (source.host(), format!("{}/app", source.host()));
    let run = |more: &[&str]| {
        let command = [&["tags", &name, "-l", "--insecure", &host], more].concat();
        place.run(&command).exits(0).stdout
    };
    let lines = run(&[]);
    assert!(
        lines.contains("\tlinux/amd\\u{9b}31m\\u{202e}64\t"),
        "{lines}"
    );
    let json = run(&["--output", "json"]);
    assert!(json.contains("\"linux/amd\\u009b31m\\u202e64\""), "{json}");
}

#[test]
fn a_reader_that_goes_away_ends_the_list() {
    let (source, place) = (registry(), Place::new());
    let image = image("a");
    for number in 0..2_000 {
        source.push("team/app", Some(&format!("v{number:04}")), &image);
    }
    // The second part of the list waits until the reader is gone.
    let gate = Gate::new();
    source.fault(
        Fault::on(Kind::ManifestHead).reference("v0150"),
        Action::Hold(gate.clone()),
    );
    let host = source.host();
    let name = format!("{host}/team/app");
    let mut child = place
        .command(&["tags", &name, "--insecure", &host])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, format!("{name}:v0000\t{}\t-\n", image.digest()));
    drop(stdout);
    gate.open();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let heads = source.count(|request| request.kind == Kind::ManifestHead);
    assert!(heads < 2_000, "{heads}");
}
