//! The action of GitHub: its steps as a runner executes them, with the inputs of its users.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Outcome, Place};

mod inputs;
mod install;
mod results;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn action() -> Value {
    let text = std::fs::read_to_string(format!("{ROOT}/action.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// A job of a workflow that uses the action.
struct Job {
    place: Place,
    /// Directory of the program, and programs of the system.
    path: String,
}

impl Job {
    /// A job with the program that this build made.
    fn new(place: Place) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_image-syncer"));
        Self::with_path(place, &program.parent().unwrap().display().to_string())
    }

    /// A job with another program of the name.
    fn with_program(place: Place, script: &str) -> Self {
        let directory = place.path("bin");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("image-syncer"), script).unwrap();
        std::fs::set_permissions(
            directory.join("image-syncer"),
            Permissions::from_mode(0o755),
        )
        .unwrap();
        Self::with_path(place, &directory.display().to_string())
    }

    fn with_path(place: Place, directory: &str) -> Self {
        std::fs::create_dir(place.path("temp")).unwrap();
        let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
        Self { place, path }
    }

    /// Returns a step of the action, ready to start.
    fn step(&self, name: &str, inputs: &[(&str, &str)]) -> Command {
        let action = action();
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        let mut command = self.place.shell(step["run"].as_str().unwrap());
        for (name, value) in step["env"].as_object().unwrap() {
            let value = value.as_str().unwrap().strip_prefix("${{ inputs.").unwrap();
            let input = value.strip_suffix(" }}").unwrap();
            let declared = action["inputs"].get(input).unwrap();
            let default = declared.get("default").and_then(Value::as_str);
            let given = inputs.iter().find(|(name, _)| *name == input);
            command.env(
                name,
                given.map_or(default.unwrap_or(""), |(_, value)| value),
            );
        }
        for (name, value) in inputs {
            assert!(
                action["inputs"].get(name).is_some(),
                "no input {name}: {value}"
            );
        }
        let file = |name: &str| self.place.path(name);
        command
            .env("PATH", &self.path)
            .env("GITHUB_ACTION_PATH", ROOT)
            .env("GITHUB_OUTPUT", file("outputs"))
            .env("GITHUB_PATH", file("paths"))
            .env("GITHUB_STEP_SUMMARY", file("page.md"))
            .env("RUNNER_ARCH", "X64")
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_TEMP", file("temp"));
        command
    }

    /// Runs a step to its end.
    fn run(&self, name: &str, inputs: &[(&str, &str)]) -> Outcome {
        Outcome::of(self.step(name, inputs).output().unwrap())
    }

    /// Returns the outputs as lines.
    fn outputs(&self) -> Vec<String> {
        self.place
            .read("outputs")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// Runs a command that finds the programs of the system.
fn run_with_path(mut command: Command) -> Outcome {
    Outcome::of(
        command
            .env("PATH", std::env::var("PATH").unwrap())
            .output()
            .unwrap(),
    )
}
