//! The bases of Kustomize, rendered as `kubectl apply -k` does.

use std::process::Command;

use serde_json::{Value, json};

use super::manifests::{arguments, assert_sound, container, flag, only, parsed, pod};
use crate::support::Outcome;

/// Secrets that users create beforehand.
const SECRETS: [&str; 1] = ["image-syncer-logins"];

fn directory() -> String {
    format!("{}/contrib/kubernetes", env!("CARGO_MANIFEST_DIR"))
}

/// Renders a base.
#[track_caller]
pub(super) fn render(base: &str) -> String {
    let mut kustomize = Command::new("kubectl");
    kustomize.args(["kustomize", &format!("{}/{base}", directory())]);
    let rendered = Outcome::of(kustomize.output().unwrap()).exits(0);
    // Deprecated fields are warnings.
    assert_eq!(rendered.stderr, "", "{base}");
    rendered.stdout
}

/// Renders a base, and checks all that holds for any.
#[track_caller]
fn sound(base: &str) -> Vec<Value> {
    let manifests = assert_sound(&render(base), &SECRETS);
    for manifest in &manifests {
        assert_eq!(
            manifest["metadata"]["namespace"], "image-syncer",
            "{manifest:#}"
        );
    }
    manifests
}

#[test]
fn the_namespace_enforces_restricted_pods() {
    testkit::needs!("kubectl");
    let manifests = parsed(&render("namespace"));
    let namespace = only(&manifests, "Namespace");
    assert_eq!(namespace["metadata"]["name"], "image-syncer");
    let labels = &namespace["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn the_cron_job_never_overtakes_itself() {
    testkit::needs!("kubectl", "kubernetes-validate");
    let manifests = sound("cronjob");
    let cron = only(&manifests, "CronJob");
    assert_eq!(cron["spec"]["concurrencyPolicy"], "Forbid");
    let job = &cron["spec"]["jobTemplate"]["spec"];
    assert_ends_with_wrong_files(job, "FailJob");
    let arguments = arguments(pod(cron).unwrap());
    let records = flag(&arguments, "--records");
    assert_eq!(records, Some("/var/lib/image-syncer/records.sqlite3"));
}

#[test]
fn the_job_needs_no_volume_but_its_own() {
    testkit::needs!("kubectl", "kubernetes-validate");
    let manifests = sound("job");
    let job = only(&manifests, "Job");
    assert_ends_with_wrong_files(&job["spec"], "FailJob");
    let kinds: Vec<&Value> = manifests.iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "Job"]);
}

#[test]
fn the_indexed_job_has_all_shards() {
    testkit::needs!("kubectl", "kubernetes-validate");
    let manifests = sound("indexed-job");
    let job = only(&manifests, "Job");
    assert_ends_with_wrong_files(&job["spec"], "FailIndex");
    let shard = flag(&arguments(pod(job).unwrap()), "--shard");
    assert_eq!(
        shard.unwrap(),
        format!("auto/{}", job["spec"]["completions"])
    );
    let merge = std::fs::read_to_string(format!("{}/indexed-job/merge.yaml", directory()));
    // The claim is that of the Job.
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: image-syncer-reports\n\
                 spec:\n  accessModes: [ReadWriteMany]\n  resources:\n    requests:\n      storage: 1Gi\n";
    assert_sound(&format!("{}---\n{claim}", merge.unwrap()), &SECRETS);
}

#[test]
fn the_service_is_one_process_with_probes() {
    testkit::needs!("kubectl", "kubernetes-validate");
    let manifests = sound("service");
    let deployment = only(&manifests, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    let container = container(pod(deployment).unwrap());
    for (probe, path) in [
        ("startupProbe", "/readyz"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/healthz"),
    ] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({"path": path, "port": "http"})
        );
    }
    // A changed name would start a new pod instead of reading the rules again.
    assert_eq!(
        only(&manifests, "ConfigMap")["metadata"]["name"],
        "image-syncer-rules"
    );
}

#[test]
fn workers_start_again_with_changed_rules() {
    testkit::needs!("kubectl", "kubernetes-validate");
    let manifests = sound("workers");
    let name = |kind: &str| {
        let pod = pod(only(&manifests, kind)).unwrap();
        pod.pointer("/volumes/0/secret/secretName").unwrap().clone()
    };
    assert_eq!(name("Deployment"), name("CronJob"));
    let hash = name("Deployment");
    assert!(
        hash.as_str().unwrap().starts_with("image-syncer-"),
        "{hash}"
    );
}

/// Asserts that a Job does not repeat a run with wrong files, and repeats one whose node was drained.
#[track_caller]
fn assert_ends_with_wrong_files(job: &Value, action: &str) {
    assert_eq!(job["template"]["spec"]["restartPolicy"], "Never");
    let expected = json!([
        {"action": action, "onExitCodes": {
            "containerName": "image-syncer", "operator": "In", "values": [2]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]);
    assert_eq!(job["podFailurePolicy"]["rules"], expected);
}
