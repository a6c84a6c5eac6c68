//! Every flag of every command has an effect: for each there is a scenario that shows a difference with and without it.
//! The table is compared with clap's description of the arguments, so a flag without a scenario fails.

mod about;
mod archives;
mod scenarios;
mod stage;

use std::collections::BTreeMap;

use clap::CommandFactory;
use image_syncer::cli::Cli;

/// Proof that a flag has an effect.
#[derive(Clone, Copy)]
enum Proof {
    /// This scenario, for the given command.
    Here(fn(&'static str)),
    /// A separate test of this binary, which is not called from here.
    Test(fn()),
    /// The effect needs hosts or times that this test cannot provide; tests of the crates cover it. This test checks
    /// that the flag is parsed: this value is refused.
    Read(&'static str),
}

/// The program without a command.
const SYNC: &str = "";
/// Commands that copy.
const COPYING: &[&str] = &[SYNC, "copy"];
/// Commands that send blobs.
const SENDING: &[&str] = &[SYNC, "copy", "serve"];
/// Commands that copy, or plan copies.
const PLANNING: &[&str] = &[SYNC, "copy", "plan", "serve"];
/// Commands that send requests to registries.
const ASKING: &[&str] = &[SYNC, "copy", "plan", "check", "serve"];
/// Commands of which each call is one run, with its output.
const RUNNING: &[&str] = &[SYNC, "copy", "plan", "check"];
/// Commands that read both files.
const READING: &[&str] = &[SYNC, "plan", "check", "validate", "convert"];
/// Commands with destinations or credentials.
const NAMING: &[&str] = &[SYNC, "copy", "plan", "check", "validate", "convert"];
/// Commands about records.
const RECORDS: &[&str] = &["records show", "records prune", "records forget"];

/// Commands about tags.
const TAGS: &[&str] = &["tags"];

/// A flag, the commands that have it, and the proof.
type Entry = (&'static str, &'static [&'static str], Proof);

fn table() -> Vec<Entry> {
    use Proof::{Here, Test};
    let mut table: Vec<Entry> = vec![
        ("images", READING, Here(about::images)),
        ("auth", NAMING, Here(about::auth)),
        ("config", READING, Here(about::config)),
        (
            "rule",
            &[SYNC, "plan", "check", "validate"],
            Here(about::rule),
        ),
        ("registry", NAMING, Here(about::registry)),
        ("namespace", NAMING, Here(about::namespace)),
        ("insecure", &["copy"], Here(about::insecure_of_copy)),
        (
            "config",
            &["copy"],
            Test(crate::registries::copy_takes_the_registries_of_a_file_alone),
        ),
        ("all-tags", &["copy"], Here(about::all_tags)),
        (
            "to",
            &["copy"],
            Test(crate::copy_command::several_sources_go_below_one_destination),
        ),
        ("os", ASKING, Here(scenarios::os)),
        ("os", &["validate"], Here(about::platform_of_files)),
        ("arch", ASKING, Here(scenarios::arch)),
        ("arch", &["validate"], Here(about::platform_of_files)),
        ("force", PLANNING, Here(scenarios::force)),
        ("foreign-layers", PLANNING, Here(scenarios::foreign_layers)),
        ("verify", PLANNING, Here(scenarios::verify)),
        ("quiet", &[SYNC, "copy", "check"], Here(scenarios::quiet)),
        // Outside a terminal, a plan has no live view that the flag could turn off.
        (
            "quiet",
            &["plan"],
            Test(crate::terminal::the_view_can_be_turned_off),
        ),
        ("records", RECORDS, Here(about::records)),
        ("older-than", &["records prune"], Here(about::older_than)),
        (
            "out",
            &["man"],
            Test(crate::man_pages::each_command_has_a_page),
        ),
        (
            "list",
            &["validate"],
            Test(crate::native::commands::a_listed_file_shows_repositories_tags_and_destinations),
        ),
        (
            "version",
            &[SYNC],
            Test(crate::help::the_version_is_one_line_on_stdout),
        ),
    ];
    table.extend(copying());
    table.extend(tags());
    table.extend(shards());
    #[cfg(feature = "share")]
    table.extend(sharing());
    table.extend(showing());
    table.extend(
        asking()
            .into_iter()
            .map(|(flag, proof)| (flag, ASKING, proof)),
    );
    table
}

fn tags() -> Vec<Entry> {
    use Proof::{Read, Test};
    vec![
        (
            "auth",
            TAGS,
            Test(crate::tags_command::a_list_of_names_has_a_line_for_each_tag),
        ),
        (
            "insecure",
            TAGS,
            Test(crate::tags_command::a_list_of_names_has_a_line_for_each_tag),
        ),
        (
            "output",
            TAGS,
            Test(crate::tags_command::a_list_of_names_has_a_line_for_each_tag),
        ),
        (
            "long",
            TAGS,
            Test(crate::tags_command::platforms_and_sizes_are_read_once_for_all_tags),
        ),
        (
            "temp",
            TAGS,
            Test(crate::tags_command::archives::standard_input_is_unpacked_where_the_flag_says),
        ),
        (
            "partial",
            TAGS,
            Test(crate::tags_command::archives::a_truncated_archive_is_listed_as_far_as_it_goes),
        ),
        (
            "names",
            TAGS,
            Test(crate::tags_command::names_need_no_request_for_each_tag),
        ),
        (
            "images",
            TAGS,
            Test(crate::native::commands::the_tags_of_a_rule_are_explained),
        ),
        (
            "config",
            TAGS,
            Test(crate::native::commands::the_tags_of_a_rule_are_explained),
        ),
        (
            "rule",
            TAGS,
            Test(crate::native::commands::the_tags_of_a_rule_are_explained),
        ),
        ("allow-private", TAGS, Read("http://r.example")),
        ("trust-realm", TAGS, Read("http://r.example")),
    ]
}

/// Flags of runs that several processes share.
fn shards() -> Vec<Entry> {
    use Proof::Test;
    vec![
        (
            "shard",
            &[SYNC, "plan", "check"],
            Test(crate::shards::runs::shards_of_a_plan_and_a_check_divide_its_lines),
        ),
        (
            "shard-weights",
            &[SYNC, "plan", "check"],
            Test(crate::shards::runs::weights_of_a_report_divide_a_large_repository),
        ),
        (
            "output",
            &["report merge"],
            Test(crate::shards::reports::a_report_is_merged_to_a_file_or_to_stdout),
        ),
        (
            "exit-code",
            &["report merge"],
            Test(crate::shards::reports::the_worst_exit_code_is_in_the_report_and_on_request_that_of_the_command),
        ),
    ]
}

/// Flags of runs that workers share, and of workers.
#[cfg(feature = "share")]
fn sharing() -> Vec<Entry> {
    use Proof::{Read, Test};
    const WORK: &[&str] = &["work"];
    let server = Test(crate::sharing::a_worker_takes_the_server_of_its_file);
    let rules = Test(crate::sharing::flags_of_a_worker_choose_its_rules);
    let classic = Test(crate::sharing::a_worker_reads_classic_files_with_default_destinations);
    let lines = Test(crate::sharing::the_lines_and_the_log_of_a_worker_follow_their_flags);
    let report =
        Test(crate::sharing::the_report_of_a_shared_run_is_that_of_the_process_that_began_it);
    let mut table = vec![
        ("share", &[SYNC, "report"][..], report),
        ("run", &["report"], report),
        ("output", &["report"], report),
        ("share", WORK, server),
        ("idle", WORK, server),
        #[cfg(feature = "service")]
        (
            "metrics",
            WORK,
            Test(crate::metrics::file::a_worker_writes_what_it_did),
        ),
        ("config", WORK, server),
        ("share-timeout", &[SYNC, "work", "serve"], Read("soon")),
        #[cfg(feature = "service")]
        (
            "share",
            &["serve"],
            Test(crate::sharing::a_service_takes_the_server_of_its_flag),
        ),
    ];
    let of = |flags: &[&'static str], proof| {
        let flags = flags.iter();
        flags.map(|flag| (*flag, WORK, proof)).collect::<Vec<_>>()
    };
    table.extend(of(&["images", "auth", "registry", "namespace"], classic));
    table.extend(of(
        &[
            "rule",
            "os",
            "arch",
            "strip-attestations",
            "sparse",
            "no-referrers",
            "referrers",
            "referrers-type",
            "referrers-interval",
            "immutable",
            "conflict",
            "force",
            "verify",
            "foreign-layers",
            "temp",
            "partial",
        ],
        rules,
    ));
    table.extend(of(
        &[
            "log",
            "log-format",
            "verbose",
            "quiet",
            "records",
            "no-records",
        ],
        lines,
    ));
    let numbers = [
        "retries",
        "max-requests",
        "stall-timeout",
        "grace",
        "proc",
        "max-rate",
        "commit-timeout",
        "listing",
        "log-level",
    ];
    table.extend(of(&numbers, Read("soon")));
    let hosts = ["allow-private", "trust-realm"];
    table.extend(of(&hosts, Read("http://r.example")));
    table
}

/// Flags of commands that copy or plan copies: output, limits, and files for other programs.
fn copying() -> Vec<Entry> {
    use Proof::{Here, Read, Test};
    vec![
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
        ("commit-timeout", &["serve"], Read("soon")),
        (
            "proc",
            SENDING,
            Test(crate::compat_flags::proc_limits_the_blobs_in_flight),
        ),
        ("max-rate", SENDING, Read("fast")),
    ]
}

/// Flags of all commands that send requests to registries.
fn asking() -> Vec<(&'static str, Proof)> {
    use Proof::{Here, Read, Test};
    vec![
        ("strip-attestations", Here(scenarios::strip_attestations)),
        ("sparse", Here(scenarios::sparse)),
        ("no-referrers", Here(scenarios::no_referrers)),
        ("referrers", Here(scenarios::referrers)),
        ("referrers-type", Here(scenarios::referrers_type)),
        ("referrers-interval", Here(scenarios::referrers_interval)),
        ("immutable", Here(scenarios::immutable)),
        ("conflict", Here(scenarios::conflict)),
        ("records", Here(scenarios::records)),
        ("no-records", Here(scenarios::no_records)),
        ("retries", Here(scenarios::retries)),
        ("max-requests", Read("many")),
        ("listing", Here(scenarios::listing)),
        ("temp", Here(archives::temp)),
        ("partial", Here(archives::partial)),
        (
            "grace",
            Test(crate::interruption::images_are_aborted_after_the_grace_period),
        ),
        ("allow-private", Read("http://r.example")),
        ("trust-realm", Read("http://r.example")),
    ]
}

/// Flags for the output of commands that send requests to registries.
fn showing() -> Vec<Entry> {
    use Proof::{Here, Test};
    let mut table: Vec<Entry> = vec![
        ("stall-timeout", RUNNING, Here(scenarios::stall_timeout)),
        ("stall-timeout", &["serve"], Proof::Read("soon")),
        ("report", RUNNING, Here(scenarios::report)),
        #[cfg(feature = "service")]
        (
            "metrics",
            RUNNING,
            Test(crate::metrics::file::a_run_writes_its_results_for_each_rule_and_registry),
        ),
        ("log", RUNNING, Here(scenarios::log)),
        ("log-format", RUNNING, Here(scenarios::log_format)),
        ("log-level", RUNNING, Here(scenarios::log_level)),
        ("verbose", RUNNING, Here(scenarios::verbose)),
        (
            "progress",
            RUNNING,
            Test(crate::terminal::the_view_can_be_turned_off),
        ),
    ];
    for flag in ["log", "log-format", "log-level", "verbose", "quiet"] {
        let proof = Test(crate::service::flags::the_log_and_the_lines_follow_their_flags);
        table.push((flag, &["serve"], proof));
    }
    for flag in ["images", "auth", "config", "rule", "registry", "namespace"] {
        let proof = Test(crate::service::flags::flags_of_the_files_choose_the_rules);
        table.push((flag, &["serve"], proof));
    }
    for flag in ["listen", "state", "sync-at-start", "no-page"] {
        let proof = Test(crate::service::flags::flags_of_the_service_have_an_effect);
        table.push((flag, &["serve"], proof));
    }
    table.extend(history());
    table
}

/// Flags of `history`.
fn history() -> Vec<Entry> {
    const LISTS: &[&str] = &["history", "history list"];
    let list = Proof::Test(crate::history::runs_are_listed_by_rule_and_outcome);
    let show = Proof::Test(crate::history::a_run_is_shown_with_its_failures_and_their_remedy);
    let find = Proof::Test(crate::history::a_digest_and_a_tag_are_found_with_their_past);
    let flags = ["rule", "outcome", "limit"].into_iter();
    let mut table: Vec<Entry> = flags.map(|flag| (flag, LISTS, list)).collect();
    for flag in ["output", "state"] {
        table.push((flag, LISTS, list));
        table.push((flag, &["history show"], show));
        table.push((flag, &["history where"], find));
    }
    table
}

/// Returns each flag of each command, by the words that name the command, without `--help`, which has its own tests.
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

/// Runs all proofs of a command, a few at a time, since they mostly wait for processes.
fn prove(command: &'static str) {
    let mut proofs = table();
    proofs.retain(|(_, commands, _)| commands.contains(&command));
    for some in proofs.chunks(4) {
        std::thread::scope(|scope| {
            for (flag, _, proof) in some {
                scope.spawn(move || match proof {
                    Proof::Here(scenario) => scenario(command),
                    // The test harness runs it.
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
fn flags_of_a_sync_have_an_effect() {
    prove(SYNC);
}

#[test]
fn flags_of_copy_have_an_effect() {
    prove("copy");
}

#[test]
fn flags_of_plan_have_an_effect() {
    prove("plan");
}

#[test]
fn flags_of_check_have_an_effect() {
    prove("check");
}

#[test]
fn flags_of_other_commands_have_an_effect() {
    for command in ["validate", "convert", "tags", "serve", "work"]
        .iter()
        .chain(RECORDS)
    {
        prove(command);
    }
}
