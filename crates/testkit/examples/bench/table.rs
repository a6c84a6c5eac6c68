//! The results, for the terminal, as Markdown, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::figures::{Evidence, Verdict, as_f64, cpu_per_gb, cpu_per_question};
use crate::measure::{Failure, Sample, medians};
use crate::peers::{self, Contender};
use crate::workloads::{Content, Figure, Workload};

/// All runs of one program.
pub(crate) struct Runs {
    pub(crate) contender: Contender,
    pub(crate) samples: Vec<Sample>,
    /// Reason for which there are no more of them.
    pub(crate) failed: Option<Failure>,
}

/// The results of one workload.
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) name: &'static str,
    /// Description.
    pub(crate) title: &'static str,
    /// One row for each program.
    pub(crate) rows: Vec<Row>,
    /// Verdicts on its figures.
    pub(crate) verdicts: Vec<Verdict>,
}

/// The medians of one program.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// True for a peer: neither our binary nor the relay.
    pub(crate) is_peer: bool,
    /// The medians, or the reason for which there are none.
    pub(crate) result: Result<Sample, Failure>,
    /// Wall times of all runs.
    pub(crate) walls: Vec<f64>,
}

impl Outcome {
    /// Sums up the runs of a workload.
    pub(crate) fn new(workload: &Workload, content: &Content, runs: Vec<Runs>) -> Self {
        let median = |test: fn(&Contender) -> bool| {
            let runs = runs.iter().find(|runs| test(&runs.contender))?;
            medians(&runs.samples).filter(|_| runs.failed.is_none())
        };
        let ours = median(|c| matches!(c, Contender::Ours(_)));
        let relay = median(|c| matches!(c, Contender::Relay(_)));
        let single = median(|c| matches!(c, Contender::OursToOne(_)));
        let judge = |figure: &Figure| {
            let ours = ours.as_ref()?;
            Some(figure.judge(&Evidence {
                workload,
                content,
                ours,
                relay: relay.as_ref(),
                single: single.as_ref(),
            }))
        };
        let verdicts = workload.figures.iter().filter_map(judge).collect();
        let rows = runs.into_iter().map(|runs| Row {
            name: runs.contender.name(),
            is_peer: matches!(runs.contender, Contender::Peer(_)),
            walls: runs.samples.iter().map(|sample| sample.wall).collect(),
            result: match (runs.failed, medians(&runs.samples)) {
                (None, Some(sample)) => Ok(sample),
                (failed, _) => Err(failed.unwrap_or(Failure::Failed("not run".to_owned()))),
            },
        });
        Self {
            name: workload.name,
            title: workload.title,
            rows: rows.collect(),
            verdicts,
        }
    }

    /// Returns the wall time of the best peer and of the relay as multiples of ours.
    fn ratios(&self) -> Vec<String> {
        let wall = |row: &Row| row.result.as_ref().ok().map(|sample| sample.wall);
        let Some(ours) = self.rows.first().and_then(wall) else {
            return Vec::new();
        };
        let peers = self.rows.iter().filter(|row| row.is_peer);
        let best = peers
            .filter_map(|row| match &row.result {
                Ok(sample) => Some((sample.wall, "", row.name)),
                Err(Failure::Stopped(seconds)) => Some((*seconds, "more than ", row.name)),
                Err(_) => None,
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let best = best
            .map(|(wall, more, name)| format!("{more}{:.1} times as fast as {name}", wall / ours));
        let relay = self.rows.iter().find(|row| row.name == peers::RELAY);
        let relay = relay.and_then(wall);
        let relay = relay.map(|wall| format!("{:.2} of the relay's time", ours / wall));
        best.into_iter().chain(relay).collect()
    }

    /// Returns true if one of our runs failed, so that there is nothing to judge.
    pub(crate) fn is_broken(&self) -> bool {
        let ours = self.rows.iter().filter(|row| !row.is_peer);
        ours.filter_map(|row| row.result.as_ref().err())
            .any(|failure| !matches!(failure, Failure::Unsupported(_)))
    }

    /// Formats the results for a terminal.
    pub(crate) fn text(&self, kinds: bool) -> String {
        let mut text = format!("{}: {}\n", self.name, self.title);
        let _ = writeln!(text, "  {:<28}{}", "", aligned(&COLUMNS));
        for row in &self.rows {
            let cells = match &row.result {
                Ok(sample) => cells(sample),
                Err(why) => {
                    let _ = writeln!(text, "  {:<28} {why}", row.name);
                    continue;
                }
            };
            let _ = writeln!(text, "  {:<28}{}", row.name, aligned(&cells));
            if kinds {
                for (kind, count) in &sample_kinds(row) {
                    let _ = writeln!(text, "      {count:>8}  {kind}");
                }
            }
        }
        for ratio in self.ratios() {
            let _ = writeln!(text, "  {ratio}");
        }
        for verdict in &self.verdicts {
            let _ = writeln!(text, "  {:<4} {}", told(verdict), verdict.text);
        }
        text
    }

    /// Returns the rows of the Markdown table, with one for the verdicts.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n`--only {}`", self.title, self.name);
        let _ = writeln!(
            text,
            "\n\n| | {} |\n|---{}|",
            COLUMNS.join(" | "),
            "|--:".repeat(COLUMNS.len())
        );
        for row in &self.rows {
            let cells = match &row.result {
                Ok(sample) => cells(sample).join(" | "),
                Err(why) => why.to_string().replace('|', "/") + &" |".repeat(COLUMNS.len() - 1),
            };
            let _ = writeln!(text, "| {} | {cells} |", row.name);
        }
        text.push('\n');
        for ratio in self.ratios() {
            let _ = writeln!(text, "- {ratio}");
        }
        for verdict in &self.verdicts {
            let _ = writeln!(text, "- {}: {}", told(verdict), verdict.text);
        }
        text
    }

    /// Returns everything as numbers.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| match &row.result {
            Ok(sample) => json!({
                "name": row.name, "wall": sample.wall, "walls": row.walls, "cpu": sample.cpu,
                "cpu_per_gb": cpu_per_gb(sample), "cpu_ms_per_question": cpu_per_question(sample),
                "peak_kib": sample.peak, "servers_cpu": sample.servers,
                "requests": sample.asked.requests, "fetched": sample.asked.fetched,
                "sent": sample.asked.sent, "refused": sample.asked.refused, "kinds": sample.asked.kinds,
            }),
            Err(why) => json!({"name": row.name, "error": why.to_string()}),
        });
        let verdicts = self.verdicts.iter();
        let verdicts = verdicts.map(|verdict| json!({"text": verdict.text, "met": verdict.met}));
        json!({
            "name": self.name, "title": self.title,
            "rows": rows.collect::<Vec<_>>(), "figures": verdicts.collect::<Vec<_>>(),
        })
    }
}

fn sample_kinds(row: &Row) -> std::collections::BTreeMap<String, u64> {
    let sample = row.result.as_ref().ok();
    sample.map(|s| s.asked.kinds.clone()).unwrap_or_default()
}

fn told(verdict: &Verdict) -> &'static str {
    match verdict.met {
        Some(true) => "met",
        Some(false) => "NOT",
        None => "?",
    }
}

/// Titles of the columns.
const COLUMNS: [&str; 9] = [
    "wall s",
    "requests",
    "fetched MB",
    "sent MB",
    "peak MiB",
    "CPU s",
    "CPU s/GB",
    "CPU ms/question",
    "servers CPU s",
];

/// Aligns cells below the titles.
fn aligned(cells: &[impl std::fmt::Display; COLUMNS.len()]) -> String {
    let columns = cells.iter().zip(COLUMNS);
    let aligned =
        columns.map(|(cell, title)| format!("{cell:>width$}", width = title.len().max(7) + 2));
    aligned.collect()
}

fn cells(sample: &Sample) -> [String; COLUMNS.len()] {
    let asked = &sample.asked;
    let requests = if asked.requests == 0 {
        "-".to_owned()
    } else {
        asked.requests.to_string()
    };
    [
        format!("{:.3}", sample.wall),
        requests,
        format!("{:.1}", as_f64(asked.fetched) / 1e6),
        format!("{:.1}", as_f64(asked.sent) / 1e6),
        format!("{:.1}", sample.peak / 1024.0),
        format!("{:.2}", sample.cpu),
        cpu_per_gb(sample).map_or(String::new(), |cpu| format!("{cpu:.2}")),
        cpu_per_question(sample).map_or(String::new(), |cpu| format!("{cpu:.3}")),
        format!("{:.2}", sample.servers),
    ]
}

/// Returns date and machine as a sentence.
pub(crate) fn machine() -> String {
    let date = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .output();
    let date = date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|model| model.trim_start_matches(['\t', ' ', ':']).to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}; {cores} cores of {}; Linux {}",
        date.unwrap_or_default(),
        model.unwrap_or_else(|| "an unnamed processor".to_owned()),
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Asked;

    fn row(name: &'static str, result: Result<Sample, Failure>) -> Row {
        Row {
            name,
            is_peer: false,
            result,
            walls: Vec::new(),
        }
    }

    #[test]
    fn every_row_has_every_column() {
        let asked = Asked {
            requests: 2000,
            ..Asked::default()
        };
        let questions = Sample {
            wall: 0.5,
            cpu: 0.14,
            peak: 20_480.0,
            asked,
            ..Sample::default()
        };
        let mut bytes = questions.clone();
        bytes.asked.fetched = 2_000_000_000;
        bytes.asked.sent = 2_000_000_000;
        let outcome = Outcome {
            name: "unchanged",
            title: "tags",
            rows: vec![
                row("questions", Ok(questions)),
                row("bytes", Ok(bytes)),
                row("stopped", Err(Failure::Stopped(45.0))),
            ],
            verdicts: Vec::new(),
        };
        let markdown = outcome.markdown();
        let lines: Vec<&str> = markdown.lines().filter(|l| l.starts_with('|')).collect();
        assert_eq!(
            lines,
            [
                "| | wall s | requests | fetched MB | sent MB | peak MiB | CPU s | CPU s/GB | CPU ms/question | servers CPU s |",
                "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
                "| questions | 0.500 | 2000 | 0.0 | 0.0 | 20.0 | 0.14 |  | 0.070 | 0.00 |",
                "| bytes | 0.500 | 2000 | 2000.0 | 2000.0 | 20.0 | 0.14 | 0.07 |  | 0.00 |",
                "| stopped | stopped after 45 s | | | | | | | | |",
            ]
        );
    }
}
