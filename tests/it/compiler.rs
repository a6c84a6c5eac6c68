//! All dependencies accept the oldest compiler of `Cargo.toml`.

use std::process::Command;

use serde_json::Value;

/// Returns the numbers of a version: `1.89` and `1.89.0` are equal.
fn version(text: &str) -> Vec<u64> {
    let numbers = text.split('.').map(|number| number.parse().unwrap());
    numbers.chain([0, 0]).take(3).collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the packages of this workspace and of its locked dependencies, for the platform of the tests.
fn packages() -> Vec<Value> {
    let about = output("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = output(
        &cargo,
        &[
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform",
            host.unwrap(),
        ],
    );
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_dependency_accepts_the_oldest_compiler() {
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let ours = packages
        .iter()
        .find(|package| package["name"] == "image-syncer")
        .unwrap();
    let promised = ours["rust_version"].as_str().unwrap();
    for package in &packages {
        let Some(needed) = package["rust_version"].as_str() else {
            continue;
        };
        assert!(
            version(needed) <= version(promised),
            "{} {} needs Rust {needed}; Cargo.toml promises {promised}",
            package["name"],
            package["version"]
        );
    }
}
