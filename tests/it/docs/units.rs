//! systemd accepts the units.

use std::process::Command;

use super::fences;
use crate::support::Place;

#[test]
fn systemd_accepts_the_units() {
    testkit::needs!("systemd-analyze");
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_image-syncer");
    let mut paths = Vec::new();
    for fence in fences::in_languages(&["ini"]) {
        let name = fence.file_name().expect("the path of the unit first");
        let name = name.strip_prefix("/etc/systemd/system/").expect("a unit");
        let text = fence.text.replace("/usr/local/bin/image-syncer", program);
        std::fs::write(place.path(name), text).unwrap();
        paths.push(place.path(name));
    }
    assert!(paths.len() >= 2, "a service and its timer");
    let mut verify = Command::new("systemd-analyze");
    let verify = verify.args(["verify", "--man=no"]).args(&paths);
    let output = verify.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let about_ours = said.lines().filter(|line| line.contains("image-syncer"));
    assert_eq!(about_ours.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(output.status.success(), "{said}");
}
