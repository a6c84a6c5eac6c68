//! Instructions for each unit of work, counted by callgrind: repeatable on a busy machine, where seconds are not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::callgrind::Instructions as Counts;
use crate::figures::as_f64;
use crate::measure::{self, Failure};
use crate::peers::Contender;
use crate::providers::Provider;
use crate::run::{Tool, run};
use crate::workloads::{MIB, PLAIN, Shape, Workload, layers_of, small, unchanged};

/// A unit of work.
struct Unit {
    /// Name for `--only`.
    name: &'static str,
    /// Description for tables.
    title: &'static str,
    program: Program,
    /// The same work with fewer units. Its instructions are subtracted, so that the start of the program does not count.
    less: Option<Workload>,
    more: Workload,
    /// Number of units in `more` that `less` lacks.
    units: f64,
}

#[derive(PartialEq, Eq)]
enum Program {
    Ours,
    Relay,
}

const UNITS: &[Unit] = &[
    Unit {
        name: "start",
        title: "a run with one unchanged tag",
        program: Program::Ours,
        less: None,
        more: Workload {
            fill: || unchanged(1, 1, false),
            ..PLAIN
        },
        units: 1.0,
    },
    Unit {
        name: "unchanged",
        title: "an unchanged tag (1,000 and 2,000 in 50 repositories, half of them indexes)",
        program: Program::Ours,
        less: Some(Workload {
            fill: || unchanged(50, 20, true),
            ..PLAIN
        }),
        more: Workload {
            fill: || unchanged(50, 40, true),
            ..PLAIN
        },
        units: 1000.0,
    },
    Unit {
        name: "referrers",
        title: "the same, the source has the referrers API",
        program: Program::Ours,
        less: Some(Workload {
            referrers: true,
            fill: || unchanged(50, 20, true),
            ..PLAIN
        }),
        more: Workload {
            referrers: true,
            fill: || unchanged(50, 40, true),
            ..PLAIN
        },
        units: 1000.0,
    },
    Unit {
        name: "small",
        title: "a new image of 6 layers of 64 KiB, 4 of them shared (100 and 200 in 10 repositories)",
        program: Program::Ours,
        less: Some(Workload {
            fill: || small(10, 10),
            ..PLAIN
        }),
        more: Workload {
            fill: || small(10, 20),
            ..PLAIN
        },
        units: 100.0,
    },
    Unit {
        name: "gib",
        title: "a GiB (64 and 192 MiB in layers of 32 MiB)",
        program: Program::Ours,
        less: Some(LESS_BYTES),
        more: MORE_BYTES,
        units: 0.125,
    },
    Unit {
        name: "relay",
        title: "a GiB through the bare relay",
        program: Program::Relay,
        less: Some(LESS_BYTES),
        more: MORE_BYTES,
        units: 0.125,
    },
];

// The layers are too small for a download in ranges, which depends on the speed.
const LESS_BYTES: Workload = Workload {
    relay: Some(Shape::Together),
    fill: || layers_of(2, 32 * MIB),
    ..PLAIN
};
const MORE_BYTES: Workload = Workload {
    fill: || layers_of(6, 32 * MIB),
    ..LESS_BYTES
};

/// The counts of all wanted units.
pub(crate) struct Instructions {
    /// The binary, and the one that it is compared with.
    binaries: Vec<PathBuf>,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    title: &'static str,
    /// The counts of each binary; a single one for the relay.
    counts: Vec<Count>,
}

/// Instructions for one unit.
#[derive(Clone, Copy)]
struct Count {
    all: f64,
    /// Instructions outside ciphers and hashes; `None` if the binary has no symbols.
    rest: Option<f64>,
}

/// The lines of `--list`.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    UNITS.iter().map(|unit| (unit.name, unit.title))
}

/// Counts the wanted units, `runs` times each, for every binary, and prints each row.
pub(crate) fn count(
    binaries: Vec<PathBuf>,
    wanted: &dyn Fn(&str) -> bool,
    provider: Provider,
    runs: usize,
    limit: u64,
) -> Result<Instructions, String> {
    let there = Command::new("valgrind").arg("--version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        return Err("valgrind does not start: apt-get install valgrind".to_owned());
    }
    let mut rows = Vec::new();
    for unit in UNITS.iter().filter(|unit| wanted(unit.name)) {
        let contenders = match unit.program {
            Program::Ours => binaries.iter().cloned().map(Contender::Ours).collect(),
            Program::Relay => vec![Contender::Relay(provider)],
        };
        let counts = contenders
            .iter()
            .map(|contender| unit.count(contender, runs, limit))
            .collect::<Result<_, _>>()
            .map_err(|why| format!("{}: {why}", unit.name))?;
        let row = Row {
            name: unit.name,
            title: unit.title,
            counts,
        };
        println!("{:<10} {}: {}", row.name, row.title, row.cells().join("  "));
        rows.push(row);
    }
    Ok(Instructions { binaries, rows })
}

impl Unit {
    /// Returns the medians of the instructions for one unit.
    fn count(&self, contender: &Contender, runs: usize, limit: u64) -> Result<Count, Failure> {
        let count = |workload: &Workload| {
            let content = (workload.fill)();
            let sample = run(contender, workload, &content, limit, Tool::Callgrind)?;
            Ok::<_, Failure>(sample.instructions)
        };
        let (mut all, mut rest) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let less = self.less.as_ref().map_or(Ok(Counts::default()), count)?;
            let more = count(&self.more)?;
            let of_unit =
                |part: fn(&Counts) -> u64| (as_f64(part(&more)) - as_f64(part(&less))) / self.units;
            all.push(of_unit(|counts| counts.all));
            if more.cryptography > 0 {
                rest.push(of_unit(|counts| counts.all - counts.cryptography));
            }
        }
        Ok(Count {
            all: measure::median(all),
            rest: (!rest.is_empty()).then(|| measure::median(rest)),
        })
    }
}

impl Row {
    /// Returns the cells for each binary, and the ratios of the first two.
    fn cells(&self) -> Vec<String> {
        let cells = self.counts.iter().flat_map(|count| {
            let rest = count.rest.map_or(String::new(), millions);
            [millions(count.all), rest]
        });
        let mut cells: Vec<String> = cells.collect();
        if let [ours, other] = self.counts[..] {
            cells.push(format!("{:.3}", ours.all / other.all));
            let rest = ours.rest.zip(other.rest);
            cells.push(rest.map_or(String::new(), |(a, b)| format!("{:.3}", a / b)));
        }
        cells
    }
}

/// Formats millions with three significant digits or more.
fn millions(count: f64) -> String {
    let millions = count / 1e6;
    let decimals = if millions < 10.0 {
        3
    } else {
        usize::from(millions < 100.0)
    };
    format!("{millions:.decimals$} M")
}

impl Instructions {
    /// Returns the Markdown table.
    pub(crate) fn markdown(&self) -> String {
        let mut titles = vec!["instructions", "without ciphers and hashes"];
        if self.binaries.len() == 2 {
            titles.extend(["compared with", "without them", "ratio", "without them"]);
        }
        let lines = "|--:".repeat(titles.len());
        let mut text = format!("| | {} |\n|---{lines}|\n", titles.join(" | "));
        for row in &self.rows {
            let mut cells = row.cells();
            cells.resize(titles.len(), String::new());
            let _ = writeln!(text, "| {} | {} |", row.title, cells.join(" | "));
        }
        text
    }

    /// Returns the counts as numbers.
    pub(crate) fn json(&self) -> Value {
        let path = |binary: &PathBuf| Path::display(binary).to_string();
        let rows = self.rows.iter().map(|row| {
            let all: Vec<f64> = row.counts.iter().map(|count| count.all).collect();
            let rest: Vec<Option<f64>> = row.counts.iter().map(|count| count.rest).collect();
            json!({
                "name": row.name, "title": row.title,
                "instructions": all, "without_cryptography": rest,
            })
        });
        json!({
            "binaries": self.binaries.iter().map(path).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(counts: &[(f64, Option<f64>)]) -> Row {
        let counts = counts.iter().map(|&(all, rest)| Count { all, rest });
        Row {
            name: "unchanged",
            title: "a tag",
            counts: counts.collect(),
        }
    }

    #[test]
    fn a_second_binary_adds_columns_and_ratios() {
        let one = Instructions {
            binaries: vec!["a".into()],
            rows: vec![row(&[(612_345.0, Some(400_000.0))])],
        };
        assert_eq!(
            one.markdown(),
            "| | instructions | without ciphers and hashes |\n|---|--:|--:|\n| a tag | 0.612 M | 0.400 M |\n"
        );
        let two = Instructions {
            binaries: vec!["a".into(), "b".into()],
            rows: vec![
                row(&[(300e6, Some(50e6)), (600e6, Some(200e6))]),
                row(&[(12.34e6, None)]),
            ],
        };
        let table = two.markdown();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a tag | 300 M | 50.0 M | 600 M | 200 M | 0.500 | 0.250 |",
                "| a tag | 12.3 M |  |  |  |  |  |",
            ]
        );
    }
}
