//! Number of requests for authentication, independent of the number of images.

use std::fmt::Write as _;

use testkit::{Auth, Kind, Registry};

use crate::support::{Place, image};

const REPOSITORIES: usize = 50;
const TAGS: usize = 4;

/// Compares the unchanged tags of many repositories, with `auth` at both ends. Returns the number of token requests at
/// each end.
fn unchanged(auth: impl Fn() -> Auth) -> [usize; 2] {
    let start = || Registry::builder().auth(auth()).start_on_thread();
    let ends = [start(), start()];
    let hosts = ends.each_ref().map(Registry::host);
    let (mut rules, mut logins) = (String::new(), String::new());
    for host in &hosts {
        let login = "  username: u\n  password: p\n  insecure: true\n";
        writeln!(logins, "{host}:\n{login}").unwrap();
    }
    for repository in 0..REPOSITORIES {
        let path = format!("team/r{repository}");
        let tags: Vec<String> = (0..TAGS).map(|tag| format!("v{tag}")).collect();
        for tag in &tags {
            for end in &ends {
                end.push(&path, Some(tag), &image(&format!("{repository}-{tag}")));
            }
        }
        let [source, destination] = &hosts;
        let tags = tags.join(",");
        writeln!(rules, "{source}/{path}:{tags}: {destination}/{path}").unwrap();
    }
    Place::new()
        .file("images.yaml", &rules)
        .file("auth.yaml", &logins)
        .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
        .exits(0);
    ends.each_ref().map(|end| {
        // The probes for TLS are refused as well.
        let sent_away = end.count(|r| r.kind != Kind::Ping && r.status == 401);
        let asked = matches!(auth(), Auth::Basic(_) | Auth::Bearer(..));
        assert_eq!(sent_away, usize::from(asked));
        let heads = end.count(|r| r.kind == Kind::ManifestHead && r.status == 200);
        assert_eq!(heads, REPOSITORIES * TAGS);
        end.token_requests().len()
    })
}

#[test]
fn one_request_is_refused_and_repositories_share_tokens() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.readable = true);
    for tokens in unchanged(auth) {
        // The number of repositories that need a token at the same time depends on timing.
        assert!(tokens < REPOSITORIES, "{tokens}");
    }
}

#[test]
fn a_token_server_with_single_scopes_gives_a_token_per_repository() {
    let auth = || Auth::bearer("u", "p").rules(|rules| rules.refuses_several = Some(403));
    for tokens in unchanged(auth) {
        assert_eq!(tokens, REPOSITORIES + 1);
    }
    let auth = || {
        Auth::bearer("u", "p").rules(|rules| {
            rules.first_scope_only = true;
            rules.readable = true;
        })
    };
    for tokens in unchanged(auth) {
        assert_eq!(tokens, REPOSITORIES);
    }
}

#[test]
fn without_tokens_there_is_no_extra_request() {
    for tokens in unchanged(|| Auth::basic("u", "p")) {
        assert_eq!(tokens, 0);
    }
    for tokens in unchanged(|| Auth::Anonymous) {
        assert_eq!(tokens, 0);
    }
}
