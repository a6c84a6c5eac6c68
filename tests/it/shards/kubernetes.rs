//! The manifests of an Indexed Job.

use serde_json::{Value, json};

/// Returns the documents of a manifest.
fn manifests(name: &str) -> Vec<Value> {
    let path = format!("{}/contrib/kubernetes/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn find<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let found = manifests.iter().find(|manifest| manifest["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

#[test]
fn the_job_starts_each_shard_and_ends_one_with_wrong_files() {
    let manifests = manifests("indexed-job/job.yaml");
    let job = find(&manifests, "Job");
    assert_eq!(job["apiVersion"], "batch/v1");
    let spec = &job["spec"];
    let completions = spec["completions"].as_u64().unwrap();
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["parallelism"], completions);
    assert_eq!(spec["backoffLimitPerIndex"], 2);
    assert_eq!(spec["maxFailedIndexes"], completions);
    assert_eq!(spec.get("backoffLimit"), None);
    let pod = &spec["template"]["spec"];
    // Required by `backoffLimitPerIndex` and `podFailurePolicy`.
    assert_eq!(pod["restartPolicy"], "Never");
    let container = &pod["containers"][0];
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let usage = json!({"action": "FailIndex", "onExitCodes": {
        "containerName": container["name"], "operator": "In", "values": [2]}});
    assert!(rules.contains(&usage), "{rules:#?}");
    let evicted = json!({"action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
    assert!(rules.contains(&evicted), "{rules:#?}");
    let arguments: Vec<&str> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|it| *it == flag);
        arguments[at.unwrap_or_else(|| panic!("no {flag}")) + 1]
    };
    assert_eq!(value("--shard"), format!("auto/{completions}"));
    assert_eq!(
        value("--report"),
        "/reports/shard-$(JOB_COMPLETION_INDEX).json"
    );
    let grace: u64 = value("--grace").parse().unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > grace);
    // Each volume of the container exists.
    let volumes: Vec<&Value> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(volumes.contains(&&mount["name"]), "{mount}");
    }
    let claim = find(&manifests, "PersistentVolumeClaim");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["allowPrivilegeEscalation"], false);
}

#[test]
fn the_job_understands_the_arguments_of_the_program() {
    let manifests = manifests("indexed-job/job.yaml");
    let container = &find(&manifests, "Job")["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter();
    let mut all = vec!["image-syncer".to_owned()];
    all.extend(arguments.map(|it| it.as_str().unwrap().to_owned()));
    let parsed = <image_syncer::cli::Cli as clap::Parser>::try_parse_from(all).unwrap();
    assert!(parsed.command.is_none());
    assert_eq!(parsed.sync.sharding.shard.as_deref(), Some("auto/8"));
}

#[test]
fn the_reports_of_all_shards_are_merged() {
    let manifests = manifests("indexed-job/merge.yaml");
    let job = find(&manifests, "Job");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let arguments: Vec<&str> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(
        arguments[..5],
        [
            "report",
            "merge",
            "--exit-code",
            "--output",
            "/reports/all.json"
        ]
    );
    let shards: Vec<String> = (0..8)
        .map(|index| format!("/reports/shard-{index}.json"))
        .collect();
    assert_eq!(arguments[5..], shards);
}

#[test]
fn the_rules_are_valid() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/contrib/kubernetes/indexed-job/mirror.yaml"
    );
    crate::support::Place::new()
        .run(&["validate", "--config", path])
        .exits(0);
}

#[test]
fn kustomize_lists_files_that_exist() {
    let [list] = &manifests("indexed-job/kustomization.yaml")[..] else {
        panic!("one document")
    };
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/contrib/kubernetes/indexed-job"
    );
    let resources = list["resources"].as_array().unwrap();
    assert_eq!(*resources, ["job.yaml"].map(|name| json!(name)));
    for name in resources.iter().map(|it| it.as_str().unwrap()) {
        assert!(
            std::path::Path::new(directory).join(name).exists(),
            "{name}"
        );
    }
    let files = list["secretGenerator"][0]["files"].as_array().unwrap();
    for name in files {
        let name = name.as_str().unwrap().split('=').next_back().unwrap();
        assert!(
            std::path::Path::new(directory).join(name).exists(),
            "{name}"
        );
    }
}

#[cfg(feature = "share")]
#[test]
fn workers_and_their_runs_have_the_same_rules_and_flags() {
    let manifests = manifests("workers/workers.yaml");
    let worker = &find(&manifests, "Deployment")["spec"]["template"]["spec"];
    let run = &find(&manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(run["restartPolicy"], "Never");
    let arguments = |pod: &Value| -> Vec<String> {
        let words = pod["containers"][0]["args"].as_array().unwrap().iter();
        words.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let (of_worker, of_run) = (arguments(worker), arguments(run));
    assert_eq!(of_worker[0], "work");
    assert_eq!(of_worker[1..], of_run);
    for words in [of_worker, of_run] {
        let all = std::iter::once("image-syncer".to_owned()).chain(words);
        <image_syncer::cli::Cli as clap::Parser>::try_parse_from(all).unwrap();
    }
    let secret = find(&manifests, "Secret");
    for pod in [worker, run] {
        let container = &pod["containers"][0];
        let password = &container["env"][0];
        assert_eq!(password["name"], "PGPASSWORD");
        let key = &password["valueFrom"]["secretKeyRef"];
        assert_eq!(key["name"], secret["metadata"]["name"]);
        assert!(
            secret["stringData"]
                .get(key["key"].as_str().unwrap())
                .is_some()
        );
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 45);
        assert_eq!(
            container["volumeMounts"][0]["name"],
            pod["volumes"][0]["name"]
        );
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/contrib/kubernetes/workers/mirror.yaml"
    );
    crate::support::Place::new()
        .run(&["validate", "--config", path])
        .exits(0);
    let [list] = &self::manifests("workers/kustomization.yaml")[..] else {
        panic!("one document")
    };
    assert_eq!(list["resources"], json!(["workers.yaml"]));
}
