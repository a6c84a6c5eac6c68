//! The live view in a terminal, during a run and at its end.

use std::os::unix::process::CommandExt;
use std::process::Command;

use testkit::{Action, Fault, Gate, Image, Kind, Layer};

use crate::support::program::normalised;
use crate::support::terminal::{Ended, Terminal};
use crate::support::{PATIENCE, World, image};

/// Returns a source, a destination, and a rule that copies all tags of `team/app`.
fn world() -> World {
    let world = World::new("SRC/team/app: DST/mirror/app\n");
    World {
        place: world.place.variable("TERM", "xterm-256color"),
        ..world
    }
}

/// Returns a world with an image whose layer of 10 MiB stalls after 4 MiB.
fn stalled() -> World {
    let layer = Layer::synthetic(10 << 20, 1);
    let large = layer.blob().digest().to_owned();
    let world = world().with("team/app", "v1", &Image::single([layer]));
    let fault = Fault::on(Kind::BlobGet).reference(&large);
    let action = Action::StallResponse { after: 4 << 20 };
    world.source.fault(fault, action);
    world
}

/// Returns a world with an image whose manifest the destination holds until the gate opens.
fn held() -> (World, Gate) {
    let (world, gate) = (world().with("team/app", "v1", &image("1")), Gate::new());
    let fault = Fault::on(Kind::ManifestPut);
    world.destination.fault(fault, Action::Hold(gate.clone()));
    (world, gate)
}

fn command(world: &World, arguments: &[&str]) -> Command {
    world.command(&[&["--no-referrers"], arguments].concat())
}

fn start(world: &World, arguments: &[&str], columns: u16) -> Terminal {
    Terminal::start(command(world, arguments), columns, 24)
}

/// Returns the screen without differences between runs.
fn without_differences(world: &World, screen: &str) -> String {
    let (from, to) = (world.source.host(), world.destination.host());
    // A slow machine may already show it.
    let left = regex::Regex::new("  (under )?[0-9][0-9a-z ]* left").unwrap();
    normalised(
        &left.replace_all(screen, ""),
        &[(&from, "source.example:5000"), (&to, "destination.example")],
    )
}

/// Ends a run that cannot go on.
fn abandon(terminal: Terminal) -> Ended {
    terminal.signal("-INT");
    terminal.shows("ending: ");
    terminal.signal("-INT");
    let ended = terminal.ends();
    assert_eq!(ended.code, 130, "{}", ended.screen);
    assert_vanished(&ended);
    ended
}

/// Asserts that nothing of the live view is left.
#[track_caller]
fn assert_vanished(ended: &Ended) {
    for line in ended.screen.lines() {
        assert!(
            !line.starts_with("images ") && !line.starts_with("bytes ") && !line.contains('━'),
            "{}",
            ended.screen
        );
    }
    let last = "\x1b[?2026l";
    let rest = ended.raw.rsplit(last).next().unwrap();
    assert!(
        !rest.contains('\x1b') || rest.contains("\x1b[0m"),
        "{rest:?}"
    );
}

#[test]
fn transfers_are_shown_at_any_width() {
    for columns in [40, 80, 200] {
        let world = stalled();
        let terminal = start(&world, &[], columns);
        // Until only the stalled transfer is left.
        let still =
            |screen: &str| screen.contains("4.0 MiB of 10.0 MiB") && screen.contains("40 %");
        let screen =
            terminal.until(|screen| still(screen) && (columns == 40 || screen.contains("avg ")));
        insta::assert_snapshot!(
            format!("under_way_at_{columns}"),
            without_differences(&world, &screen)
        );
        abandon(terminal);
    }
}

#[test]
fn the_view_follows_the_size_of_the_terminal() {
    let world = stalled();
    let terminal = start(&world, &[], 120);
    terminal.shows("4.0 MiB of 10.0 MiB");
    for columns in [40, 200, 70] {
        terminal.resize(columns, 20);
        let bar = columns > 40;
        terminal.until(|screen| {
            let widest = screen.lines().map(|line| line.chars().count()).max();
            let line = screen.lines().find(|line| line.starts_with("images"));
            widest < Some(usize::from(columns))
                && line.is_some_and(|line| line.contains('─') == bar)
                && screen.lines().count() == 4
        });
    }
    abandon(terminal);
}

#[test]
fn a_rate_limit_is_shown_with_the_host_and_the_seconds_left() {
    let world = world();
    world.source.push("team/app", Some("v1"), &image("1"));
    let fault = Fault::on(Kind::ManifestGet).times(1);
    world.source.fault(fault, Action::too_many_requests(120));
    let terminal = start(&world, &[], 100);
    let screen = terminal.shows(": rate limit, continues in ");
    let host = world.source.host();
    let line = screen
        .lines()
        .find(|line| line.contains("rate limit, continues in"));
    let seconds = line
        .unwrap()
        .trim_start_matches(&format!("{host}: rate limit, continues in "));
    let seconds: u64 = seconds.trim_end_matches(" s").parse().unwrap();
    assert!((60..=150).contains(&seconds), "{screen}");
    // The seconds count down.
    terminal.until(|screen| {
        !screen.contains(line.unwrap()) && screen.contains("rate limit, continues")
    });
    // No transfer is left to wait for.
    terminal.signal("-INT");
    let ended = terminal.ends();
    assert_eq!(ended.code, 130, "{}", ended.screen);
    assert_vanished(&ended);
}

#[test]
fn an_interrupted_run_shows_what_it_waits_for_and_prints_a_summary() {
    let (world, gate) = held();
    let terminal = start(&world, &[], 100);
    gate.wait(1, PATIENCE).unwrap();
    terminal.shows("0 of 1");
    terminal.signal("-INT");
    terminal.until(|screen| {
        let end = "ending: waiting for 1 image, at most 2";
        screen
            .lines()
            .any(|line| line.starts_with(end) && line.ends_with(" s"))
    });
    gate.open();
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert_vanished(&ended);
    insta::assert_snapshot!(
        "interrupted_in_time",
        without_differences(&world, &ended.screen)
    );
}

#[test]
fn ctrl_z_leaves_a_clean_screen_and_fg_restores_the_view() {
    let world = stalled();
    let mut command = command(&world, &[]);
    // Like a shell with job control: in its own process group, different from that of the session leader.
    command.process_group(0);
    let terminal = Terminal::start(command, 80, 24);
    terminal.shows("━");
    terminal.signal("-TSTP");
    terminal.stops();
    let screen = terminal.until(|screen| !screen.contains('━'));
    assert_eq!(screen.trim(), "", "the view is left behind");
    terminal.signal("-CONT");
    terminal.shows("━");
    abandon(terminal);
}

#[test]
fn ctrl_z_has_no_effect_without_job_control() {
    testkit::needs!("setsid");
    let world = stalled();
    let program = command(&world, &[]);
    // A session leader, like the main process of a container: no shell could continue it.
    let mut leader = Command::new("setsid");
    leader.arg(program.get_program()).args(program.get_args());
    leader.env_clear().stdin(std::process::Stdio::null());
    leader.envs(
        program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    leader.current_dir(program.get_current_dir().unwrap());
    let terminal = Terminal::start(leader, 80, 24);
    terminal.shows("4.0 MiB of 10.0 MiB");
    terminal.signal("-TSTP");
    // A stopped process would not follow the new size.
    for columns in [70, 60] {
        terminal.resize(columns, 24);
        terminal.shows("4.0 MiB of 10.0 MiB");
    }
    abandon(terminal);
}

#[test]
fn failures_remain_on_the_screen_at_any_width() {
    for columns in [40, 80, 200] {
        let world = world();
        world.source.push("team/app", Some("v1"), &image("1"));
        world
            .source
            .state()
            .tag("team/app", "v2", image("never pushed").digest());
        let ended = start(&world, &["--proc", "1"], columns).ends();
        assert_eq!(ended.code, 1, "{}", ended.screen);
        assert_vanished(&ended);
        // A line that the terminal wraps is one line in the output.
        let failed = format!(
            "{}/team/app:v2 → {}/mirror/app:v2",
            world.source.host(),
            world.destination.host()
        );
        assert!(ended.raw.contains(&failed), "{}", ended.raw);
        assert!(
            ended.raw.contains("2 images: 1 copied, 0 unchanged"),
            "{}",
            ended.raw
        );
    }
}

#[test]
fn all_lines_scroll_above_the_view() {
    let (world, gate) = held();
    for number in 2..=60 {
        world.source.push(
            "team/app",
            Some(&format!("v{number}")),
            &image(&number.to_string()),
        );
    }
    let terminal = Terminal::start(command(&world, &[]), 150, 100);
    gate.wait(60, PATIENCE).unwrap();
    terminal.shows("0 of 60");
    gate.open();
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert_vanished(&ended);
    let copied = ended
        .screen
        .lines()
        .filter(|line| line.starts_with("copied      "));
    assert_eq!(copied.count(), 60, "{}", ended.screen);
    assert!(
        ended.screen.contains("60 images: 60 copied, 0 unchanged"),
        "{}",
        ended.screen
    );
}

#[test]
fn colours_depend_on_the_terminal() {
    let coloured = |variables: &[(&str, &str)]| {
        let (mut world, gate) = held();
        for (name, value) in variables {
            world.place = world.place.variable(name, value);
        }
        let terminal = start(&world, &[], 100);
        gate.wait(1, PATIENCE).unwrap();
        if variables.iter().all(|(name, _)| *name == "NO_COLOR") {
            terminal.shows("0 of 1");
        }
        gate.open();
        let ended = terminal.ends();
        assert_eq!(ended.code, 0);
        ended.raw
    };
    let is_painted = |raw: &str| regex::Regex::new("\x1b\\[[0-9]+m").unwrap().is_match(raw);
    assert!(is_painted(&coloured(&[])));
    let plain = coloured(&[("NO_COLOR", "1")]);
    assert!(!is_painted(&plain) && plain.contains("\x1b["));
    // A terminal that knows no escape sequences gets none, and no view.
    let dumb = coloured(&[("TERM", "dumb")]);
    assert!(
        !dumb.contains('\x1b') && dumb.starts_with("copied "),
        "{dumb}"
    );
}

#[test]
pub(crate) fn the_view_can_be_turned_off() {
    for (arguments, lines) in [
        (&["--progress", "plain"][..], true),
        (&["--progress=none"], true),
        (&["--quiet"], false),
    ] {
        let (world, gate) = held();
        let terminal = start(&world, arguments, 100);
        gate.wait(1, PATIENCE).unwrap();
        gate.open();
        let ended = terminal.ends();
        assert_eq!(ended.code, 0);
        assert!(
            !ended.raw.contains("\x1b[?2026h"),
            "{arguments:?}: {:?}",
            ended.raw
        );
        assert_eq!(ended.screen.contains("copied "), lines, "{}", ended.screen);
        assert_eq!(
            ended.screen.contains("1 image: 1 copied"),
            lines,
            "{}",
            ended.screen
        );
    }
    let (world, gate) = held();
    gate.open();
    let outcome =
        crate::support::Outcome::of(command(&world, &["--progress", "auto"]).output().unwrap());
    outcome
        .exits(0)
        .does_not_say("\x1b")
        .says("1 image: 1 copied");
    let outcome =
        crate::support::Outcome::of(command(&world, &["--progress", "fancy"]).output().unwrap());
    outcome
        .exits(2)
        .says("--progress fancy: there is no such value. Write auto or plain or none.");
}
