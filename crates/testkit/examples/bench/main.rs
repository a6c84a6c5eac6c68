//! The benchmark: our binary, the peers on `PATH` and a bare relay on the same work, one after another, several times.
//!
//! `scripts/bench` builds everything and runs it. During development:
//!
//! ```sh
//! scripts/bench --list                                  # the workloads
//! scripts/bench --only unchanged --only small --runs 1  # some of them, once
//! scripts/bench --only large --without-peers --kinds    # ours and the relay; requests by kind
//! scripts/bench --binary target/release/image-syncer    # a binary that is built already
//! scripts/bench --instructions --against target/release/older  # instructions, beside those of another binary
//! scripts/bench --providers                             # the libraries for TLS
//! scripts/bench --only large --provider ring            # the relay encrypts with ring
//! scripts/bench --markdown results.md --json results.json
//! ```
//!
//! The registries run in this process, with two threads each; the measured programs are child processes. `servers`
//! starts the registries, `workloads` defines the work, `figures` the requirements, `peers` the programs and their
//! arguments, `relay` is the reference, `run` and `measure` run and measure, `table` prints. `instructions` counts
//! instructions instead, with `callgrind`, and `providers` compares the libraries for TLS. `versions` compares those of
//! the peers with their newest ones.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

mod callgrind;
mod figures;
mod instructions;
mod invocation;
mod measure;
mod peers;
mod providers;
mod relay;
mod run;
mod servers;
mod table;
mod task;
mod versions;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use measure::Failure;
use peers::{Contender, Peer};
use providers::Provider;
use run::{Tool, run};
use table::{Outcome, Runs};
use workloads::{WORKLOADS, Workload};

/// Measures image-syncer side by side with its peers and with a bare relay.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Inner>,
    /// Our binary.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Runs of each program for each workload. The medians are printed. [default: 3; with --instructions 1]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Count instructions for each unit of work with callgrind, instead of running the workloads.
    #[arg(long)]
    instructions: bool,
    /// Compare the libraries for TLS, instead of running the workloads.
    #[arg(long, conflicts_with = "instructions")]
    providers: bool,
    /// Library with which the relay encrypts.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Provider::Auto)]
    provider: Provider,
    /// Another binary, whose instructions are counted as well.
    #[arg(long, value_name = "PATH", requires = "instructions")]
    against: Option<PathBuf>,
    /// Only this workload, or this unit of work; repeatable.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the names of the workloads, or of the units of work.
    #[arg(long)]
    list: bool,
    /// Leave out the peers on PATH.
    #[arg(long)]
    without_peers: bool,
    /// Time limit in seconds for one run. A program that exceeds it is stopped, and not run again on that workload.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    limit: u64,
    /// Print the number of requests of each kind.
    #[arg(long)]
    kinds: bool,
    /// Write the results to this file, as Markdown with date and machine.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Inner {
    /// The relay, as a child process.
    #[command(hide = true)]
    Relay {
        /// The file with the job.
        job: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Inner::Relay { job }) => relay::run(job).map_err(|error| error.to_string()),
        None if arguments.list => {
            list(&arguments);
            Ok(())
        }
        None => bench(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn list(arguments: &Arguments) {
    for (name, title) in arguments.names() {
        println!("{name:<13} {title}");
    }
}

/// Name of the measurement without a copy: start time and size of the binary.
const HELP: &str = "help";

impl Arguments {
    /// Returns names and titles of everything that `--only` selects from.
    fn names(&self) -> Vec<(&'static str, &'static str)> {
        if self.instructions {
            return instructions::names().collect();
        }
        let workloads = WORKLOADS.iter().map(|w| (w.name, w.title));
        let help = (HELP, "--help, and the size of the binary");
        workloads.chain([help]).collect()
    }

    fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.instructions { 1 } else { 3 })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn bench(arguments: &Arguments) -> Result<(), String> {
    let found = |path: &PathBuf| {
        let found = path.canonicalize();
        found.map_err(|error| format!("{}: {error}", path.display()))
    };
    let machine = table::machine();
    if arguments.providers {
        println!("{machine}\n");
        return compare_providers(arguments, &machine);
    }
    let binary = found(arguments.binary.as_ref().ok_or("--binary is missing")?)?;
    let names = arguments.names();
    let known = |only: &String| names.iter().any(|(name, _)| name == only);
    if let Some(name) = arguments.only.iter().find(|name| !known(name)) {
        return Err(format!("there is no workload {name}: see --list"));
    }
    println!("{machine}\n");
    if arguments.instructions {
        let against = arguments.against.as_ref().map(found).transpose()?;
        let binaries = std::iter::once(binary).chain(against).collect();
        count_instructions(arguments, &machine, binaries)
    } else {
        run_workloads(arguments, &machine, &binary)
    }
}

/// Compares the libraries for TLS and writes the files that the arguments name.
fn compare_providers(arguments: &Arguments, machine: &str) -> Result<(), String> {
    let speeds = providers::compare().map_err(|error| error.to_string())?;
    println!("{}", speeds.markdown());
    write(arguments.markdown.as_ref(), || {
        format!("{machine}.\n\n{}", speeds.markdown())
    })?;
    write(arguments.json.as_ref(), || {
        serde_json::json!({"machine": machine, "providers": speeds.json()}).to_string()
    })
}

/// Counts instructions and writes the files that the arguments name.
fn count_instructions(
    arguments: &Arguments,
    machine: &str,
    binaries: Vec<PathBuf>,
) -> Result<(), String> {
    let wanted = |name: &str| arguments.wants(name);
    let counted = instructions::count(
        binaries,
        &wanted,
        arguments.provider,
        arguments.runs(),
        arguments.limit,
    )?;
    write(arguments.markdown.as_ref(), || {
        format!("{machine}.\n\n{}", counted.markdown())
    })?;
    write(arguments.json.as_ref(), || {
        serde_json::json!({"machine": machine, "instructions": counted.json()}).to_string()
    })
}

fn run_workloads(arguments: &Arguments, machine: &str, binary: &Path) -> Result<(), String> {
    let peers = if arguments.without_peers {
        Vec::new()
    } else {
        Peer::found()
    };
    let versions: Vec<String> = peers.iter().map(|peer| peer.describe()).collect();
    for version in &versions {
        println!("{version}");
    }
    let mut outcomes = Vec::new();
    for workload in WORKLOADS
        .iter()
        .filter(|workload| arguments.wants(workload.name))
    {
        let outcome = measure_workload(arguments, workload, binary, &peers);
        println!("{}", outcome.text(arguments.kinds));
        outcomes.push(outcome);
    }
    let broken: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.is_broken())
        .map(|outcome| outcome.name)
        .collect();
    let help = if arguments.wants(HELP) {
        Some(measure_help(binary)?)
    } else {
        None
    };
    write_results(arguments, machine, &versions, &outcomes, help.as_deref())?;
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("runs failed: {}", broken.join(", ")))
    }
}

/// Measures and prints the start of the binary, and returns the line.
fn measure_help(binary: &Path) -> Result<String, String> {
    let seconds = measure::help(binary)?;
    let size = std::fs::metadata(binary).map_err(|error| error.to_string())?;
    let text = format!(
        "--help in {:.1} ms (at most 10); the binary has {:.1} MB (at most 16)",
        seconds * 1e3,
        figures::as_f64(size.len()) / 1e6
    );
    println!("{HELP}: {text}");
    Ok(text)
}

/// Writes the results to the files that the arguments name.
fn write_results(
    arguments: &Arguments,
    machine: &str,
    versions: &[String],
    outcomes: &[Outcome],
    help: Option<&str>,
) -> Result<(), String> {
    write(arguments.markdown.as_ref(), || {
        let rows: String = outcomes.iter().map(Outcome::markdown).collect();
        let peers = versions
            .iter()
            .fold(String::new(), |text, version| text + "\n" + version + ".\n");
        let help = help.map_or(String::new(), |help| format!("\n### Start\n\n{help}\n"));
        format!(
            "{machine}. Medians of {} runs.\n{peers}{rows}{help}",
            arguments.runs()
        )
    })?;
    write(arguments.json.as_ref(), || {
        let rows: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        serde_json::json!({"machine": machine, "peers": versions, "workloads": rows}).to_string()
    })
}

/// Writes a text to a file, if one is wanted.
fn write(path: Option<&PathBuf>, text: impl FnOnce() -> String) -> Result<(), String> {
    match path {
        Some(path) => std::fs::write(path, text()).map_err(|e| format!("{}: {e}", path.display())),
        None => Ok(()),
    }
}

fn measure_workload(
    arguments: &Arguments,
    workload: &Workload,
    binary: &Path,
    peers: &[Peer],
) -> Outcome {
    let content = (workload.fill)();
    let mut contenders = vec![Contender::Ours(binary.to_owned())];
    if workload.destinations > 1 {
        contenders.push(Contender::OursToOne(binary.to_owned()));
    }
    contenders.extend(workload.relay.map(|_| Contender::Relay(arguments.provider)));
    // The other peers cannot declare tags immutable: they would be measured on the same work as before.
    let can = |peer: &&Peer| !workload.immutable || **peer == Peer::Ocync;
    contenders.extend(peers.iter().filter(can).map(|&peer| Contender::Peer(peer)));
    let mut runs: Vec<Runs> = contenders
        .into_iter()
        .map(|contender| Runs {
            contender,
            samples: Vec::new(),
            failed: None,
        })
        .collect();
    let unsupported = |flag: &&&str| workload.immutable && !peers::knows(binary, flag);
    if let Some(flag) = ["--immutable", "--records"].iter().find(unsupported) {
        let ours = |runs: &&mut Runs| matches!(runs.contender, Contender::Ours(_));
        for runs in runs.iter_mut().filter(ours) {
            runs.failed = Some(Failure::Unsupported(format!("this binary has no {flag}")));
        }
    }
    for _ in 0..arguments.runs() {
        let again = |runs: &&mut Runs| runs.failed.is_none() && !is_settled(runs);
        for runs in runs.iter_mut().filter(again) {
            match run(
                &runs.contender,
                workload,
                &content,
                arguments.limit,
                Tool::None,
            ) {
                Ok(sample) => runs.samples.push(sample),
                Err(why) => runs.failed = Some(why),
            }
        }
    }
    Outcome::new(workload, &content, runs)
}

/// Returns true if a peer is so slow that one run is enough.
fn is_settled(runs: &Runs) -> bool {
    let slow = runs.samples.first().is_some_and(|s| s.wall > SLOW);
    slow && matches!(runs.contender, Contender::Peer(_))
}

/// Seconds above which a peer is not measured again.
const SLOW: f64 = 30.0;
