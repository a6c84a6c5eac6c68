//! Every flag of every command does something: for each there is a scenario that shows a difference with and without
//! it. The table is held to clap's description of the arguments, so that a flag without a scenario fails.

mod about;
mod scenarios;
mod stage;

use std::collections::BTreeMap;

use clap::CommandFactory;
use image_syncer::cli::Cli;

/// How it is shown that a flag does something.
#[derive(Clone, Copy)]
enum Proof {
    /// By this scenario, for the command that it is given.
    Here(fn(&'static str)),
    /// By a test of its own in this binary, which runs without being called from here.
    Test(fn()),
    /// What it does needs hosts or times that no process in this test has, and is held by tests of the crates; here,
    /// that it is read: this value is refused.
    Read(&'static str),
}

/// The program without a command.
const SYNC: &str = "";
/// Commands that copy.
const COPYING: &[&str] = &[SYNC, "copy"];
/// Commands that say or do what is copied.
const PLANNING: &[&str] = &[SYNC, "copy", "plan"];
/// Commands that ask registries.
const ASKING: &[&str] = &[SYNC, "copy", "plan", "check"];
/// Commands that read both files.
const READING: &[&str] = &[SYNC, "plan", "check", "validate"];
/// Commands that know destinations, or credentials.
const NAMING: &[&str] = &[SYNC, "copy", "plan", "check", "validate"];
/// Commands about records.
const RECORDS: &[&str] = &["records show", "records prune", "records forget"];

/// A flag, the commands that have it, and the proof.
type Entry = (&'static str, &'static [&'static str], Proof);

fn table() -> Vec<Entry> {
    use Proof::{Here, Read, Test};
    let mut table: Vec<Entry> = vec![
        ("images", READING, Here(about::images)),
        ("auth", NAMING, Here(about::auth)),
        ("config", READING, Here(about::config)),
        ("registry", NAMING, Here(about::registry)),
        ("namespace", NAMING, Here(about::namespace)),
        ("insecure", &["copy"], Here(about::insecure_of_copy)),
        ("all-tags", &["copy"], Here(about::all_tags)),
        ("os", ASKING, Here(scenarios::os)),
        ("os", &["validate"], Here(about::platform_of_files)),
        ("arch", ASKING, Here(scenarios::arch)),
        ("arch", &["validate"], Here(about::platform_of_files)),
        ("force", PLANNING, Here(scenarios::force)),
        ("foreign-layers", PLANNING, Here(scenarios::foreign_layers)),
        ("verify", PLANNING, Here(scenarios::verify)),
        ("quiet", &[SYNC, "copy", "check"], Here(scenarios::quiet)),
        // What a plan tells off a terminal is what it was asked for; on one, there is a view to be without.
        (
            "quiet",
            &["plan"],
            Test(crate::terminal::the_view_can_be_declined),
        ),
        ("dry-run", COPYING, Here(scenarios::dry_run)),
        ("output", COPYING, Here(scenarios::output_of_a_dry_run)),
        ("output", &["plan", "check"], Here(scenarios::output)),
        (
            "exit-code",
            COPYING,
            Here(scenarios::exit_code_of_a_dry_run),
        ),
        ("exit-code", &["plan"], Here(scenarios::exit_code)),
        ("failed-images", COPYING, Here(scenarios::failed_images)),
        (
            "output-success-images",
            COPYING,
            Here(scenarios::output_success_images),
        ),
        (
            "output-images-format",
            COPYING,
            Here(scenarios::output_images_format),
        ),
        ("commit-timeout", COPYING, Here(scenarios::commit_timeout)),
        (
            "proc",
            COPYING,
            Test(crate::compat_flags::proc_bounds_the_blobs_that_are_under_way),
        ),
        ("max-rate", COPYING, Read("fast")),
        ("records", RECORDS, Here(about::records)),
        ("older-than", &["records prune"], Here(about::older_than)),
        (
            "out",
            &["man"],
            Test(crate::man_pages::there_is_one_for_each_command),
        ),
        (
            "version",
            &[SYNC],
            Test(crate::help::the_version_is_one_line_on_stdout),
        ),
    ];
    let asking: &[(&str, Proof)] = &[
        ("strip-attestations", Here(scenarios::strip_attestations)),
        ("sparse", Here(scenarios::sparse)),
        ("no-referrers", Here(scenarios::no_referrers)),
        ("referrers", Here(scenarios::referrers)),
        ("referrers-type", Here(scenarios::referrers_type)),
        ("referrers-interval", Here(scenarios::referrers_interval)),
        ("immutable", Here(scenarios::immutable)),
        ("records", Here(scenarios::records)),
        ("no-records", Here(scenarios::no_records)),
        ("retries", Here(scenarios::retries)),
        ("max-requests", Read("many")),
        ("stall-timeout", Here(scenarios::stall_timeout)),
        (
            "grace",
            Test(crate::interruption::what_is_not_done_within_the_grace_period_is_dropped),
        ),
        ("allow-private", Read("http://r.example")),
        ("trust-realm", Read("http://r.example")),
        ("report", Here(scenarios::report)),
        ("log", Here(scenarios::log)),
        ("log-format", Here(scenarios::log_format)),
        ("log-level", Here(scenarios::log_level)),
        ("verbose", Here(scenarios::verbose)),
        ("progress", Test(crate::terminal::the_view_can_be_declined)),
    ];
    table.extend(asking.iter().map(|(flag, proof)| (*flag, ASKING, *proof)));
    table
}

/// Each flag of each command, by the words that name the command; `--help` is of all, and has tests of its own.
fn flags() -> Vec<(String, String)> {
    fn gather(command: &clap::Command, above: &str, flags: &mut Vec<(String, String)>) {
        for arg in command.get_arguments() {
            if let Some(long) = arg.get_long().filter(|long| *long != "help") {
                flags.push((above.to_owned(), long.to_owned()));
            }
        }
        for below in command.get_subcommands() {
            gather(below, format!("{above} {}", below.get_name()).trim(), flags);
        }
    }
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut flags = Vec::new();
    gather(&program, SYNC, &mut flags);
    flags
}

#[test]
fn every_flag_of_every_command_has_one_proof() {
    let mut proofs: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (flag, commands, _) in table() {
        for command in commands {
            *proofs
                .entry(((*command).to_owned(), flag.to_owned()))
                .or_default() += 1;
        }
    }
    for flag in flags() {
        let found = proofs.remove(&flag);
        assert_eq!(
            found,
            Some(1),
            "{flag:?} needs an entry in the table of tests/it/flags"
        );
    }
    assert_eq!(proofs, BTreeMap::new(), "no such flags");
}

/// Carries out all proofs of a command, a few at a time: they wait for processes most of the time.
fn prove(command: &'static str) {
    let mut proofs = table();
    proofs.retain(|(_, commands, _)| commands.contains(&command));
    for some in proofs.chunks(4) {
        std::thread::scope(|scope| {
            for (flag, _, proof) in some {
                scope.spawn(move || match proof {
                    Proof::Here(scenario) => scenario(command),
                    // It is a test like this one.
                    Proof::Test(test) => {
                        let _: fn() = *test;
                    }
                    Proof::Read(wrong) => stage::refuses(command, flag, wrong),
                });
            }
        });
    }
}

#[test]
fn those_of_a_sync_do_something() {
    prove(SYNC);
}

#[test]
fn those_of_copy_do_something() {
    prove("copy");
}

#[test]
fn those_of_plan_do_something() {
    prove("plan");
}

#[test]
fn those_of_check_do_something() {
    prove("check");
}

#[test]
fn those_of_validate_and_records_do_something() {
    for command in ["validate"].iter().chain(RECORDS) {
        prove(command);
    }
}
