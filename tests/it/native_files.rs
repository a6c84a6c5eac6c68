//! Native files: rules, registries and options end to end.

use crate::support::{Place, assert_arrived, image, registry};

#[test]
fn a_native_file_copies_with_its_logins_and_options() {
    let source = registry();
    let destination = testkit::Registry::builder()
        .auth(testkit::Auth::basic("ci", "secret"))
        .start_on_thread();
    for (name, tag) in [("team/a", "1.10"), ("team/a", "2"), ("team/b", "1.10")] {
        source.push(name, Some(tag), &image(&format!("{name} {tag}")));
    }
    destination.push("mirror/team/b", Some("1.10"), &image("old"));
    let file = "version: 1\nregistries:\n  SRC: {tls: {plain-http: true}}\n  DST/mirror: {login: {username: ci, password: {file: password}}}\n  DST: {tls: {plain-http: true}}\ndefaults: {conflict: skip}\nrules:\n  - name: team\n    from: SRC/team/{a,b}\n    tags: 1.10\n    to: DST/mirror/{repository}\n  - {from: \"SRC/team/a:2\", to: \"DST/mirror/{name}:{tag}-copy\"}\n";
    let file = file
        .replace("SRC", &source.host())
        .replace("DST", &destination.host());
    let place = Place::new()
        .file("mirror.yaml", &file)
        .file("password", "secret\n");
    place
        .run(&["--config", "mirror.yaml"])
        .exits(0)
        .says("3 images: 2 copied, 0 unchanged, 1 skipped");
    let arrived = |name: &str, tag: &str, text: &str| {
        assert_arrived(&destination, name, tag, &image(text));
    };
    arrived("mirror/team/a", "1.10", "team/a 1.10");
    arrived("mirror/team/b", "1.10", "old");
    arrived("mirror/a", "2-copy", "team/a 2");
    // A flag overrides the defaults of the file.
    place
        .run(&["--config", "mirror.yaml", "--conflict", "overwrite"])
        .exits(0);
    arrived("mirror/team/b", "1.10", "team/b 1.10");
}

#[test]
fn all_mistakes_of_a_native_file_are_shown() {
    let file = "version: 1\nrules:\n  - {from: q.io/x:v1, tags: v2, to: r.example/x}\n  - {from: q.io/y, too: r.example/y}\n";
    let place = Place::new().file("mirror.yaml", file);
    place
        .run(&["--config", "mirror.yaml", "--immutable", "v["])
        .exits(2)
        .says("mirror.yaml:3:12: the tag is given twice: in `from` and in `tags` (line 3). Remove one of the two.")
        .says("mirror.yaml:4:20: unknown key `too`. Write `to`.")
        .says("--immutable v[: not a glob");
}

#[test]
fn a_flag_that_a_rule_overrides_is_reported_once() {
    let source = registry();
    source.push("a", Some("v1"), &image("a"));
    let host = source.host();
    let file = format!(
        "version: 1\nregistries: {{\"{host}\": {{tls: {{plain-http: true}}}}}}\nrules:\n  - {{name: one, from: \"{host}/a:v1\", to: \"{host}/b\", conflict: fail}}\n  - {{name: two, from: \"{host}/a:v1\", to: \"{host}/c\", conflict: fail}}\n"
    );
    let place = Place::new().file("mirror.yaml", &file);
    let run = place.run(&["--config", "mirror.yaml", "--conflict", "skip"]);
    run.exits(0).says(
        "--conflict: overridden by `conflict` of the rule one (mirror.yaml:4) and of another rule",
    );
}

#[test]
fn patterns_are_listed_filtered_and_renamed() {
    let (source, destination) = (registry(), registry());
    for (name, tags) in [
        (
            "team-a/app",
            &["v1.0.0", "v1.1.0", "v2.0.0-rc.1", "latest"][..],
        ),
        ("team-a/tmp", &["v1.0.0"]),
        ("team-b/web/ui", &["v0.9.0"]),
        ("other/app", &["v1.0.0"]),
    ] {
        for tag in tags {
            source.push(name, Some(tag), &image(&format!("{name} {tag}")));
        }
    }
    let file = "version: 1\nregistries:\n  SRC: {tls: {plain-http: true}}\n  DST: {tls: {plain-http: true}}\nrules:\n  - name: teams\n    from: SRC/team-*/**\n    except: \"**/tmp\"\n    tags: {semver: \">=0.9\", newest: 1}\n    to: \"DST/mirror/{repository|flatten}\"\n";
    let file = file
        .replace("SRC", &source.host())
        .replace("DST", &destination.host());
    let place = Place::new().file("mirror.yaml", &file);
    place
        .run(&["--config", "mirror.yaml"])
        .exits(0)
        .says("2 images: 2 copied");
    let arrived = |name: &str, tag: &str, text: &str| {
        assert_arrived(&destination, name, tag, &image(text));
    };
    arrived("mirror/team-a-app", "v1.1.0", "team-a/app v1.1.0");
    arrived("mirror/team-b-web-ui", "v0.9.0", "team-b/web/ui v0.9.0");
}
