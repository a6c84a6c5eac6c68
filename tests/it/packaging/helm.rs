//! The chart, rendered by Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::manifests::{arguments, assert_sound, container, flag, of_kind, only, parsed, pod};
use crate::support::{Outcome, Place};

/// Secrets that users create beforehand.
const SECRETS: [&str; 2] = ["image-syncer-logins", "registry-logins"];

/// A map with rules, which a user may have.
const RULES: &str =
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: image-syncer-rules\ndata: {}\n";

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/helm/image-syncer")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(chart().join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

/// Returns Helm with a home of its own.
fn helm(place: &Place, arguments: &[&str]) -> Outcome {
    let mut helm = Command::new("helm");
    helm.args(arguments).current_dir(place.path("."));
    helm.env("HOME", place.path(".")).env_remove("KUBECONFIG");
    Outcome::of(helm.output().unwrap())
}

/// Renders the chart with the text of a file of values.
pub(super) fn template(values: &str) -> Outcome {
    let place = Place::new().file("values.yaml", values);
    let chart = chart().display().to_string();
    helm(
        &place,
        &["template", "mirror", &chart, "--values", "values.yaml"],
    )
}

/// Returns a file of `ci`.
pub(super) fn values(mode: &str) -> String {
    read(&format!("ci/{mode}-values.yaml"))
}

/// Renders the chart with a file of `ci`, and checks all that holds for any values.
#[track_caller]
fn sound(mode: &str) -> Vec<Value> {
    let rendered = template(&values(mode)).exits(0);
    assert_eq!(rendered.stderr, "", "{mode}");
    assert_sound(&format!("{}{RULES}", rendered.stdout), &SECRETS)
}

#[test]
fn its_version_is_that_of_the_program() {
    let chart = yaml("Chart.yaml");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn helm_finds_no_fault() {
    testkit::needs!("helm");
    let place = Place::new();
    let mut files = 0;
    for entry in std::fs::read_dir(chart().join("ci")).unwrap() {
        files += 1;
        let values = entry.unwrap().path().display().to_string();
        let chart = chart().display().to_string();
        helm(
            &place,
            &["lint", "--strict", "--quiet", &chart, "--values", &values],
        )
        .exits(0);
    }
    assert_eq!(files, 6);
}

#[test]
fn a_cron_job() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("cronjob");
    let cron = only(&manifests, "CronJob");
    assert_eq!(cron["spec"]["schedule"], "17 * * * *");
    assert_eq!(cron["spec"]["timeZone"], "Europe/Berlin");
    assert_eq!(cron["spec"]["concurrencyPolicy"], "Forbid");
    let pod = pod(cron).unwrap();
    let records = flag(&arguments(pod), "--records");
    assert_eq!(records, Some("/var/lib/image-syncer/records.sqlite3"));
    let logins =
        json!({"name": "logins", "mountPath": "/run/secrets/image-syncer", "readOnly": true});
    let mounts = container(pod)["volumeMounts"].as_array().unwrap();
    assert!(mounts.contains(&logins), "{mounts:#?}");
    let modes = &only(&manifests, "PersistentVolumeClaim")["spec"]["accessModes"];
    assert_eq!(*modes, json!(["ReadWriteOnce"]));
}

#[test]
fn a_job_with_the_logins_of_docker() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("job");
    let job = only(&manifests, "Job");
    // Another revision has another name.
    assert_eq!(job["metadata"]["name"], "mirror-image-syncer-1");
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 86400);
    let pod = pod(job).unwrap();
    let arguments = arguments(pod);
    assert_eq!(
        arguments[arguments.len() - 3..],
        ["--verify", "--retries", "5"]
    );
    assert!(arguments.contains(&"--no-records"), "{arguments:?}");
    let variables = container(pod)["env"].as_array().unwrap();
    let docker = json!({"name": "DOCKER_CONFIG", "value": "/run/secrets/docker"});
    assert_eq!(variables[0], docker);
    assert_eq!(variables[1]["name"], "REGISTRY_PASSWORD");
    let keys: Vec<&Value> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|volume| volume.pointer("/secret/items/0"))
        .collect();
    assert_eq!(
        keys,
        [&json!({"key": ".dockerconfigjson", "path": "config.json"})]
    );
}

#[test]
fn shards_of_an_indexed_job() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("indexed");
    let job = only(&manifests, "Job");
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    for number in ["completions", "parallelism", "maxFailedIndexes"] {
        assert_eq!(spec[number], 12, "{number}");
    }
    assert_eq!(spec["podFailurePolicy"]["rules"][0]["action"], "FailIndex");
    let pod = pod(job).unwrap();
    let arguments = arguments(pod);
    assert_eq!(flag(&arguments, "--shard"), Some("auto/12"));
    let report = flag(&arguments, "--report");
    assert_eq!(
        report,
        Some("/var/lib/image-syncer/shard-$(JOB_COMPLETION_INDEX).json")
    );
    assert_eq!(
        flag(&arguments, "--config"),
        Some("/etc/image-syncer/mirror.yaml")
    );
    // Null leaves the IDs to the cluster.
    let context = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(pod["securityContext"], context);
    let spread = &pod["topologySpreadConstraints"][0]["topologyKey"];
    assert_eq!(*spread, "kubernetes.io/hostname");
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "registry-logins"}])
    );
    let modes = &only(&manifests, "PersistentVolumeClaim")["spec"]["accessModes"];
    assert_eq!(*modes, json!(["ReadWriteMany"]));
}

#[test]
fn a_service() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("service");
    let set = only(&manifests, "StatefulSet");
    assert_eq!(set["spec"]["replicas"], 1);
    let container = container(pod(set).unwrap());
    for (probe, path) in [
        ("startupProbe", "/readyz"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/healthz"),
    ] {
        let expected = json!({"path": path, "port": "http", "scheme": "HTTP"});
        assert_eq!(container[probe]["httpGet"], expected);
    }
    let listen = flag(&arguments(pod(set).unwrap()), "--listen");
    assert_eq!(listen, Some("0.0.0.0:8080"));
    assert_eq!(
        container["ports"],
        json!([{"name": "http", "containerPort": 8080}])
    );
    for kind in [
        "Ingress",
        "NetworkPolicy",
        "ServiceMonitor",
        "PersistentVolumeClaim",
    ] {
        assert_eq!(of_kind(&manifests, kind).len(), 0, "{kind}");
    }
}

#[test]
fn replicas_of_a_service_with_workers_and_everything_else() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("replicas");
    let set = only(&manifests, "StatefulSet");
    assert_eq!(set["metadata"]["name"], "mirror");
    assert_eq!(set["spec"]["replicas"], 3);
    // Each replica has a history of its own.
    let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(claim["storageClassName"], "fast");
    let worker = only(&manifests, "Deployment");
    assert_eq!(worker["spec"]["replicas"], 2);
    for manifest in [set, worker] {
        let pod = pod(manifest).unwrap();
        let variables = container(pod)["env"].as_array().unwrap();
        assert_eq!(variables[0]["name"], "IMAGE_SYNCER_SHARE");
        assert_eq!(variables[1]["name"], "PGPASSWORD");
        assert_eq!(flag(&arguments(pod), "--share-timeout"), Some("300"));
        assert_eq!(pod["priorityClassName"], "mirror");
        assert_eq!(
            pod["topologySpreadConstraints"].as_array().unwrap().len(),
            1
        );
    }
    let arguments = arguments(pod(set).unwrap());
    assert_eq!(flag(&arguments, "--listen"), Some("[::]:8080"));
    assert!(arguments.contains(&"--sync-at-start") && arguments.contains(&"--no-page"));
    let rule = &only(&manifests, "Ingress")["spec"]["rules"][0];
    assert_eq!(rule["host"], "mirror.example.com");
    let backend = &rule["http"]["paths"][0]["backend"]["service"];
    assert_eq!(
        backend["name"],
        only(&manifests, "Service")["metadata"]["name"]
    );
    let monitor = only(&manifests, "ServiceMonitor");
    let endpoint = json!({"port": "http", "path": "/metrics", "scheme": "https", "interval": "30s",
        "tlsConfig": {"insecureSkipVerify": true}});
    assert_eq!(monitor["spec"]["endpoints"], json!([endpoint]));
    let labels = &only(&manifests, "Service")["metadata"]["labels"];
    let selector = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    for (key, value) in selector {
        assert_eq!(labels.get(key), Some(value));
    }
    let sources = &only(&manifests, "NetworkPolicy")["spec"]["ingress"][0]["from"];
    assert_eq!(sources.as_array().unwrap().len(), 1);
}

#[test]
fn a_cron_job_with_workers() {
    testkit::needs!("helm", "kubernetes-validate");
    let manifests = sound("workers");
    let rules = &only(&manifests[..1], "ConfigMap")["data"]["sync.yaml"];
    // A text keeps the tag as it is.
    assert!(rules.as_str().unwrap().contains("tags: 1.10\n"), "{rules}");
    let [worker, run] = ["Deployment", "CronJob"].map(|kind| pod(only(&manifests, kind)).unwrap());
    assert_eq!(arguments(worker)[0], "work");
    assert_eq!(container(worker)["env"], container(run)["env"]);
    let template = &only(&manifests, "Deployment")["spec"]["template"]["metadata"];
    let checksum = template["annotations"]["checksum/config"].as_str();
    assert_eq!(checksum.map(str::len), Some(64));
    assert_eq!(run["serviceAccountName"], "default");
}

#[test]
fn wrong_values_are_refused() {
    testkit::needs!("helm");
    let base = "config: {existingConfigMap: image-syncer-rules}\n";
    template(base).exits(0);
    for (values, message) in [
        ("", "the configuration file is missing"),
        (
            "config: {existingConfigMap: a, existingSecret: b}",
            "or there are several",
        ),
        (
            "mode: nightly",
            "value must be one of 'cronjob', 'job', 'indexed', 'service'",
        ),
        ("crons: {}", "additional properties 'crons' not allowed"),
        (
            "service: {replica: 2}",
            "additional properties 'replica' not allowed",
        ),
        (
            "mode: service\nservice: {replicas: 2}",
            "at '/share/url': minLength",
        ),
        (
            "mode: service\nservice: {replicas: 2}\nshare: {url: postgres://u@h/d}\npersistence: {existingClaim: a}",
            "each replica has a history of its own",
        ),
        (
            "workers: {enabled: true}",
            "workers share runs over PostgreSQL: set share.url",
        ),
        (
            "mode: indexed\nshare: {url: postgres://u@h/d}",
            "a shared run has no shards",
        ),
        (
            "share: {url: 'postgres://u:password@h/d'}",
            "does not match pattern",
        ),
        (
            "mode: job\nserviceMonitor: {enabled: true}",
            "belong to the mode service",
        ),
        (
            "mode: service\nnetworkPolicy: {enabled: true}",
            "at '/networkPolicy/from': minItems",
        ),
        (
            "mode: service\ningress: {enabled: true}",
            "at '/ingress/host': minLength",
        ),
        ("podSecurity: {runAsUser: 0}", "minimum"),
        ("cronjob: {schedule: nightly}", "does not match pattern"),
        ("grace: 0", "minimum"),
    ] {
        let values = if values.contains("config:") || values.is_empty() {
            values.to_owned()
        } else {
            format!("{base}{values}\n")
        };
        let refused = template(&values);
        assert_eq!(refused.code, 1, "{values}\n{}", refused.stdout);
        refused.says(message);
    }
}

#[test]
fn passwords_never_become_part_of_a_config_map() {
    testkit::needs!("helm");
    let with = |login: &str| {
        template(&format!(
            "config: {{content: {{version: 1, registries: {{r.example.com: {login}}}, rules: []}}}}"
        ))
    };
    for (login, key) in [
        (
            "{login: {username: a, password: hunter2}}",
            "login.password",
        ),
        ("{login: {token: hunter2}}", "login.token"),
        (
            "{api-login: {identity-token: hunter2}}",
            "api-login.identity-token",
        ),
    ] {
        with(login)
            .exits(1)
            .says(&format!(
                "r.example.com: {key} is a text, which a ConfigMap does not hide"
            ))
            .does_not_say("hunter2");
    }
    for login in [
        "{login: anonymous}",
        "{login: {username: a, password: {env: PASSWORD}}}",
        "{login: {username: a, password: '${PASSWORD}'}}",
        "{}",
    ] {
        with(login).exits(0);
    }
}

#[test]
fn the_schema_has_the_values_and_no_others() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values = yaml("values.yaml");
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&values)
        .map(|it| it.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    assert_same_keys(&schema, &values, "");
    let readme = read("README.md");
    for name in values.as_object().unwrap().keys() {
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md lacks {name}"
        );
    }
}

/// Asserts that each object of the schema is strict and has the keys of the values.
#[track_caller]
fn assert_same_keys(schema: &Value, values: &Value, at: &str) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{at}");
    let values = values.as_object().unwrap();
    for (name, schema) in properties {
        // Charts that depend on this one set it, and a claim of resources has no default.
        if ["global", "claims"].contains(&name.as_str()) {
            continue;
        }
        let value = values
            .get(name)
            .unwrap_or_else(|| panic!("values.yaml lacks {at}.{name}"));
        assert_same_keys(schema, value, &format!("{at}.{name}"));
    }
    for name in values.keys() {
        assert!(
            properties.contains_key(name),
            "the schema lacks {at}.{name}"
        );
    }
}

#[test]
fn templates_name_values_that_exist() {
    let values = yaml("values.yaml");
    let reference = regex::Regex::new(r"(?:\.Values|\$values)((?:\.[A-Za-z]+)+)").unwrap();
    let mut used = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(chart().join("templates")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for found in reference.captures_iter(&text) {
            let pointer = found[1].replace('.', "/");
            assert!(values.pointer(&pointer).is_some(), "no value {}", &found[1]);
            used.insert(pointer.split('/').nth(1).unwrap().to_owned());
        }
    }
    let known: std::collections::BTreeSet<String> =
        values.as_object().unwrap().keys().cloned().collect();
    assert_eq!(used, known);
}

#[test]
fn notes_name_objects_that_exist() {
    testkit::needs!("helm");
    for (mode, expected) in [
        (
            "cronjob",
            "create job --from=cronjob/mirror-image-syncer mirror-image-syncer-now",
        ),
        ("job", "--timeout=24h job/mirror-image-syncer-1"),
        ("indexed", "--timeout=24h job/mirror-image-syncer-1"),
        (
            "service",
            "port-forward service/mirror-image-syncer 8080:80",
        ),
        ("replicas", "Or at https://mirror.example.com/"),
        (
            "workers",
            "scale deployment/mirror-image-syncer-worker --replicas=4",
        ),
    ] {
        let values = chart()
            .join(format!("ci/{mode}-values.yaml"))
            .display()
            .to_string();
        let chart = chart().display().to_string();
        let arguments = [
            "install",
            "--dry-run=client",
            "mirror",
            &chart,
            "--values",
            &values,
        ];
        let notes = helm(&Place::new(), &arguments).exits(0).stdout;
        assert!(notes.contains(expected), "{mode}:\n{notes}");
    }
}

#[test]
fn values_in_documents_render() {
    testkit::needs!("helm", "kubernetes-validate");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut number = 0;
    for document in ["docs/kubernetes.md", "contrib/helm/image-syncer/README.md"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if !block.starts_with("# values.yaml") {
                continue;
            }
            number += 1;
            let rendered = template(block).exits(0);
            assert_eq!(rendered.stderr, "", "{document}");
            let manifests = assert_sound(&format!("{}{RULES}", rendered.stdout), &SECRETS);
            assert!(manifests.len() > 2);
        }
    }
    assert_eq!(number, 4);
    assert!(!parsed(RULES).is_empty());
}
