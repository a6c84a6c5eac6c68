//! The parsers of the Python package `prometheus-client`, which does not share code with the program.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A line with a value.
#[derive(Debug, Deserialize)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// A format of metrics.
#[derive(Clone, Copy)]
pub(super) enum Parser {
    /// Text format of Prometheus.
    Prometheus,
    /// Text format of `OpenMetrics`.
    OpenMetrics,
}

/// Interpreters that may have the package: that of Debian's package, and that of other systems.
const INTERPRETERS: [&str; 2] = ["/usr/bin/python3", "python3"];

impl Parser {
    /// Returns true if the package is installed. Otherwise prints a notice that the test is skipped, or fails it if
    /// programs are required.
    pub(super) fn is_installed() -> bool {
        if interpreter().is_some() {
            return true;
        }
        let text =
            "the Python package prometheus-client is missing. Run scripts/test to install it.";
        assert!(
            std::env::var_os(testkit::programs::REQUIRED).is_none(),
            "{text}"
        );
        let _ = writeln!(std::io::stderr(), "skipped: {text}");
        false
    }

    /// Parses `text`.
    #[track_caller]
    pub(super) fn parse(self, text: &str) -> Vec<Sample> {
        let module = match self {
            Self::Prometheus => "prometheus_client.parser",
            Self::OpenMetrics => "prometheus_client.openmetrics.parser",
        };
        let script = format!(
            "import json, sys\n\
             from {module} import text_string_to_metric_families as parse\n\
             samples = [s for family in parse(sys.stdin.read()) for s in family.samples]\n\
             print(json.dumps([dict(name=s.name, labels=s.labels, value=float(s.value)) for s in samples]))"
        );
        let mut child = Command::new(interpreter().expect("see is_installed"))
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{text}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Returns the first interpreter that has the package.
fn interpreter() -> Option<&'static str> {
    INTERPRETERS.into_iter().find(|interpreter| {
        let mut command = Command::new(interpreter);
        command.args(["-c", "import prometheus_client"]);
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}
