//! Every command line of the documents parses.

use clap::Parser as _;
use image_syncer::cli::Cli;
use serde_json::Value;

use super::{fences, shell};

/// Number of calls that were checked, and the errors of the refused ones.
#[derive(Default)]
struct Calls {
    number: usize,
    refused: Vec<String>,
}

impl Calls {
    /// Parses `calls` of the document at `place`, each with the program's name first.
    fn parse(&mut self, place: &str, calls: Vec<Vec<String>>) {
        for call in calls {
            self.number += 1;
            if let Err(refusal) = Cli::try_parse_from(&call)
                // clap treats `--help` and `--version` as errors.
                && refusal.use_stderr()
            {
                let call = call.join(" ");
                self.refused.push(format!("{place}: {call}\n{refusal}"));
            }
        }
    }

    /// Asserts that all parsed, and that the test found at least `at_least` calls.
    #[track_caller]
    fn are_right(&self, at_least: usize) {
        assert!(self.refused.is_empty(), "{}", self.refused.join("\n"));
        assert!(self.number >= at_least, "only {} calls", self.number);
    }
}

#[test]
fn in_shell_blocks() {
    let mut calls = Calls::default();
    for fence in fences::in_languages(&["sh"]) {
        calls.parse(&fence.place, shell::calls(&fence.text));
    }
    calls.are_right(20);
}

#[test]
fn in_terminal_sessions() {
    let mut calls = Calls::default();
    for fence in fences::in_languages(&["console"]) {
        let typed = fence
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("$ "));
        let typed: Vec<&str> = typed.collect();
        calls.parse(&fence.place, shell::calls(&typed.join("\n")));
    }
    calls.are_right(1);
}

#[test]
fn in_crontabs() {
    let mut calls = Calls::default();
    for fence in fences::in_languages(&["crontab"]) {
        for line in fence.text.lines() {
            // An unescaped % ends the command for cron.
            let bare = line.replace("\\%", "");
            assert!(!bare.contains('%'), "{}: a bare %: {line}", fence.place);
            let fields = if line.starts_with('@') { 1 } else { 5 };
            let words: Vec<&str> = line.split_whitespace().skip(fields).collect();
            calls.parse(&fence.place, shell::calls(&words.join(" ")));
        }
    }
    calls.are_right(5);
}

#[test]
fn in_yaml_of_jobs() {
    let mut calls = Calls::default();
    for fence in fences::in_languages(&["yaml"]) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&fence.text)
            .unwrap_or_else(|error| panic!("{}: {error}", fence.place));
        assert!(!documents.is_empty(), "{}: nothing in it", fence.place);
        for document in &documents {
            calls.parse(&fence.place, calls_in(document));
        }
    }
    calls.are_right(6);
}

#[test]
fn in_units() {
    let mut calls = Calls::default();
    for fence in fences::in_languages(&["ini"]) {
        let joined = fence.text.replace("\\\n", " ");
        let commands = joined
            .lines()
            .filter_map(|line| line.strip_prefix("ExecStart="));
        for command in commands {
            calls.parse(&fence.place, shell::calls(command));
        }
    }
    calls.are_right(1);
}

#[test]
fn json_is_json() {
    for fence in fences::in_languages(&["json"]) {
        let read = serde_json::from_str::<Value>(&fence.text);
        read.unwrap_or_else(|error| panic!("{}: {error}", fence.place));
    }
}

/// Returns the calls in the scripts of a document, and those of containers of our image.
fn calls_in(value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::String(script) => shell::calls(script),
        Value::Array(values) => values.iter().flat_map(calls_in).collect(),
        Value::Object(members) => {
            let image = members.get("image").and_then(Value::as_str);
            let arguments = members.get("args").and_then(Value::as_array);
            let mut calls: Vec<Vec<String>> = members.values().flat_map(calls_in).collect();
            if let (Some(image), Some(arguments)) = (image, arguments)
                && image.contains("image-syncer")
            {
                let words = arguments
                    .iter()
                    .map(|word| word.as_str().unwrap().to_owned());
                let name = "image-syncer".to_owned();
                calls.push([name].into_iter().chain(words).collect());
            }
            calls
        }
        _ => Vec::new(),
    }
}
