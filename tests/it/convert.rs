//! `image-syncer convert`: from the classic files to the native one.

use crate::support::Place;

const AUTH: &str = "\
# auth.yaml: a comment about the file

# the mirror, with the robot of the team
registry.example.com:
  username: robot$ci
  password: ${REGISTRY_PASSWORD}
registry.example.com/team: # for this namespace only
  username: $TEAM_USER
  password: \"a$$b${c}\"
localhost:5000:
  insecure: true
docker.io: {}
other.example.org/web:
  username: web
  password: secret
  insecure: true
";

const IMAGES: &str = "\
# Kubernetes needs both.
quay.io/coreos/etcd:v3.5.9: registry.example.com/mirror/etcd
quay.io/coreos/etcd:v3.5.9,v3.5.10: registry.example.com/team/etcd:old,new
docker.io/library/nginx:/^1\\.2[0-9]$/:
  - registry.example.com/mirror/nginx
  - localhost:5000/web/nginx
  - other.example.org/web/nginx
ghcr.io/example/app: ${MIRROR}/example/app
nginx:1.27: \"\"
";

fn place() -> Place {
    Place::new()
        .file("auth.yaml", AUTH)
        .file("images.yaml", IMAGES)
}

const DEFAULTS: [&str; 4] = ["--registry", "default.example.com", "--namespace", "mirror"];

#[test]
fn the_native_file_has_the_variables_passwords_and_comments() {
    // No variable is set, and none is needed.
    let files = ["convert", "--auth", "auth.yaml", "--images", "images.yaml"];
    let outcome = place().run(&[&files[..], &DEFAULTS].concat()).exits(0);
    assert_eq!(outcome.stderr, "");
    insta::assert_snapshot!(outcome.stdout);
}

#[test]
fn a_combined_file_is_read_from_standard_input() {
    let json = r#"{"images": {"quay.io/a/b": "r.example/b"}, "auth": {"r.example": {"username": "u", "password": "$x"}}}"#;
    let place = Place::new().file("both.json", json);
    let from_file = place.run(&["convert", "--config", "both.json"]).exits(0);
    let from_pipe = place
        .shell(&format!(
            "{} convert --config - < both.json",
            env!("CARGO_BIN_EXE_image-syncer")
        ))
        .output()
        .unwrap();
    let from_pipe = String::from_utf8(from_pipe.stdout).unwrap();
    assert!(
        from_file
            .stdout
            .contains("login: {username: u, password: $x}")
    );
    let lines = |text: &str| text.replace("both.json", "standard input");
    let [file, pipe] =
        [lines(&from_file.stdout), from_pipe].map(|text| text.replace('\n', " ").replace("# ", ""));
    assert_eq!(file, pipe);
}

#[test]
fn mistakes_are_shown_and_nothing_is_written() {
    let place = Place::new().file("images.yaml", "quay.io/A/b: r.example/b\n");
    let outcome = place.run(&["convert", "--images", "images.yaml"]).exits(2);
    assert_eq!(outcome.stdout, "");
    outcome.says("images.yaml:1:1");
}
