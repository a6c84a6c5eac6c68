//! Runs a program and measures it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::callgrind::Instructions;
use crate::invocation::Invocation;
use crate::servers::Asked;

/// Measurements of one run of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Wall time, in seconds.
    pub(crate) wall: f64,
    /// CPU time of the program in seconds, in user and kernel mode.
    pub(crate) cpu: f64,
    /// Largest resident memory, in KiB.
    pub(crate) peak: f64,
    /// CPU time of this process in the meantime, in seconds: that of the registries.
    pub(crate) servers: f64,
    /// Instructions outside the kernel, if a tool counted them.
    pub(crate) instructions: Instructions,
    /// Counts of the registries.
    pub(crate) asked: Asked,
}

/// Reason for a missing sample.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It had not ended after this many seconds.
    Stopped(f64),
    /// It cannot do this work.
    Unsupported(String),
    /// It failed.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(seconds) => write!(f, "stopped after {seconds} s"),
            Self::Unsupported(why) => write!(f, "not supported: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Runs a program under `/usr/bin/time`, in `directory`, for at most `limit`. Its environment has only `PATH`, a home
/// of its own in `directory`, and its variables. Its output goes to the file `output` there. If it fails, the error
/// contains the end of that file.
pub(crate) fn run(
    invocation: &Invocation,
    directory: &Path,
    limit: Duration,
) -> Result<Sample, Failure> {
    let told = directory.join("time");
    let output = directory.join("output");
    let file = fs::File::create(&output).map_err(|error| error.to_string())?;
    let copy = file.try_clone().map_err(|error| error.to_string())?;
    let mut command = command(invocation, directory, &told, limit);
    command.stdout(file).stderr(copy);
    let before = own_cpu();
    let start = Instant::now();
    let status = command.status();
    let wall = start.elapsed().as_secs_f64();
    let servers = own_cpu() - before;
    let status = status.map_err(|error| format!("/usr/bin/time does not start: {error}"))?;
    if wall >= limit.as_secs_f64() {
        return Err(Failure::Stopped(limit.as_secs_f64()));
    }
    if !status.success() {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(3)..);
        let last = last.unwrap_or_default().join(" / ");
        return Err(Failure::Failed(format!("{status}: {last}")));
    }
    let [user, system, peak] = times(&told)?;
    Ok(Sample {
        wall,
        cpu: user + system,
        peak,
        servers,
        ..Sample::default()
    })
}

/// Returns the command of a program under `/usr/bin/time`, which writes its figures to the file `times`.
fn command(invocation: &Invocation, directory: &Path, times: &Path, limit: Duration) -> Command {
    let home = directory.display().to_string();
    let mut command = Command::new("/usr/bin/time");
    command
        .args(["-f", "%U %S %M", "-o"])
        .arg(times)
        .args(["timeout", "--signal=KILL"])
        .arg(limit.as_secs().to_string())
        .args(&invocation.arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null());
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
    command
}

/// Reads CPU seconds in user and kernel mode, and the peak memory in KiB.
fn times(path: &Path) -> Result<[f64; 3], Failure> {
    // If the program failed, a line of text comes before the numbers.
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let numbers: Vec<f64> = text
        .lines()
        .last()
        .unwrap_or_default()
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers
        .try_into()
        .map_err(|_| Failure::Failed(format!("/usr/bin/time says {text:?}")))
}

/// Returns the CPU time of this process so far, in seconds, in steps of 10 ms, without its children.
fn own_cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may contain blanks; the two times are the 12th and 13th field after it.
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Returns the seconds from the start of `binary --help` to its end: the median of 21.
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

/// Returns the median.
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

/// Returns the median of each number over several runs. The counts of kinds are those of the last run.
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
        servers: of(|s| s.servers),
        instructions: last.instructions,
        asked: Asked {
            requests: count(|a| a.requests),
            fetched: count(|a| a.fetched),
            sent: count(|a| a.sent),
            refused: count(|a| a.refused),
            accepted: count(|a| a.accepted),
            kinds: last.asked.kinds.clone(),
        },
    })
}
