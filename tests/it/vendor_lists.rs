//! Patterns of native files over the lists of vendors, end to end.

use testkit::profile::ListingApi;
use testkit::{Kind, Profile, Registry};

use crate::support::world::with_hosts;
use crate::support::{Place, assert_arrived, image};

/// A lister with the profile of its registry, and the rest of the registry's entry in the file.
fn vendors() -> [(&'static str, Profile, String); 6] {
    let token = ListingApi::GITHUB_TOKEN;
    [
        ("harbor", Profile::harbor(), String::new()),
        ("hub", Profile::docker_hub(), String::new()),
        ("quay", Profile::quay(), String::new()),
        (
            "ghcr",
            Profile::ghcr(),
            format!(", api-login: {{token: {token}}}"),
        ),
        ("gitlab", Profile::gitlab(), String::new()),
        ("google", Profile::google(), String::new()),
    ]
}

#[test]
fn a_namespace_is_mirrored_from_every_vendor() {
    for (lister, profile, more) in vendors() {
        let source = Registry::builder().profile(profile).start_on_thread();
        let destination = Registry::builder()
            .profile(Profile::strict())
            .start_on_thread();
        let names = ["team/app", "team/tool", "team/tmp-x", "other/app"];
        for name in names {
            source.push(name, Some("v1"), &image(name));
        }
        let file = format!(
            "version: 1\nregistries:\n  \"{src}\": {{list: {lister}, tls: {{plain-http: true}}{more}}}\n  \"{dst}\": {{list: catalog, tls: {{plain-http: true}}}}\nrules:\n  - from: \"{src}/team/*\"\n    except: [\"**/tmp-*\"]\n    to: \"{dst}/mirror/{{repository}}\"\n",
            src = source.host(),
            dst = destination.host(),
        );
        let place = Place::new().file("mirror.yaml", &file);
        let run = place.run(&["--config", "mirror.yaml"]);
        run.exits(0).says("2 images: 2 copied, 0 unchanged");
        for name in ["team/app", "team/tool"] {
            assert_arrived(&destination, &format!("mirror/{name}"), "v1", &image(name));
        }
        let repositories = destination.state().repositories();
        assert_eq!(
            repositories,
            ["mirror/team/app", "mirror/team/tool"],
            "{lister}"
        );
        let run = place.run(&["--config", "mirror.yaml"]);
        run.exits(0).says("2 images: 0 copied, 2 unchanged");
        assert_eq!(source.problems(), [""; 0], "{lister}");
        let lists = source.count(|request| request.kind == Kind::Listing);
        assert_eq!(lists > 0, lister != "google", "{lister}");
    }
}

#[test]
fn a_list_that_fails_fails_its_rules_alone() {
    let source = Registry::builder()
        .profile(Profile::ghcr())
        .start_on_thread();
    let destination = Registry::builder()
        .profile(Profile::strict())
        .start_on_thread();
    for name in ["team/app", "lib/a"] {
        source.push(name, Some("v1"), &image(name));
    }
    let file = "version: 1\nregistries:\n  \"SRC\": {list: ghcr, tls: {plain-http: true}}\n  \"DST\": {tls: {plain-http: true}}\nrules:\n  - {name: team, from: \"SRC/team/*\", to: \"DST/{repository}\"}\n  - {name: all, from: \"SRC/**\", to: \"DST/all/{repository}\"}\n  - {name: fixed, from: \"SRC/lib/a\", to: \"DST/a\"}\n";
    let place = Place::new().file("mirror.yaml", &with_hosts(file, &source, &destination));
    let advice = "lists of packages need a personal access token (classic) with the scope `read:packages`, as the password of the registry or as `api-login`; or name the repositories";
    let host = source.host();
    place
        .run(&["--config", "mirror.yaml"])
        .exits(1)
        .says(&format!(
            "failed       team: cannot list the repositories of {host}/team at {host}: the GitHub API answered 401 Unauthorized (Requires authentication); no login is used"
        ))
        .says(advice)
        .says(&format!(
            "failed       all: cannot list the repositories of {host} at {host}: GitHub lists the packages of one owner at a time"
        ))
        .says("1 image: 1 copied, 0 unchanged, 0 skipped, 0 failed; 2 sources could not be listed");
    assert_arrived(&destination, "a", "v1", &image("lib/a"));
    assert_eq!(source.count(|request| request.kind == Kind::Listing), 1);
}
