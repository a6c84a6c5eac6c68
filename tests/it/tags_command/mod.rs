//! `image-syncer tags`: the images of repositories, registries and files.

pub(crate) mod archives;
mod files;
mod showing;

use testkit::raw::push_over_http;
use testkit::real::DockerRegistry;
use testkit::{Image, Kind, Profile, Registry};

use crate::support::{Place, image, index, insecure, registry};

fn place(registry: &Registry) -> Place {
    Place::new().file("auth.yaml", &insecure(&[registry]))
}

/// Returns the number of requests of each kind since the last call, sorted by name.
fn requests(registry: &Registry) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for request in registry.requests() {
        *counts.entry(format!("{:?}", request.kind)).or_default() += 1;
    }
    registry.clear_requests();
    counts.into_iter().collect()
}

fn counts(expected: &[(Kind, usize)]) -> Vec<(String, usize)> {
    let counts = expected.iter();
    counts
        .map(|(kind, count)| (format!("{kind:?}"), *count))
        .collect()
}

/// Pushes an image to a real registry.
fn real_push(registry: &DockerRegistry, repository: &str, tag: &str, image: &Image) {
    let client = registry.client().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(push_over_http(&client, repository, Some(tag), image))
        .unwrap();
}

/// A registry with `team/app`: an index with two tags, and an image.
fn filled() -> (Registry, [Image; 2]) {
    let source = registry();
    let images = [index("multi"), image("single")];
    for (tag, image) in [
        ("latest", &images[0]),
        ("v1", &images[0]),
        ("v2", &images[1]),
    ] {
        source.push("team/app", Some(tag), image);
    }
    (source, images)
}

#[test]
pub(crate) fn a_list_of_names_has_a_line_for_each_tag() {
    let (source, [multi, single]) = filled();
    let (place, host) = (place(&source), source.host());
    let name = format!("{host}/team/app");
    let outcome = place.run(&["tags", &name, "--auth", "auth.yaml"]).exits(0);
    let line = |tag: &str, image: &Image| format!("{name}:{tag}\t{}\t-\n", image.digest());
    let lines = [
        line("latest", &multi),
        line("v1", &multi),
        line("v2", &single),
    ]
    .concat();
    assert_eq!(outcome.stdout, lines);
    assert_eq!(outcome.stderr, "");
    let expected = [(Kind::ManifestHead, 3), (Kind::Tags, 1)];
    assert_eq!(requests(&source), counts(&expected));

    let matching = format!("{name}:/^v2/");
    let json = ["--insecure", &host, "--output", "json"];
    let outcome = place
        .run(&[&["tags", &matching], &json[..]].concat())
        .exits(0);
    assert_eq!(
        outcome.stdout,
        format!(
            "[\n{{\"name\":\"{name}:v2\",\"source\":\"{name}:v2\",\"repository\":\"{name}\",\"tag\":\"v2\",\
             \"digest\":\"{}\",\"media_type\":\"application/vnd.oci.image.manifest.v1+json\"}}\n]\n",
            single.digest()
        )
    );
    let none = format!("{name}:/^x/");
    let outcome = place.run(&[&["tags", &none], &json[..]].concat()).exits(0);
    assert_eq!(outcome.stdout, "[]\n");
    outcome.says(&format!("warning: {none}: no tag"));
}

#[test]
pub(crate) fn names_need_no_request_for_each_tag() {
    let (source, _) = filled();
    let (place, name) = (place(&source), format!("{}/team/app", source.host()));
    let command = ["tags", &name, "--names", "--auth", "auth.yaml"];
    let outcome = place.run(&command).exits(0);
    assert_eq!(
        outcome.stdout,
        format!("{name}:latest\n{name}:v1\n{name}:v2\n")
    );
    assert_eq!(requests(&source), counts(&[(Kind::Tags, 1)]));
    // The flag of the rules of a file, which have neither.
    place
        .run(&["tags", "--config", "x.yaml", "--names"])
        .exits(2);
}

#[test]
pub(crate) fn platforms_and_sizes_are_read_once_for_all_tags() {
    let (source, [multi, single]) = filled();
    let (place, name) = (place(&source), format!("{}/team/app", source.host()));
    let command = ["tags", &name, "-l", "--auth", "auth.yaml"];
    let outcome = place.run(&command).exits(0);
    let size = |image: &Image| {
        let manifests = image.manifests().iter().map(|it| it.bytes.len() as u64);
        let root = image.root().bytes.len() as u64;
        let is_listed = image
            .manifests()
            .iter()
            .any(|it| it.digest == image.digest());
        image.blob_bytes() + manifests.sum::<u64>() + if is_listed { 0 } else { root }
    };
    let line = |tag: &str, image: &Image, platforms: &str| {
        format!(
            "{name}:{tag}\t{}\t{platforms}\t{}\t-\n",
            image.digest(),
            size(image)
        )
    };
    let three = "linux/amd64,linux/arm64,linux/s390x";
    let lines = [
        line("latest", &multi, three),
        line("v1", &multi, three),
        line("v2", &single, "linux/amd64"),
    ];
    assert_eq!(outcome.stdout, lines.concat());
    // Each tag, three platforms of the index, and the config that states the platform of the image.
    let expected = [
        (Kind::BlobGet, 1),
        (Kind::ManifestGet, 3 + 3),
        (Kind::Tags, 1),
    ];
    assert_eq!(requests(&source), counts(&expected));
}

#[test]
fn a_list_with_digests_needs_no_head() {
    let source = Registry::builder()
        .profile(Profile::harbor())
        .start_on_thread();
    let image = image("a");
    for tag in ["v1", "v2"] {
        source.push("team/app", Some(tag), &image);
    }
    let pushed = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    source.state().set_pushed("team/app", "v1", pushed);
    let (host, name) = (source.host(), format!("{}/team/app", source.host()));
    let file = format!(
        "version: 1\nregistries: {{\"{host}\": {{list: harbor, tls: {{plain-http: true}}}}}}\nrules: [{{from: {name}, to: r.example/a}}]\n"
    );
    let place = Place::new().file("sync.yaml", &file);
    let run = |text: &str, more: &[&str]| {
        let command = [&["tags", text, "--config", "sync.yaml"], more].concat();
        place.run(&command).exits(0).stdout
    };
    let digest = image.digest();
    let time = "2023-11-14T22:13:20Z";
    let lines = format!("{name}:v1\t{digest}\t{time}\n");
    assert_eq!(run(&format!("{name}:/v1/"), &[]), lines);
    let count = |kind| source.count(|request| request.kind == kind);
    assert_eq!((count(Kind::ManifestHead), count(Kind::Tags)), (0, 0));
    source.clear_requests();
    // Both tags have one digest, which is fetched once, and its config.
    let lines = run(&name, &["-l"]);
    assert!(
        lines.contains("\tlinux/amd64\t") && lines.contains(time),
        "{lines}"
    );
    assert_eq!((count(Kind::ManifestGet), count(Kind::BlobGet)), (1, 1));
    assert_eq!(count(Kind::ManifestHead), 0);
}

#[test]
fn many_tags_of_an_unknown_registry_are_worth_a_probe_for_digests() {
    let source = Registry::builder()
        .profile(Profile::harbor())
        .start_on_thread();
    let image = image("a");
    for number in 0..20 {
        source.push("team/app", Some(&format!("v{number:02}")), &image);
    }
    let (place, name) = (place(&source), format!("{}/team/app", source.host()));
    let outcome = place.run(&["tags", &name, "--auth", "auth.yaml"]).exits(0);
    assert_eq!(outcome.stdout.lines().count(), 20);
    assert!(
        outcome
            .stdout
            .lines()
            .all(|line| line.contains(image.digest()))
    );
    assert_eq!(
        source.count(|request| request.kind == Kind::ManifestHead),
        0
    );
}

#[test]
fn named_tags_are_looked_up_and_a_missing_one_is_a_row_with_its_reason() {
    let (source, [_, single]) = filled();
    let (place, host) = (place(&source), source.host());
    let name = format!("{host}/team/app");
    let text = format!("{name}:v2,v9");
    let outcome = place.run(&["tags", &text, "--auth", "auth.yaml"]).exits(1);
    assert_eq!(
        outcome.stdout,
        format!(
            "{name}:v2\t{}\t-\n{name}:v9\t-\t-\terror: cannot find team/app:v9 at {host}: the registry does not have it (404)\n",
            single.digest()
        )
    );
    // A missing manifest is requested by GET as well, since some registries answer a HEAD wrongly.
    let expected = [(Kind::ManifestGet, 1), (Kind::ManifestHead, 2)];
    assert_eq!(requests(&source), counts(&expected));
    outcome.says("error: 1 of 2 images could not be read. The list has the reasons.");
    let json = ["tags", &text, "--auth", "auth.yaml", "--output", "json"];
    let outcome = place.run(&json).exits(1);
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document[1]["name"], format!("{name}:v9"));
    let reason = document[1]["error"].as_str().unwrap();
    assert!(reason.starts_with("cannot find team/app:v9"), "{reason}");

    let digest = format!("{name}@{}", single.digest());
    let outcome = place
        .run(&["tags", &digest, "--auth", "auth.yaml"])
        .exits(0);
    assert_eq!(
        outcome.stdout,
        format!("{digest}\t{}\t-\n", single.digest())
    );
}

#[test]
fn an_image_without_a_platform_is_listed_with_what_is_there() {
    let (source, [multi, _]) = filled();
    let arm = &multi.manifests()[1].digest;
    assert!(source.state().remove_manifest("team/app", arm));
    let (place, name) = (place(&source), format!("{}/team/app", source.host()));
    let command = [
        "tags",
        &name,
        "-l",
        "--auth",
        "auth.yaml",
        "--output",
        "json",
    ];
    let outcome = place.run(&command).exits(1);
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    for number in [0, 1] {
        let image = &document[number];
        assert_eq!(image["digest"], multi.digest());
        assert_eq!(image["kind"], "index");
        assert_eq!(image["platforms"].as_array().unwrap().len(), 3);
        assert!(image.get("size").is_none());
        let reason = image["error"].as_str().unwrap();
        assert!(
            reason.contains("an index of the image lists it for linux/"),
            "{reason}"
        );
    }
    assert_eq!(document[2]["kind"], "image");
    outcome.says("error: 2 of 3 images could not be read.");
}

#[test]
fn a_repository_that_cannot_be_listed_is_named() {
    let source = registry();
    let place = place(&source);
    let name = format!("{}/missing", source.host());
    let outcome = place.run(&["tags", &name, "--auth", "auth.yaml"]).exits(1);
    assert_eq!(outcome.stdout, "");
    outcome.says(&format!("error: {name}: cannot list the tags of missing"));
    let json = ["tags", &name, "--auth", "auth.yaml", "--output", "json"];
    assert_eq!(place.run(&json).exits(1).stdout, "[]\n");
}

#[test]
fn repositories_are_listed_and_a_pattern_with_tags_lists_their_images() {
    let (source, _) = filled();
    source.push("team/web", Some("v1"), &image("web"));
    source.push("other/x", Some("v1"), &image("x"));
    let (place, host) = (place(&source), source.host());
    let run = |text: &str, more: &[&str]| {
        let command = [&["tags", text, "--auth", "auth.yaml"], more].concat();
        place.run(&command)
    };
    let named = |paths: &[&str]| {
        let lines = paths.iter().map(|path| format!("{host}/{path}\n"));
        lines.collect::<Vec<_>>().concat()
    };
    assert_eq!(
        run(&host, &[]).exits(0).stdout,
        named(&["other/x", "team/app", "team/web"])
    );
    let team = format!("{host}/team/*");
    assert_eq!(
        run(&team, &[]).exits(0).stdout,
        named(&["team/app", "team/web"])
    );
    let json = run(&team, &["--output", "json"]).exits(0).stdout;
    let lines = ["team/app", "team/web"]
        .map(|path| format!("{{\"name\":\"{host}/{path}\",\"kind\":\"repository\"}}"));
    assert_eq!(json, format!("[\n{}\n]\n", lines.join(",\n")));
    let images = run(&format!("{team}:/^v1/"), &["--names"]).exits(0);
    assert_eq!(images.stdout, named(&["team/app:v1", "team/web:v1"]));
    run(&format!("{host}/none/*"), &[])
        .exits(0)
        .says("none/*: no repository");
    for (text, better) in [
        (&team, format!("{team}:/./")),
        (&host, format!("{host}/**:/./")),
    ] {
        run(text, &["--long"]).exits(2).says(&format!(
            "--long has no effect on repositories, which {text} lists. Write {better} for all of their tags, or leave the flag out."
        ));
    }
}

#[test]
fn a_real_registry_is_listed() {
    testkit::needs!("docker-registry");
    let registry = DockerRegistry::builder().start().unwrap();
    let place = Place::new();
    let (multi, single) = (index("multi"), image("single"));
    let host = registry.host();
    for (tag, image) in [("v1", &multi), ("v2", &single)] {
        real_push(&registry, "team/app", tag, image);
    }
    let name = format!("{host}/team/app");
    let run = |text: &str, more: &[&str]| {
        let command = [&["tags", text, "--insecure", &host], more].concat();
        place.run(&command).exits(0).stdout
    };
    assert_eq!(run(&host, &[]), format!("{name}\n"));
    let json = run(&name, &["-l", "--output", "json"]);
    let mut images: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    images.sort_by_key(|image| image["tag"].as_str().map(str::to_owned));
    let found: Vec<_> = images
        .iter()
        .map(|it| (&it["tag"], &it["digest"], &it["kind"]))
        .collect();
    let [v1, v2, index, image] = ["v1", "v2", "index", "image"].map(serde_json::Value::from);
    let digests = [&multi, &single].map(|image| serde_json::Value::from(image.digest()));
    assert_eq!(
        found,
        [(&v1, &digests[0], &index), (&v2, &digests[1], &image)]
    );
    let platforms = images[0]["platforms"].as_array().unwrap().iter();
    let platforms: Vec<_> = platforms
        .map(|it| it["platform"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "linux/s390x"]);
}
