//! Runs a program and takes its measure.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::servers::Asked;

/// What one run of a program took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Wall time, in seconds.
    pub(crate) wall: f64,
    /// CPU time of the program, in seconds, in its own code and in the kernel.
    pub(crate) cpu: f64,
    /// Largest resident memory, in KiB.
    pub(crate) peak: f64,
    /// What the registries counted.
    pub(crate) asked: Asked,
}

/// A program with its arguments and environment.
pub(crate) struct Invocation {
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// Runs a program under `/usr/bin/time`, in `directory`, for `limit` at most. It sees no environment but `PATH`, a home of
/// its own in `directory`, and its variables. What it says goes to the file `output` there, of which the end is told
/// where it fails.
pub(crate) fn run(
    invocation: &Invocation,
    directory: &Path,
    limit: Duration,
) -> Result<Sample, String> {
    let told = directory.join("time");
    let output = directory.join("output");
    let file = fs::File::create(&output).map_err(|error| error.to_string())?;
    let copy = file.try_clone().map_err(|error| error.to_string())?;
    let home = directory.display().to_string();
    let mut command = Command::new("/usr/bin/time");
    command
        .args(["-f", "%U %S %M", "-o"])
        .arg(&told)
        .args(["timeout", "--signal=KILL"])
        .arg(limit.as_secs().to_string())
        .args(&invocation.arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy);
    for name in [
        "HOME",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ] {
        command.env(name, &home);
    }
    for (name, value) in &invocation.variables {
        command.env(name, value);
    }
    let start = Instant::now();
    let status = command.status();
    let wall = start.elapsed().as_secs_f64();
    let status = status.map_err(|error| format!("/usr/bin/time does not start: {error}"))?;
    if wall >= limit.as_secs_f64() {
        return Err(format!("stopped after {} s", limit.as_secs()));
    }
    if !status.success() {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(3)..);
        return Err(format!(
            "{status}: {}",
            last.unwrap_or_default().join(" / ")
        ));
    }
    // Where the program failed, a line of words stands before the numbers.
    let text = fs::read_to_string(&told).map_err(|error| error.to_string())?;
    let numbers: Vec<f64> = text
        .lines()
        .last()
        .unwrap_or_default()
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let [user, system, peak] = numbers[..] else {
        return Err(format!("/usr/bin/time says {text:?}"));
    };
    Ok(Sample {
        wall,
        cpu: user + system,
        peak,
        asked: Asked::default(),
    })
}

/// Seconds from the start of `binary --help` to its end: the median of 21.
pub(crate) fn help(binary: &Path) -> Result<f64, String> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let start = Instant::now();
        let status = Command::new(binary)
            .arg("--help")
            .stdout(Stdio::null())
            .status()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        times.push(start.elapsed().as_secs_f64());
        if !status.success() {
            return Err(format!("--help: {status}"));
        }
    }
    Ok(median(times))
}

/// The median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(value)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*below, *value)
        }
        (_, Some(value)) => *value,
        _ => f64::NAN,
    }
}

/// What several runs took: the median of each number. The counts of kinds are those of the last run.
pub(crate) fn medians(samples: &[Sample]) -> Option<Sample> {
    let last = samples.last()?;
    let of = |number: fn(&Sample) -> f64| median(samples.iter().map(number).collect());
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts are far below 2^52"
    )]
    let count = |number: fn(&Asked) -> u64| {
        median(samples.iter().map(|s| number(&s.asked) as f64).collect()).round() as u64
    };
    Some(Sample {
        wall: of(|s| s.wall),
        cpu: of(|s| s.cpu),
        peak: of(|s| s.peak),
        asked: Asked {
            requests: count(|a| a.requests),
            fetched: count(|a| a.fetched),
            sent: count(|a| a.sent),
            kinds: last.asked.kinds.clone(),
        },
    })
}
