//! Checks of rendered manifests: the schemas of Kubernetes, restricted pods, arguments, mounts and rules.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use clap::Parser as _;
use image_syncer::cli::Cli;
use serde_json::{Value, json};

use crate::support::{Outcome, Place};

/// Oldest and newest version of Kubernetes that the manifests are validated against.
const KUBERNETES: [&str; 2] = ["1.29", "1.35"];

/// Kinds of the operator of Prometheus, of which `kubernetes-validate` has no schema.
const OTHERS: [&str; 1] = ["ServiceMonitor"];

/// Returns the documents of a text.
#[track_caller]
pub(super) fn parsed(text: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    assert!(!documents.is_empty(), "nothing in it");
    documents
}

/// Returns the manifests of a kind.
pub(super) fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = |manifest: &&Value| manifest["kind"] == kind;
    manifests.iter().filter(of_kind).collect()
}

/// Returns the only manifest of a kind.
#[track_caller]
pub(super) fn only<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let [only] = of_kind(manifests, kind)[..] else {
        panic!("not one {kind}");
    };
    only
}

/// Returns the specification of the pods of a manifest.
pub(super) fn pod(manifest: &Value) -> Option<&Value> {
    let spec = match manifest["kind"].as_str().unwrap() {
        "Deployment" | "StatefulSet" | "Job" => &manifest["spec"],
        "CronJob" => &manifest["spec"]["jobTemplate"]["spec"],
        _ => return None,
    };
    Some(&spec["template"]["spec"])
}

/// Returns the only container of a pod.
#[track_caller]
pub(super) fn container(pod: &Value) -> &Value {
    let [container] = &pod["containers"].as_array().unwrap()[..] else {
        panic!("not one container");
    };
    container
}

/// Returns the arguments of the container of a pod.
pub(super) fn arguments(pod: &Value) -> Vec<&str> {
    strings(&container(pod)["args"])
}

fn strings(value: &Value) -> Vec<&str> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|it| it.as_str().unwrap()).collect()
}

/// Returns the value of a flag.
#[track_caller]
pub(super) fn flag<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|it| *it == name)?;
    Some(arguments[at + 1])
}

/// Asserts everything that holds for any rendered text. `secrets` are the names of Secrets that it does not have.
#[track_caller]
pub(super) fn assert_sound(text: &str, secrets: &[&str]) -> Vec<Value> {
    let manifests = parsed(text);
    assert_valid(text);
    let mut pods = 0;
    for manifest in &manifests {
        if let Some(pod) = pod(manifest) {
            pods += 1;
            assert_restricted(pod);
            assert_arguments(pod);
            assert_mounts(pod, manifest);
            assert_references(pod, &manifests, secrets);
        }
    }
    assert!(pods > 0, "no pod:\n{text}");
    assert_selectors(&manifests);
    for map in of_kind(&manifests, "ConfigMap") {
        assert_rules(map);
    }
    manifests
}

/// Asserts that Kubernetes has every field.
#[track_caller]
fn assert_valid(text: &str) {
    let is_known = |part: &&str| {
        let is = |kind: &&str| {
            let first = format!("kind: {kind}");
            part.lines().any(|line| line == first)
        };
        !OTHERS.iter().any(is)
    };
    let known: Vec<&str> = text.split("\n---\n").filter(is_known).collect();
    let place = Place::new().file("manifests.yaml", &known.join("\n---\n"));
    for version in KUBERNETES {
        let mut validate = Command::new("kubernetes-validate");
        validate.args(["-k", version, "--strict", "--quiet"]);
        let validated = Outcome::of(validate.arg(place.path("manifests.yaml")).output().unwrap());
        assert_eq!(
            (
                validated.code,
                validated.stdout.as_str(),
                validated.stderr.as_str()
            ),
            (0, "", ""),
            "{version}:\n{text}"
        );
    }
}

/// Asserts the Pod Security Standard `restricted`, and what the manifests promise beside it.
#[track_caller]
fn assert_restricted(pod: &Value) {
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}));
    for id in ["runAsUser", "runAsGroup"] {
        assert!(
            context.get(id).is_none_or(|id| id == 65532),
            "{id}: {context:#}"
        );
    }
    assert_eq!(pod["automountServiceAccountToken"], false);
    for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
        assert_eq!(pod.get(forbidden), None);
    }
    let container = container(pod);
    let expected = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], expected);
    let resources = &container["resources"];
    for (kind, name) in [
        ("requests", "cpu"),
        ("requests", "memory"),
        ("limits", "memory"),
    ] {
        assert!(resources[kind].get(name).is_some(), "no {kind} of {name}");
    }
    let allowed = [
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "name",
    ];
    for volume in pod["volumes"].as_array().unwrap() {
        for kind in volume.as_object().unwrap().keys() {
            assert!(allowed.contains(&kind.as_str()), "a volume of {kind}");
        }
    }
}

/// Asserts that the program of this version understands its arguments, and has the time to stop.
#[track_caller]
fn assert_arguments(pod: &Value) {
    let arguments = arguments(pod);
    let all = std::iter::once("image-syncer").chain(arguments.iter().copied());
    Cli::try_parse_from(all).unwrap_or_else(|error| panic!("{error}"));
    if let Some(grace) = flag(&arguments, "--grace") {
        let grace: u64 = grace.parse().unwrap();
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > grace);
    }
    let image = container(pod)["image"].as_str().unwrap();
    let tag = format!(":{}", env!("CARGO_PKG_VERSION"));
    assert!(
        image.ends_with(&tag) || image.contains("@sha256:"),
        "{image}"
    );
}

/// Asserts that each mount has a volume and the reverse, and that files are written to volumes only.
#[track_caller]
fn assert_mounts(pod: &Value, manifest: &Value) {
    let names = |list: &Value, name: fn(&Value) -> &Value| -> Vec<String> {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .map(|it| name(it).as_str().unwrap().to_owned())
            .collect()
    };
    let container = container(pod);
    let mut volumes = names(&pod["volumes"], |volume| &volume["name"]);
    let templates = &manifest["spec"]["volumeClaimTemplates"];
    volumes.extend(names(templates, |claim| &claim["metadata"]["name"]));
    let mut mounted = names(&container["volumeMounts"], |mount| &mount["name"]);
    volumes.sort();
    mounted.sort();
    assert_eq!(volumes, mounted);
    let mounts = container["volumeMounts"].as_array().unwrap();
    let is_writable = |path: &str| {
        mounts.iter().any(|mount| {
            mount.get("readOnly").is_none_or(|it| it == false)
                && path.starts_with(mount["mountPath"].as_str().unwrap())
        })
    };
    assert!(is_writable("/tmp/") || arguments(pod)[0] == "report");
    for name in ["--records", "--report", "--state", "--output"] {
        if let Some(path) = flag(&arguments(pod), name) {
            assert!(is_writable(path), "{name} {path}");
        }
    }
}

/// Asserts that everything with a name exists, or is a Secret of `secrets`.
#[track_caller]
fn assert_references(pod: &Value, manifests: &[Value], secrets: &[&str]) {
    let exists = |kind: &str, name: &Value| {
        let is_named = |it: &&Value| it["metadata"]["name"] == *name;
        of_kind(manifests, kind).iter().any(is_named)
    };
    let is_secret =
        |name: &Value| exists("Secret", name) || secrets.iter().any(|secret| name == secret);
    for volume in pod["volumes"].as_array().unwrap() {
        if let Some(name) = volume.pointer("/configMap/name") {
            assert!(exists("ConfigMap", name), "no ConfigMap {name}");
        }
        if let Some(name) = volume.pointer("/secret/secretName") {
            assert!(is_secret(name), "no Secret {name}");
        }
        if let Some(name) = volume.pointer("/persistentVolumeClaim/claimName") {
            let is_ours = exists("PersistentVolumeClaim", name);
            assert!(is_ours || name == "existing", "no claim {name}");
        }
    }
    let variables = container(pod)["env"].as_array();
    for variable in variables.map(Vec::as_slice).unwrap_or_default() {
        if let Some(name) = variable.pointer("/valueFrom/secretKeyRef/name") {
            assert!(is_secret(name), "no Secret {name}");
        }
    }
    if let Some(account) = pod.get("serviceAccountName") {
        let is_ours = exists("ServiceAccount", account);
        assert!(
            is_ours || account == "default",
            "no ServiceAccount {account}"
        );
    }
}

/// Asserts that each selector of pods has some, and that no two workloads select the same pods.
#[track_caller]
fn assert_selectors(manifests: &[Value]) {
    let labels = |manifest: &Value| -> Option<Value> {
        pod(manifest)?;
        let spec = match manifest["kind"].as_str() {
            Some("CronJob") => &manifest["spec"]["jobTemplate"]["spec"],
            _ => &manifest["spec"],
        };
        Some(spec["template"]["metadata"]["labels"].clone())
    };
    let pods: Vec<Value> = manifests.iter().filter_map(labels).collect();
    let selected = |selector: &Value| {
        let selector = selector.as_object().unwrap();
        let matches = |labels: &&Value| {
            selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        };
        pods.iter().filter(matches).count()
    };
    for manifest in manifests {
        let selector = match manifest["kind"].as_str().unwrap() {
            "Deployment" | "StatefulSet" => &manifest["spec"]["selector"]["matchLabels"],
            "Service" => &manifest["spec"]["selector"],
            "NetworkPolicy" => &manifest["spec"]["podSelector"]["matchLabels"],
            _ => continue,
        };
        assert_eq!(selected(selector), 1, "{manifest:#}");
    }
}

/// Asserts that the program accepts the rules of a `ConfigMap`.
#[track_caller]
fn assert_rules(map: &Value) {
    for (name, text) in map["data"].as_object().unwrap() {
        assert_rules_are_valid(name, text.as_str().unwrap());
    }
}

/// Asserts that the program accepts rules, whose secrets are files.
#[track_caller]
pub(super) fn assert_rules_are_valid(name: &str, text: &str) {
    let local = text.replace("/run/secrets/image-syncer/", "secret-");
    let place = Place::new().file(name, &local);
    let private = std::fs::Permissions::from_mode(0o600);
    for secret in ["secret-registry", "secret-ops"] {
        std::fs::write(place.path(secret), "example\n").unwrap();
        std::fs::set_permissions(place.path(secret), private.clone()).unwrap();
    }
    let outcome = place.run(&["validate", "--config", name]).exits(0);
    assert_eq!(outcome.stderr, "", "{text}");
}
