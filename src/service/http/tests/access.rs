//! Rights: tokens, logins, and clients without either.

use crate::service::http::tests::support::Setting;

const READER: &str = "Authorization: Bearer reader-token";
const WRITER: &str = "Authorization: bearer writer-token";

#[tokio::test]
async fn tokens_read_or_sync() {
    let service = Setting::default().with_tokens().start().await;
    let none = service.get("/api/v1/rules", &[]).await;
    assert!(none.problem(401).starts_with("there is no token."));
    assert_eq!(
        none.header("www-authenticate"),
        Some("Bearer realm=\"image-syncer\"")
    );
    for wrong in [
        "Authorization: Bearer reader-tokeN",
        "Authorization: Bearer reader-token-and-more",
        "Authorization: Basic cmVhZGVyLXRva2Vu",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: reader-token",
    ] {
        let refused = service.get("/api/v1/rules", &[wrong]).await;
        let detail = refused.problem(401);
        assert!(!detail.contains("reader"), "{detail}");
    }
    let twice = service.get("/api/v1/rules", &[READER, WRITER]).await;
    twice.problem(401);
    assert_eq!(service.get("/api/v1/rules", &[READER]).await.status, 200);
    let refused = service
        .send("POST /api/v1/rules/a/sync", &[READER], "")
        .await;
    assert_eq!(
        refused.problem(403),
        "the token `reader` may only read. Give it `scope: sync` in the files."
    );
    let accepted = service
        .send("POST /api/v1/rules/a/sync", &[WRITER], "")
        .await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

#[tokio::test]
async fn without_tokens_only_this_machine_may_use_the_service() {
    let service = Setting::default().start().await;
    assert_eq!(service.get("/api/v1/rules", &[]).await.status, 200);
    let accepted = service.send("POST /api/v1/rules/a/sync", &[], "").await;
    assert_eq!(accepted.status, 202);
    // A name that leads to this machine: DNS rebinding.
    for path in ["/api/v1/rules", "/rules"] {
        let foreign = service.get(path, &["Host: attacker.example"]).await;
        assert!(foreign.problem(421).starts_with("the header Host names"));
    }
    let public = Setting {
        is_public: true,
        ..Setting::default()
    };
    let service = public.start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"] {
        assert_eq!(service.get(path, &[]).await.status, 200, "{path}");
    }
    for path in ["/api/v1/rules", "/rules", "/api/v1/events"] {
        let refused = service.get(path, &[]).await;
        assert!(
            refused
                .problem(403)
                .starts_with("no tokens are configured.")
        );
    }
    let refused = service.send("POST /api/v1/rules/a/sync", &[], "").await;
    assert_eq!(
        refused.problem(403),
        "no tokens are configured. Write `service.tokens` in the files, or listen at 127.0.0.1 only."
    );
}

#[tokio::test]
async fn anonymous_clients_may_read_if_the_files_say_so() {
    let mut setting = Setting {
        is_public: true,
        ..Setting::default()
    };
    setting.config.anonymous_reads = true;
    let service = setting.start().await;
    for path in ["/api/v1/rules", "/rules"] {
        assert_eq!(service.get(path, &[]).await.status, 200, "{path}");
    }
    for path in ["/api/v1/rules/a/sync", "/rules/a/sync", "/api/v1/reload"] {
        let refused = service.send(&format!("POST {path}"), &[], "").await;
        assert!(
            refused
                .problem(403)
                .starts_with("no tokens are configured.")
        );
    }
}

#[tokio::test]
async fn a_login_has_a_cookie_whose_writes_need_a_proof_of_the_page() {
    let service = Setting::default().with_tokens().start().await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let page = service.get("/rules?q=x", &["Accept: text/html"]).await;
    assert_eq!(page.status, 303);
    assert_eq!(page.header("location"), Some("/login?back=/rules%3Fq%3Dx"));
    let refused = service.send("POST /login", &[form], "token=wrong").await;
    refused.problem(401);
    let browser = [form, "Accept: text/html"];
    let refused = service.send("POST /login", &browser, "token=wrong").await;
    assert_eq!(refused.header("location"), Some("/login?failed=unknown"));
    let foreign = [form, "Sec-Fetch-Site: cross-site"];
    let refused = service
        .send("POST /login", &foreign, "token=writer-token")
        .await;
    refused.problem(403);
    let body = "token=writer-token&back=%2Fruns";
    let accepted = service.send("POST /login", &browser, body).await;
    assert_eq!(accepted.status, 303);
    assert_eq!(accepted.header("location"), Some("/runs"));
    let cookie = accepted.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    let cookie = format!("Cookie: theme=dark; {}", cookie.split(';').next().unwrap());
    assert_eq!(service.get("/rules", &[&cookie]).await.status, 200);
    let sync = "POST /api/v1/rules/a/sync";
    let refused = service.send(sync, &[&cookie], "").await;
    assert!(refused.problem(403).contains("X-Image-Syncer"));
    let own = "X-Image-Syncer: 1";
    let refused = service
        .send(
            sync,
            &[&cookie, own, "Origin: https://attacker.example"],
            "",
        )
        .await;
    assert!(refused.problem(403).contains("another site"));
    let accepted = service.send(sync, &[&cookie, own], "").await;
    assert_eq!(accepted.status, 202);
    // A plain form of the page, as a browser without scripts sends it.
    let form = [&*cookie, "Sec-Fetch-Site: same-origin"];
    let accepted = service.send("POST /rules/a/sync", &form, "").await;
    assert_eq!(accepted.status, 303, "{accepted:?}");
    service.send(sync, &form, "").await.problem(403);
    let ended = service.send("POST /logout", &[&cookie], "").await;
    assert_eq!(ended.status, 204);
    service.get("/api/v1/rules", &[&cookie]).await.problem(401);
}

#[tokio::test]
async fn forms_of_other_sites_start_nothing_on_this_machine() {
    let service = Setting::default().start().await;
    let form = "Content-Type: text/plain";
    for header in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://attacker.example",
        "Origin: null",
    ] {
        for path in ["/api/v1/rules/a/sync", "/rules/a/sync"] {
            let line = format!("POST {path}");
            let refused = service.send(&line, &[form, header], "").await;
            assert!(refused.problem(403).contains("another site"), "{header}");
        }
    }
    assert_eq!(service.state.runs.unfinished().len(), 0);
}

#[tokio::test]
async fn an_address_with_many_unknown_tokens_waits() {
    let service = Setting::default().with_tokens().start().await;
    let wrong = "Authorization: Bearer wrong";
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(service.get("/api/v1/rules", &[wrong]).await.status);
    }
    assert_eq!(statuses[..30], [401; 30]);
    assert!(statuses[30..].contains(&429), "{statuses:?}");
}
