//! `image-syncer validate`: the meaning of the files, without network.

use crate::support::Place;

#[test]
fn the_meaning_of_the_rules_is_printed_to_stdout() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let place = Place::new()
        .file(
            "images.yaml",
            &format!(
                "nginx: registry.example.com/mirror/nginx\n\
                 quay.io/coreos/etcd:v3.5.9,v3.5.10: registry.example.com/etcd:old,new\n\
                 quay.io/a/b:/^v1/:\n  - registry.example.com/b\n  - \"\"\n\
                 quay.io/c/d@{digest}: registry.example.com/d\n"
            ),
        )
        .file(
            "auth.yaml",
            "registry.example.com:\n  username: robot$ci\n  password: secret\nquay.io/a:\n  insecure: true\n",
        );
    let outcome = place
        .run(&[
            "validate",
            "--images",
            "images.yaml",
            "--auth",
            "auth.yaml",
            "--registry",
            "default.example.com",
            "--namespace",
            "ns",
            "--arch",
            "amd64",
        ])
        .exits(0);
    assert_eq!(outcome.stderr, "");
    insta::assert_snapshot!(outcome.stdout);
}

#[test]
fn invalid_files_exit_with_2() {
    let place = Place::new().file("images.yaml", "quay.io/A/b: registry.example.com/b\n");
    let outcome = place.run(&["validate", "--images", "images.yaml"]).exits(2);
    assert_eq!(outcome.stdout, "");
    outcome.says("images.yaml:1");
    Place::new()
        .run(&["validate"])
        .exits(2)
        .says("--images FILE");
}
