#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const H: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// Input, registry, path, tag.
fn accepts(rows: &[(&str, &str, &str, Option<&str>)]) {
    for &(text, registry, path, tag) in rows {
        let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reference.repository.registry().as_str(), registry, "{text}");
        assert_eq!(reference.repository.path(), path, "{text}");
        assert_eq!(reference.tag.as_ref().map(Tag::as_str), tag, "{text}");
        assert_eq!(reference.digest, None, "{text}");
    }
}

/// Input, what its error says behind `` `input` is not a reference: ``.
fn refuses(rows: &[(&str, &str)]) {
    for (text, why) in rows {
        let error = Reference::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("{} is not a reference: {why}", quoted(text)));
    }
}

#[test]
fn protocol_table_of_inputs() {
    let hex = format!("docker.io/{H}");
    let library_hex = format!("library/{H}");
    accepts(&[
        ("ubuntu", "docker.io", "library/ubuntu", None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", None),
        (
            "index.docker.io/ubuntu",
            "docker.io",
            "library/ubuntu",
            None,
        ),
        (
            "registry-1.docker.io/library/ubuntu",
            "docker.io",
            "library/ubuntu",
            None,
        ),
        ("foo/bar", "docker.io", "foo/bar", None),
        ("foo/bar/baz:v1", "docker.io", "foo/bar/baz", Some("v1")),
        ("library/ubuntu", "docker.io", "library/ubuntu", None),
        ("localhost/foo", "localhost", "foo", None),
        ("localhost:5000/foo", "localhost:5000", "foo", None),
        ("myhost/foo", "docker.io", "myhost/foo", None),
        ("myhost:5000/foo:1", "myhost:5000", "foo", Some("1")),
        (
            "quay.io/a/b/c/d:T_a.g-1",
            "quay.io",
            "a/b/c/d",
            Some("T_a.g-1"),
        ),
        (
            "foo_bar.com:8080",
            "docker.io",
            "library/foo_bar.com",
            Some("8080"),
        ),
        (
            "10.0.0.1:5000/foo:5050",
            "10.0.0.1:5000",
            "foo",
            Some("5050"),
        ),
        ("[::1]:5000/foo", "[::1]:5000", "foo", None),
        ("a.b.c/x__y", "a.b.c", "x__y", None),
        ("a.b.c/x--y", "a.b.c", "x--y", None),
        ("x:_tag", "docker.io", "library/x", Some("_tag")),
        (&hex, "docker.io", &library_hex, None),
    ]);
}

#[test]
fn protocol_table_of_inputs_with_digests() {
    let reference = Reference::parse(&format!("ubuntu:22.04@sha256:{H}")).unwrap();
    assert_eq!(
        reference.to_string(),
        format!("docker.io/library/ubuntu:22.04@sha256:{H}")
    );
    assert_eq!(
        reference.target().unwrap().to_string(),
        format!("sha256:{H}")
    );
    let reference = Reference::parse(&format!("x@sha512:{H}{H}")).unwrap();
    assert_eq!(reference.tag, None);
    assert_eq!(
        reference.target().unwrap().to_string(),
        format!("sha512:{H}{H}")
    );
    assert_eq!(
        Reference::parse("x:v1").unwrap().target(),
        Some(Target::Tag(Tag::parse("v1").unwrap()))
    );
    assert_eq!(Reference::parse("x").unwrap().target(), None);
}

#[test]
fn protocol_table_of_invalid_inputs() {
    let component = |c: &str| {
        format!(
            "the component `{c}` may hold a-z and 0-9, and between them one dot, one or two underscores, or dashes"
        )
    };
    let tag = |text: &str, c: &str| {
        format!(
            "`{text}` is not a tag: a tag holds letters, digits, `_`, `.` and `-`, but not `{c}`"
        )
    };
    let dot =
        |text: &str| format!("`{text}` is not a tag: a tag does not begin with a dot or a dash");
    let long_tag = format!("x:{}", "t".repeat(129));
    let long_tag_why = format!(
        "`{}` is not a tag: it has 129 characters, a tag has no more than 128",
        "t".repeat(129)
    );
    let upper_hex = format!("x@sha256:{}", "F".repeat(64));
    let upper_hex_why = format!(
        "`sha256:{}` is not a digest: only the hexadecimal digits 0-9 and a-f, in lower case, follow the colon",
        "F".repeat(64)
    );
    let short_512 = format!("x@sha512:{H}");
    let short_512_why = format!(
        "`sha512:{H}` is not a digest: 128 hexadecimal digits follow the colon, not 64 characters"
    );
    let id = format!(
        "64 hexadecimal digits alone look like an image id; write `library/{H}` if it is a repository"
    );
    refuses(&[
        ("", "it is empty"),
        ("Foo", "a repository is lower case, write `foo` for `Foo`"),
        (
            "foo/Bar",
            "a repository is lower case, write `bar` for `Bar`",
        ),
        ("x___y", &component("x___y")),
        ("x..y", &component("x..y")),
        ("x_.y", &component("x_.y")),
        ("-x", &component("-x")),
        ("x-", &component("x-")),
        ("x/", "it has an empty component: a slash too many"),
        ("/x", "it has an empty component: a slash too many"),
        ("x//y", "it has an empty component: a slash too many"),
        ("x:", "nothing follows the colon, where a tag is expected"),
        ("x:a:b", &tag("a:b", ":")),
        ("x:.t", &dot(".t")),
        ("x:-t", &dot("-t")),
        (&long_tag, &long_tag_why),
        (
            "foo:tag/bar",
            "`tag` is not a port; a port is a number from 1 to 65535",
        ),
        (
            "x@",
            "`` is not a digest: write it as `algorithm:encoded`, for example `sha256:` and 64 hexadecimal digits",
        ),
        (
            "x@sha256:abc",
            "`sha256:abc` is not a digest: 64 hexadecimal digits follow the colon, not 3 characters",
        ),
        (&upper_hex, &upper_hex_why),
        (&short_512, &short_512_why),
        (
            "x@md5:abc",
            "md5:abc cannot be verified: only sha256 and sha512 can",
        ),
        (H, &id),
        (
            "https://quay.io/a/b",
            "drop the scheme `https://`, write `quay.io/a/b`",
        ),
        (
            "user@example.com/foo",
            "a user name does not belong here, credentials stand in the auth file",
        ),
        (
            "[::1]",
            "a repository must follow the registry, as in `[::1]:5000/repository`",
        ),
        (
            "[fe80::1%eth0]/foo",
            "the zone of the IPv6 address `[fe80::1%eth0]` cannot be used here, drop it",
        ),
        (
            "::1/foo",
            "an IPv6 address stands in brackets, as in `[::1]`",
        ),
        (
            "foo_bar.com:8080/x",
            "`foo_bar.com` is not a host: between its dots stand letters, digits and, not at the ends, dashes",
        ),
        (" x", "blanks surround it, write `x`"),
        ("x\n", "blanks surround it, write `x`"),
    ]);
}

#[test]
fn upper_case_first_component_is_refused() {
    // Other parsers take these for registries: docs/protocol.md#references.
    refuses(&[
        (
            "MYHOST/foo",
            "a repository is lower case, write `myhost` for `MYHOST`",
        ),
        (
            "Foo/bar",
            "a repository is lower case, write `foo` for `Foo`",
        ),
    ]);
    accepts(&[
        ("MYHOST:5000/foo", "myhost:5000", "foo", None),
        ("Quay.IO/foo", "quay.io", "foo", None),
    ]);
}

#[test]
fn a_path_has_255_characters_at_most() {
    let path = "a".repeat(255);
    assert!(Reference::parse(&format!("quay.io/{path}")).is_ok());
    refuses(&[(
        &format!("quay.io/{path}a"),
        "its path has 256 characters, more than 255",
    )]);
    // On Docker Hub `library/` counts.
    assert!(Reference::parse(&"a".repeat(247)).is_ok());
    assert!(Reference::parse(&"a".repeat(248)).is_err());
}

#[test]
fn compat_table_of_references() {
    accepts(&[
        ("nginx:v1", "docker.io", "library/nginx", Some("v1")),
        ("user/repo", "docker.io", "user/repo", None),
        ("a/b/c:v1", "docker.io", "a/b/c", Some("v1")),
        (
            "docker.io/nginx:v1",
            "docker.io",
            "library/nginx",
            Some("v1"),
        ),
        (
            "index.docker.io/nginx:v1",
            "docker.io",
            "library/nginx",
            Some("v1"),
        ),
        ("localhost/foo", "localhost", "foo", None),
        (
            "127.0.0.1:300/library/nginx:v1",
            "127.0.0.1:300",
            "library/nginx",
            Some("v1"),
        ),
        (
            "gcr.io/knative-releases/github.com/knative/build/cmd/creds-init:v1",
            "gcr.io",
            "knative-releases/github.com/knative/build/cmd/creds-init",
            Some("v1"),
        ),
        ("quay.io/foo/bar:V1", "quay.io", "foo/bar", Some("V1")),
    ]);
    let long = format!("nginx:{}", "t".repeat(129));
    for text in [
        "quay.io/Foo/bar:v1",
        "quay.io//b:v1",
        "nginx:",
        "nginx:,v1",
        " nginx",
        "quay.io/a/b:v1+meta",
        &long,
        "nginx,latest",
        &format!("nginx@sha256:{H},v1"),
        "quay.io/a/b:/a",
        "quay.io/a/b:v1.*",
        "quay.io/a/b:*",
    ] {
        assert!(Reference::parse(text).is_err(), "{text}");
    }
    refuses(&[
        (
            "docker://nginx",
            "drop the scheme `docker://`, write `nginx`",
        ),
        (
            "https://me:secret@quay.io/a",
            "drop the scheme `https://`, write `quay.io/a`",
        ),
    ]);
}

#[test]
fn docker_hub_has_four_names() {
    for name in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
        "Docker.IO",
    ] {
        let registry = Registry::parse(name).unwrap();
        assert!(registry.is_docker_hub(), "{name}");
        assert_eq!(
            (registry.as_str(), registry.api_host(), registry.port()),
            ("docker.io", "registry-1.docker.io", None)
        );
        assert_eq!(
            Repository::parse(&format!("{name}/x")).unwrap().path(),
            "library/x"
        );
    }
}

#[test]
fn registries() {
    for (text, name, host, port) in [
        ("quay.io", "quay.io", "quay.io", None),
        ("localhost", "localhost", "localhost", None),
        ("HARBOR:0443", "harbor:443", "harbor", Some(443)),
        ("[FE80::1]", "[fe80::1]", "[fe80::1]", None),
        ("[::1]:5000", "[::1]:5000", "[::1]", Some(5000)),
    ] {
        let registry = Registry::parse(text).unwrap();
        assert_eq!(
            (registry.as_str(), registry.api_host(), registry.port()),
            (name, host, port)
        );
    }
    for (text, why) in [
        ("", "it is empty"),
        (
            "harbor",
            "a host without a dot needs its port, write `harbor:443`",
        ),
        (
            "https://quay.io",
            "drop the scheme `https://`, write `quay.io`",
        ),
        ("quay.io/a", "a registry has no path, write `quay.io`"),
        (
            "quay.io:0",
            "`0` is not a port; a port is a number from 1 to 65535",
        ),
        (
            "quay.io:+1",
            "`+1` is not a port; a port is a number from 1 to 65535",
        ),
        (
            "quay.io:65536",
            "`65536` is not a port; a port is a number from 1 to 65535",
        ),
        ("[::1", "`[::1` is not an IPv6 address"),
        (
            "[::ffff:1.2.3.4]",
            "`[::ffff:1.2.3.4]` is not an IPv6 address",
        ),
        ("[::1]x:5", "`[::1]x` is not an IPv6 address"),
    ] {
        let error = Registry::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is not a registry: {why}"));
    }
}

#[test]
fn repositories() {
    let quay = Registry::parse("quay.io").unwrap();
    assert_eq!(
        Repository::new(quay.clone(), "a").unwrap().to_string(),
        "quay.io/a"
    );
    assert_eq!(
        Repository::new(Registry::docker_hub(), "a")
            .unwrap()
            .to_string(),
        "docker.io/library/a"
    );
    assert_eq!(
        Repository::new(quay, "a:v1").unwrap_err().to_string(),
        "`a:v1` is not a repository: the component `a:v1` may hold a-z and 0-9, and between them one dot, one or two \
         underscores, or dashes"
    );
    assert!(Repository::parse("quay.io/a:v1").is_err());
    for (text, why) in [
        (
            "quay.io/a@sha256:b",
            "`quay.io/a@sha256:b` is not a repository: a digest has no place here",
        ),
        (
            "me:se/cret@quay.io/a",
            "`…@quay.io/a` is not a repository: a user name does not belong here, credentials stand in the auth \
             file, write `quay.io/a`",
        ),
    ] {
        assert_eq!(Repository::parse(text).unwrap_err().to_string(), why);
    }
}

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        registry in "(([a-z][a-z0-9-]{0,3}[a-z0-9]\\.){1,2}[a-z]{2,3}|\\[::[0-9a-f]{1,4}\\]|localhost)(:[1-9][0-9]{0,3})?",
        path in prop::collection::vec(component(), 1..4),
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        digest in prop::option::of("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"),
    ) {
        let mut text = format!("{registry}/{}", path.join("/"));
        if let Some(tag) = &tag { text = format!("{text}:{tag}"); }
        if let Some(digest) = &digest { text = format!("{text}@{digest}"); }
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-zA-Z0-9:/@._\\[\\] %-]{0,40}|\\PC{0,20}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }
    }
}

#[test]
fn tags_that_list_referrers() {
    let long = format!("sha512:{}", "ab".repeat(64));
    let cut = format!("sha512-{}", "ab".repeat(32));
    for (digest, tag) in [
        (format!("sha256:{H}"), format!("sha256-{H}")),
        (long, cut),
        ("md5+b64:A_b=".to_owned(), "md5-b64-A_b-".to_owned()),
        (
            format!("{}:x", "a".repeat(40)),
            format!("{}-x", "a".repeat(32)),
        ),
    ] {
        let digest = Digest::parse(&digest).unwrap();
        assert_eq!(Tag::of_referrers_to(&digest), Tag::parse(&tag).unwrap());
    }
}

#[test]
fn a_registry_without_a_repository_is_not_an_image_of_docker_hub() {
    let why = "it is a registry without a repository, write";
    for (text, write) in [
        ("harbor.example.com", "harbor.example.com/REPOSITORY"),
        ("localhost:5000", "localhost:5000/REPOSITORY"),
        ("harbor.example.com:v1", "harbor.example.com/REPOSITORY:v1"),
    ] {
        let told = Reference::parse(text).unwrap_err().to_string();
        assert_eq!(
            told,
            format!("`{text}` is not a reference: {why} `{write}`")
        );
    }
    let told = Repository::parse("mirror:5000").unwrap_err().to_string();
    assert_eq!(
        told,
        format!("`mirror:5000` is not a repository: {why} `mirror:5000/REPOSITORY`")
    );
    assert_eq!(
        Reference::parse("redis:7").unwrap().to_string(),
        "docker.io/library/redis:7"
    );
}

#[test]
fn a_second_port_is_told_from_an_ipv6_address() {
    for (text, why) in [
        (
            "10.12.101.14:32402:32402",
            "it has two ports, write `10.12.101.14:32402`",
        ),
        ("r.example:1:2", "it has two ports, write `r.example:1`"),
        (
            "fe80::1",
            "an IPv6 address stands in brackets, as in `[fe80::1]`",
        ),
    ] {
        let told = Registry::parse(text).unwrap_err().to_string();
        assert_eq!(told, format!("`{text}` is not a registry: {why}"));
    }
}
