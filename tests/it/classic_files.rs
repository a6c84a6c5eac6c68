//! The files of the Go tool's users: YAML and JSON, one file or two.

use crate::support::{Place, assert_arrived, image, registry};

/// Every form of the same two rules; `SRC` and `DST` stand for hosts.
const AUTH_YAML: &str = r"
SRC:
  insecure: true
DST/mirror:
  username: ci
  password: secret
  insecure: true
";
const IMAGES_YAML: &str = r"
# one destination
SRC/library/nginx:1.25,1.26: DST/mirror/nginx
# a list of them
SRC/library/redis:
  - DST/mirror/redis
  - DST/mirror/cache/redis
";
const AUTH_JSON: &str = r#"{
    "SRC": {"insecure": true},
    "DST/mirror": {"username": "ci", "password": "secret", "insecure": true}
}"#;
const IMAGES_JSON: &str = r#"{
    "SRC/library/nginx:1.25,1.26": "DST/mirror/nginx",
    "SRC/library/redis": ["DST/mirror/redis", "DST/mirror/cache/redis"]
}"#;

fn check(files: &[(&str, &str)], arguments: &[&str]) {
    let source = registry();
    let destination = testkit::Registry::builder()
        .auth(testkit::Auth::basic("ci", "secret"))
        .start_on_thread();
    source.push("library/nginx", Some("1.25"), &image("nginx 1.25"));
    source.push("library/nginx", Some("1.26"), &image("nginx 1.26"));
    source.push("library/redis", Some("7"), &image("redis"));
    let mut place = Place::new();
    for (name, text) in files {
        let text = text
            .replace("SRC", &source.host())
            .replace("DST", &destination.host());
        place = place.file(name, &text);
    }
    place
        .run(arguments)
        .exits(0)
        .says("3 images to up to 2 destinations, 4 copies: 4 copied");
    assert_arrived(&destination, "mirror/nginx", "1.25", &image("nginx 1.25"));
    assert_arrived(&destination, "mirror/nginx", "1.26", &image("nginx 1.26"));
    assert_arrived(&destination, "mirror/redis", "7", &image("redis"));
    assert_arrived(&destination, "mirror/cache/redis", "7", &image("redis"));
}

#[test]
fn two_yaml_files() {
    check(
        &[("auth.yaml", AUTH_YAML), ("images.yml", IMAGES_YAML)],
        &["--auth", "auth.yaml", "--images", "images.yml"],
    );
}

#[test]
fn two_json_files() {
    check(
        &[("auth.json", AUTH_JSON), ("images.json", IMAGES_JSON)],
        &["--auth=auth.json", "--images=images.json"],
    );
}

#[test]
fn one_yaml_file() {
    let indented = |text: &str| text.replace('\n', "\n  ");
    let text = format!(
        "auth:{}\nimages:{}\n",
        indented(AUTH_YAML),
        indented(IMAGES_YAML)
    );
    check(&[("config.yaml", &text)], &["--config", "config.yaml"]);
}

#[test]
fn one_json_file() {
    let text = format!("{{\"auth\": {AUTH_JSON}, \"images\": {IMAGES_JSON}}}");
    check(&[("config.json", &text)], &["--config", "./config.json"]);
}

#[test]
fn flags_of_cron_lines_still_work() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = Place::new()
        .file("auth.json", &{
            let entry = |host: String| format!("\"{host}\": {{\"insecure\": true}}");
            format!(
                "{{{}, {}}}",
                entry(source.host()),
                entry(destination.host())
            )
        })
        .file(
            "images.json",
            &format!("{{\"{}/a\": \"{}/a\"}}", source.host(), destination.host()),
        );
    let line = "--proc=6 --auth=./auth.json --images=./images.json --retries=3 --log=./sync.log --os=linux \
                --arch=amd64 --records=./records";
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let outcome = place.run(&arguments).exits(0).does_not_say("warning");
    assert!(place.path("records").is_file());
    assert!(
        outcome.lines("copied").is_empty(),
        "it belongs into the log"
    );
    assert!(place.read("sync.log").contains(" copied "));
    assert_arrived(&destination, "a", "v1", &image("a"));
}
