//! Samples of tags, differences and registries.

use super::*;
use crate::login::{LoginIdentity, LoginKind};
use crate::service::page::view::differences::RulesDifferences;
use crate::service::page::view::list::ListPage;
use crate::service::workers::WorkerRow;

/// Returns the numbers of the tags of rules.
pub(in crate::service::page) fn rule_tags() -> RulesDifferences {
    let tags = |rule: &str, factor: u64, checked| RuleTags {
        rule: rule.into(),
        checked,
        counts: TagCounts {
            same: 1_204,
            missing: 3 * factor,
            moved: 2 * factor,
            incomplete: factor,
            failed: factor,
            extra: 4 * factor,
        },
    };
    let rules = vec![
        tags("base-images", 1, Some(at(-3_600))),
        tags("kubernetes", 0, Some(at(-90_000))),
        tags(HOSTILE, 5, None),
    ];
    RulesDifferences::new(rules, 0)
}

fn tag(number: usize, state: TagState, site: &str) -> TagRecord {
    TagRecord {
        destination: format!("harbor.{site}.example.com/mirror/nginx:1.2{number}"),
        source: format!("docker.io/library/nginx:1.2{number}"),
        rule: "base-images".to_owned(),
        state,
        since: at(-7_200),
        expected: Some(digest(number)),
        digest: match state {
            TagState::Missing => None,
            TagState::Moved => Some(digest(number + 50)),
            _ => Some(digest(number)),
        },
        at: at(-700_000),
        run: run(3, "base-images", RunState::Succeeded).id,
        copied: number.is_multiple_of(2),
        seen: at(-3_600),
    }
}

/// Returns the differences of a rule.
pub(in crate::service::page) fn rule_differences() -> RuleDifferences {
    let states = [
        TagState::Missing,
        TagState::Moved,
        TagState::Incomplete,
        TagState::Failed,
        TagState::Extra,
    ];
    let tags = states.iter().enumerate().map(|(number, state)| SourceTag {
        source: format!("docker.io/library/nginx:1.2{number}"),
        destinations: vec![
            tag(number, *state, "fra"),
            tag(number, TagState::Same, "sgp"),
        ],
    });
    RuleDifferences {
        rule: "base-images".into(),
        tags: rule_tags().rules.rows.into_iter().next(),
        repositories: ListPage::new(
            vec![RepositoryTags {
                repository: "docker.io/library/nginx".to_owned(),
                counts: rule_tags().rules.rows[0].counts.clone(),
            }],
            0,
            1,
        ),
        after: String::new(),
        differences: DifferencePage {
            tags: tags.collect(),
            next: None,
        },
    }
}

/// Returns the tags of a repository.
pub(in crate::service::page) fn repository() -> RepositoryView {
    let tags = rule_differences().differences.tags.into_iter();
    RepositoryView {
        rule: "base-images".to_owned(),
        repository: "docker.io/library/nginx".to_owned(),
        after: String::new(),
        page: TagPage {
            tags: tags.flat_map(|tag| tag.destinations).collect(),
            next: None,
        },
    }
}

/// Returns where an image is, and was.
pub(in crate::service::page) fn image() -> ImageView {
    ImageView {
        q: "harbor.fra.example.com/mirror/nginx:1.21".to_owned(),
        tags: vec![tag(1, TagState::Moved, "fra")],
        past: vec![PastTag {
            destination: "harbor.fra.example.com/mirror/nginx:1.21".to_owned(),
            digest: digest(9),
            at: at(-2_000_000),
            run: run(9, "base-images", RunState::Succeeded).id,
            copied: true,
            until: at(-700_000),
        }],
    }
}

/// Returns the registries.
pub(in crate::service::page) fn registries() -> Vec<RegistryRow> {
    let login = |prefix: &str, who| RegistryLogin {
        prefix: prefix.to_owned(),
        login: LoginIdentity {
            secret_file: (who == LoginKind::RegistryToken).then(|| HOSTILE.into()),
            who,
        },
        origin: Some("auth.yaml:3".to_owned()),
    };
    let user = LoginKind::User("robot$mirror".to_owned());
    let row = |registry: &str| RegistryRow {
        registry: registry.to_owned(),
        reachable: Some(true),
        requests: 48_211,
        statuses: [("2xx", 48_100), ("4xx", 99), ("none", 12)].into(),
        retries: 14,
        rate_limited: 0,
        pauses: 0,
        paused_seconds: 0.0,
        pause: None,
        window: RegistryWindow {
            calls: Some(32),
            downloads: Some(8),
            uploads: Some(6),
        },
        pulls_remaining: None,
        last_answer: Some(at(-3)),
        last_error: None,
        latency: Some(RegistryLatency {
            p50_ms: 31.4,
            p99_ms: 412.0,
            samples: 1_000,
        }),
        logins: vec![
            login(registry, user.clone()),
            login(&format!("{registry}/team"), LoginKind::RegistryToken),
        ],
    };
    let mut rows = vec![
        row("docker.io"),
        row("harbor.fra.example.com"),
        row("harbor.sgp.example.com"),
        row("registry.k8s.io"),
        row("unused.example.com"),
    ];
    rows[0].rate_limited = 37;
    rows[0].pauses = 4;
    rows[0].paused_seconds = 312.0;
    rows[0].pulls_remaining = Some(12);
    rows[0].pause = Some(RegistryPause {
        until: at(42),
        why: "rate-limit",
    });
    rows[2].reachable = Some(false);
    rows[2].last_error = Some(RegistryError {
        text: format!("PUT /v2/k8s/etcd/manifests/3.5.1-0: connection refused {HOSTILE}"),
        at: at(-30),
    });
    rows[1].logins = [
        LoginKind::Auto,
        LoginKind::Docker,
        LoginKind::Helper("ecr-login".to_owned()),
        LoginKind::Anonymous,
        LoginKind::IdentityToken,
        LoginKind::GoogleServiceAccount,
    ]
    .map(|who| login("harbor.fra.example.com", who))
    .into();
    rows[2].latency = Some(RegistryLatency {
        p50_ms: 9_999.0,
        p99_ms: 11_545.0,
        samples: 10,
    });
    rows[3].logins.clear();
    rows[4].reachable = None;
    rows[4].latency = None;
    rows[4].last_answer = None;
    rows[4].window = RegistryWindow::default();
    rows
}

pub(in crate::service::page) fn workers() -> Vec<WorkerRow> {
    let worker = |id: &str, same_rules| WorkerRow {
        id: id.to_owned(),
        host: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
        same_rules,
        started: Timestamp::UNIX_EPOCH,
        seen: Timestamp::UNIX_EPOCH,
        units: 3,
    };
    vec![worker("node-1-17-5f", true), worker(HOSTILE, false)]
}
