//! Payloads with the fields that vendors document, and bodies that no vendor sends.

use proptest::prelude::*;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use crate::service::hooks::HookKind;
use crate::service::hooks::push::{MAX_EVENTS, PayloadError, Push, Pushed};

const DIGEST: &str = "sha256:dde8e930c7b6a490f728e66292bc9bce42efc9bbb5278bae40e4f30f6e00fe8c";

/// Returns the pushes as texts: `registry/path:tag`, `@` for a digest, nothing for anything; or the reason.
fn parse(kind: HookKind, body: &Value) -> Vec<String> {
    match kind.parse(body.to_string().as_bytes()) {
        Ok(pushes) => pushes.iter().map(text).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn text(push: &Push) -> String {
    let registry = push.registry.as_ref().map_or("?", |it| it.as_str());
    let pushed = match &push.pushed {
        Pushed::Tag(tag) => format!(":{tag}"),
        Pushed::Digest => "@".to_owned(),
        Pushed::Anything => String::new(),
    };
    format!("{registry}/{}{pushed}", push.path)
}

#[test]
fn the_digests_that_registries_state_are_known() {
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let target =
        json!({"digest": DIGEST, "tag": "v1", "resource_url": "harbor.example/library/busybox:v1"});
    let data = json!({"resources": [target], "repository": {"repo_full_name": "library/busybox"}});
    for (kind, body, stated) in [
        (
            HookKind::Distribution,
            json!({"events": [event("push", manifest, Some("v1"))]}),
            true,
        ),
        (HookKind::Acr, event("push", manifest, Some("v1")), true),
        (
            HookKind::Harbor,
            json!({"type": "PUSH_ARTIFACT", "event_data": data}),
            true,
        ),
        (
            HookKind::Generic,
            json!({"repository": "team/app", "tags": ["v1"]}),
            false,
        ),
    ] {
        let pushes = kind.parse(body.to_string().as_bytes()).unwrap();
        let digest = pushes[0]
            .digest
            .as_ref()
            .map(image_syncer_registry::Digest::as_str);
        assert_eq!(digest, stated.then_some(DIGEST), "{kind}");
    }
}

/// Returns an event of distribution.
fn event(action: &str, media_type: &str, tag: Option<&str>) -> Value {
    let mut target = json!({
        "mediaType": media_type, "size": 708, "digest": DIGEST, "length": 708,
        "repository": "team/app", "url": format!("http://registry.example:5000/v2/team/app/blobs/{DIGEST}"),
    });
    if let Some(tag) = tag {
        target["tag"] = json!(tag);
    }
    json!({
        "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7", "timestamp": "2016-03-09T14:44:26.402973972-08:00",
        "action": action, "target": target,
        "request": {"id": "6df24a34", "addr": "192.168.64.11:42961", "host": "registry.example:5000", "method": "PUT"},
        "actor": {"name": "ci"}, "source": {"addr": "xtal.local:5000", "instanceID": "a53db899"},
    })
}

#[test]
fn distribution_reports_manifests_and_blobs_alike() {
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let index = "application/vnd.docker.distribution.manifest.list.v2+json";
    let body = json!({"events": [
        event("push", "application/octet-stream", None),
        event("pull", manifest, Some("v1")),
        event("delete", manifest, Some("v1")),
        event("mount", "application/octet-stream", None),
        event("push", manifest, None),
        event("push", index, Some("v1")),
        event("push", "application/vnd.example.custom", Some("v2")),
        event("push", manifest, Some("not a tag")),
    ]});
    let pushes = [
        "registry.example:5000/team/app@",
        "registry.example:5000/team/app:v1",
        "registry.example:5000/team/app:v2",
    ];
    assert_eq!(parse(HookKind::Distribution, &body), pushes);
    let pulls = json!({"events": [event("pull", manifest, Some("v1"))]});
    let none = ["no event is the push of a manifest"];
    assert_eq!(parse(HookKind::Distribution, &pulls), none);
    assert_eq!(parse(HookKind::Distribution, &json!({"events": []})), none);
    // A manifest of an unknown type is known by its URL.
    let mut unknown = event("push", "application/vnd.example.custom", None);
    unknown["target"]["url"] = json!(format!("https://r.example/v2/team/app/manifests/{DIGEST}"));
    unknown["request"]["host"] = json!("");
    let body = json!({"events": [unknown]});
    assert_eq!(parse(HookKind::Distribution, &body), ["?/team/app@"]);
}

#[test]
fn harbor_sends_two_formats() {
    let data = json!({
        "resources": [
            {"digest": DIGEST, "tag": "v1", "resource_url": "harbor.example/library/busybox:v1"},
            {"digest": DIGEST, "tag": DIGEST, "resource_url": format!("harbor.example/library/busybox@{DIGEST}")},
        ],
        "repository": {
            "date_created": 1_677_053_165, "name": "busybox", "namespace": "library",
            "repo_full_name": "library/busybox", "repo_type": "public",
        },
    });
    let default = json!({"type": "PUSH_ARTIFACT", "occur_at": 1_680_502_375, "operator": "ci", "event_data": data});
    let cloud_events = json!({
        "specversion": "1.0", "id": "4b2f89a6", "source": "/projects/1/webhook/policies/3",
        "type": "harbor.artifact.pushed", "datacontenttype": "application/json", "time": "2023-03-06T06:08:43Z",
        "data": data, "operator": "ci",
    });
    let pushes = [
        "harbor.example/library/busybox:v1",
        "harbor.example/library/busybox@",
    ];
    assert_eq!(parse(HookKind::Harbor, &default), pushes);
    assert_eq!(parse(HookKind::Harbor, &cloud_events), pushes);
    let mut other = default.clone();
    other["type"] = json!("SCANNING_COMPLETED");
    let why = ["the event `SCANNING_COMPLETED` is not a push"];
    assert_eq!(parse(HookKind::Harbor, &other), why);
    let mut without_url = default;
    without_url["event_data"]["resources"] = json!([{"tag": "v2"}]);
    assert_eq!(
        parse(HookKind::Harbor, &without_url),
        ["?/library/busybox:v2"]
    );
}

#[test]
fn hub_names_repositories_of_docker_hub_alone() {
    let body = |name: &str| {
        json!({
            "callback_url": "https://registry.hub.docker.com/u/someone/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/",
            "push_data": {"pushed_at": 1_417_566_161, "pusher": "trustedbuilder", "tag": "latest"},
            "repository": {"name": "hook", "namespace": "someone", "owner": "someone", "repo_name": name,
                "repo_url": "https://registry.hub.docker.com/u/someone/hook/", "status": "Active"},
        })
    };
    assert_eq!(
        parse(HookKind::Hub, &body("someone/hook")),
        ["docker.io/someone/hook:latest"]
    );
    assert_eq!(
        parse(HookKind::Hub, &body("busybox")),
        ["docker.io/library/busybox:latest"]
    );
    let none = ["no event is the push of a manifest"];
    assert_eq!(parse(HookKind::Hub, &body("https://a.example/x")), none);
}

#[test]
fn github_reports_versions_of_packages() {
    let package = |tag: &str, url: &str| {
        json!({
            "id": 1, "name": "Hello", "namespace": "Octo-Org", "ecosystem": "CONTAINER", "package_type": "CONTAINER",
            "html_url": "https://github.com/orgs/octo-org/packages/container/package/hello",
            "owner": {"login": "Octo-Org", "id": 6, "type": "Organization"},
            "package_version": {
                "id": 7, "version": DIGEST, "package_url": url,
                "container_metadata": {"tag": {"name": tag, "digest": DIGEST}, "labels": {}, "manifest": {}},
            },
            "registry": {"about_url": "https://docs.github.com", "name": "GitHub CONTAINER registry", "type": "CONTAINER",
                "url": "https://CONTAINER.pkg.github.com/octo-org", "vendor": "GitHub Inc"},
        })
    };
    let event = |key: &str, package: Value| json!({"action": "published", key: package, "sender": {"login": "octocat"}});
    let tagged = package("v1", "ghcr.io/octo-org/hello:v1");
    for key in ["package", "registry_package"] {
        let body = event(key, tagged.clone());
        assert_eq!(
            parse(HookKind::Ghcr, &body),
            ["ghcr.io/octo-org/hello:v1"],
            "{key}"
        );
    }
    for (url, push) in [
        ("ghcr.io/octo-org/hello:", "ghcr.io/octo-org/hello@"),
        (
            "containers.corp.example/octo-org/hello",
            "containers.corp.example/octo-org/hello@",
        ),
        // Names of the registry are lower-case.
        ("", "ghcr.io/octo-org/hello@"),
        ("no/host:v1", "ghcr.io/octo-org/hello@"),
    ] {
        let body = event("package", package("", url));
        assert_eq!(parse(HookKind::Ghcr, &body), [push], "{url}");
    }
    let mut npm = tagged.clone();
    npm["package_type"] = json!("npm");
    npm["ecosystem"] = json!("npm");
    for (body, why) in [
        (
            event("package", npm),
            "the package is not a container image",
        ),
        (
            json!({"action": "deleted", "package": tagged}),
            "the event `deleted` is not a push",
        ),
        (
            json!({"zen": "Keep it simple.", "hook_id": 1, "hook": {}}),
            "the event `ping` is not a push",
        ),
        (
            json!({"action": "opened", "issue": {}}),
            "no event is the push of a manifest",
        ),
    ] {
        assert_eq!(parse(HookKind::Ghcr, &body), [why]);
    }
}

#[test]
fn quay_names_its_updated_tags() {
    let body = |tags: Value| {
        json!({
            "name": "repository", "repository": "team/app", "namespace": "team", "docker_url": "quay.io/team/app",
            "homepage": "https://quay.io/repository/team/app", "updated_tags": tags,
        })
    };
    let pushes = ["quay.io/team/app:latest", "quay.io/team/app:v1"];
    assert_eq!(
        parse(HookKind::Quay, &body(json!(["latest", "v1"]))),
        pushes
    );
    assert_eq!(
        parse(
            HookKind::Quay,
            &body(json!({"latest": "b750", "v1": "b751"}))
        ),
        pushes
    );
    assert_eq!(
        parse(HookKind::Quay, &body(json!([]))),
        ["quay.io/team/app"]
    );
    let none = ["no event is the push of a manifest"];
    assert_eq!(parse(HookKind::Quay, &body(Value::Null)), none);
}

#[test]
fn azure_sends_one_event_of_distribution() {
    let mut push = event(
        "push",
        "application/vnd.docker.distribution.manifest.v2+json",
        Some("v1"),
    );
    push["request"]["host"] = json!("myregistry.azurecr.io");
    assert_eq!(
        parse(HookKind::Acr, &push),
        ["myregistry.azurecr.io/team/app:v1"]
    );
    push["target"]["tag"] = json!("");
    assert_eq!(
        parse(HookKind::Acr, &push),
        ["myregistry.azurecr.io/team/app@"]
    );
    push["action"] = json!("chart_push");
    assert_eq!(
        parse(HookKind::Acr, &push),
        ["the event `chart_push` is not a push"]
    );
    let ping = json!({"id": "1", "timestamp": "2017-11-17T16:52:01Z", "action": "ping"});
    assert_eq!(
        parse(HookKind::Acr, &ping),
        ["the event `ping` is not a push"]
    );
}

#[test]
fn generic_calls_are_written_by_people() {
    for (body, expected) in [
        (
            json!({"registry": "r.example", "repository": "team/app", "tags": ["v1", "v2"]}),
            &["r.example/team/app:v1", "r.example/team/app:v2"][..],
        ),
        (
            json!({"repository": "r.example/team/app"}),
            &["r.example/team/app"],
        ),
        (
            json!({"repository": "team/app", "tags": []}),
            &["?/team/app"],
        ),
        (
            json!({"registry": "index.docker.io", "repository": "nginx"}),
            &["docker.io/library/nginx"],
        ),
        (
            json!({"repository": "team/app", "tags": ["no tag"]}),
            &["`no tag` is not a tag: it must be made of letters, digits, `_`, `.` and `-`"],
        ),
    ] {
        let found = parse(HookKind::Generic, &body);
        if expected[0].contains(" is not ") {
            assert!(found[0].starts_with("`no tag` is not a tag: "), "{found:?}");
        } else {
            assert_eq!(found, expected);
        }
    }
    let registry = json!({"registry": "https://r.example", "repository": "team/app"});
    let why =
        "`https://r.example` is not a registry: drop the scheme `https://`, write `r.example`";
    assert_eq!(parse(HookKind::Generic, &registry), [why]);
}

#[test]
fn errors_do_not_quote_the_body() {
    let secret = r#"{"repository": ["hunter22"]}"#;
    let error = HookKind::Generic.parse(secret.as_bytes()).unwrap_err();
    let why = "the body is not JSON of this kind of hook: another structure than expected at line 1, column 17";
    assert!(error.to_string().starts_with(&why[..70]), "{error}");
    assert!(!error.to_string().contains("hunter22"), "{error}");
    let deep = format!("{{\"events\": {}", "[".repeat(100_000));
    for kind in HookKind::iter() {
        for body in ["", "null", "[]", "{", &deep] {
            let parsed = kind.parse(body.as_bytes());
            assert!(parsed.is_err(), "{kind}: {}", &body[..body.len().min(10)]);
        }
    }
}

#[test]
fn the_number_of_events_is_bounded() {
    let one = event(
        "push",
        "application/vnd.oci.image.manifest.v1+json",
        Some("v1"),
    );
    let tag = |number: usize| format!("v{number}");
    for (count, is_refused) in [(MAX_EVENTS, false), (MAX_EVENTS + 1, true)] {
        let tags: Vec<String> = (0..count).map(tag).collect();
        let resources: Vec<Value> = tags.iter().map(|tag| json!({"tag": tag})).collect();
        for (kind, body) in [
            (
                HookKind::Distribution,
                json!({"events": vec![one.clone(); count]}),
            ),
            (
                HookKind::Harbor,
                json!({"type": "PUSH_ARTIFACT", "event_data":
                {"resources": resources, "repository": {"repo_full_name": "team/app"}}}),
            ),
            (
                HookKind::Quay,
                json!({"docker_url": "quay.io/team/app", "updated_tags": tags}),
            ),
            (
                HookKind::Generic,
                json!({"repository": "team/app", "tags": tags}),
            ),
        ] {
            let parsed = kind.parse(body.to_string().as_bytes());
            assert_eq!(
                parsed == Err(PayloadError::too_many()),
                is_refused,
                "{kind} {count}"
            );
            assert_eq!(
                parsed.map_or(0, |it| it.len()),
                if is_refused { 0 } else { count }
            );
        }
    }
}

/// Returns JSON documents that resemble payloads: their keys, with any values.
fn payload() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "events",
        "action",
        "target",
        "mediaType",
        "repository",
        "url",
        "tag",
        "request",
        "host",
        "type",
        "event_data",
        "data",
        "resources",
        "resource_url",
        "repo_full_name",
        "push_data",
        "repo_name",
        "package",
        "registry_package",
        "name",
        "namespace",
        "package_type",
        "owner",
        "login",
        "package_version",
        "package_url",
        "container_metadata",
        "docker_url",
        "updated_tags",
        "registry",
        "tags",
        "zen",
    ]);
    let text = prop_oneof![
        prop::sample::select(vec![
            "push",
            "published",
            "PUSH_ARTIFACT",
            "CONTAINER",
            "ghcr.io/a/b:c",
            "r.example/x@",
            ":",
            "@",
            "/",
            "",
            "a/b",
            "é:é/é@é",
            "[::1]:5000/x:y",
        ])
        .prop_map(ToOwned::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_makes_a_parser_panic(body in payload(), bytes in any::<Vec<u8>>()) {
        for kind in HookKind::iter() {
            let _ = kind.parse(&bytes);
            if let Ok(pushes) = kind.parse(body.to_string().as_bytes()) {
                prop_assert!(!pushes.is_empty() && pushes.len() <= MAX_EVENTS);
            }
        }
    }
}
