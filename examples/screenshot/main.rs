//! Writes `docs/images/`: pictures of the program in a real terminal. `scripts/screenshot` builds the program and calls
//! `screenshot PROGRAM DIRECTORY`.
//!
//! Slow registries run in this process, and the program runs in a separate tmux server. Its screen becomes an SVG with
//! text elements.
#![allow(
    clippy::print_stdout,
    reason = "a small program that a person runs in a terminal"
)]

mod screen;
mod stage;
mod svg;
mod tmux;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use stage::Stage;
use svg::{Frame, Picture};
use tmux::Tmux;

/// Size of the terminal.
const COLUMNS: usize = 120;
const ROWS: usize = 33;
/// Interval between frames of the live view, and their maximum number.
const LIVE_STEP: Duration = Duration::from_millis(800);
const LIVE_FRAMES: usize = 12;
/// Display time of the frames that the viewer reads.
const READ: Duration = Duration::from_secs(6);

const FILES: &str = "--auth auth.yaml --images images.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(program), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("screenshot PROGRAM DIRECTORY".into());
    };
    let stage = Stage::set()?;
    let tmux = Tmux::start(Path::new(&program), stage.directory(), COLUMNS, ROWS)?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;

    let shot = |time| -> Result<Frame, Box<dyn Error>> {
        let lines = screen::read(&stage.with_names(&tmux.capture()?));
        Ok(Frame { lines, time })
    };

    tmux.run(&format!("image-syncer plan {FILES}"))?;
    tmux.wait_for_prompt()?;
    let plan = shot(READ)?;
    let mut frames = vec![plan.clone()];

    tmux.run("clear")?;
    tmux.wait_for_prompt()?;
    stage.slow_down();
    tmux.run(&format!("image-syncer {FILES} --report report.json"))?;
    for _ in 0..LIVE_FRAMES {
        std::thread::sleep(LIVE_STEP);
        if tmux.is_at_prompt()? {
            break;
        }
        frames.push(shot(LIVE_STEP)?);
    }
    tmux.wait_for_prompt()?;
    frames.push(shot(READ)?);

    tmux.run(&format!("image-syncer {FILES}"))?;
    tmux.wait_for_prompt()?;
    frames.push(shot(READ)?);

    for (name, title, frames) in [
        ("plan.svg", "image-syncer plan", vec![plan]),
        ("sync.svg", "image-syncer: plan, sync, sync again", frames),
    ] {
        let path = directory.join(name);
        let picture = Picture {
            title,
            columns: COLUMNS,
            rows: ROWS,
            frames,
        };
        let text = picture.to_string();
        std::fs::write(&path, &text)?;
        println!("{}: {} KiB", path.display(), text.len().div_ceil(1024));
    }
    Ok(())
}
