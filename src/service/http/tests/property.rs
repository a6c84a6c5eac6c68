//! Random requests to every route.

use crate::service::http::routes;
use crate::service::http::tests::support::Setting;

/// Random numbers from a seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const PIECES: &[&str] = &[
    "a",
    "b%2Fc%3A%2A",
    "slow",
    "..",
    ".",
    "%2e%2e",
    "%2F",
    "%00",
    "%ff",
    "%F0%9F%92%A5",
    "%",
    "%zz",
    "00000000000",
    "01jx4k2v9c0",
    "zzzzzzzzzzz",
    "*",
    ":",
    "{name}",
    "-1",
    "",
    "~",
    "sync",
    "plan",
];
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "500",
    "501",
    "-1",
    "99999999999999999999",
    "failed",
    "succeeded",
    "run,image",
    "x",
    "%ff",
    "01jx4k2v9c0",
    "0s",
    "1s",
    "1m",
    "+",
    "%00",
    "%25",
    "a%20b",
    "[]",
];
const KEYS: &[&str] = &[
    "destination",
    "source",
    "digest",
    "text",
    "q",
    "rule",
    "state",
    "before",
    "limit",
    "wait",
    "outcome",
    "after",
    "since",
    "kinds",
    "unknown",
    "part",
    "page",
    "lang",
    "theme",
    "back",
    "failed",
    "%ff",
    "",
];
const HEADERS: &[&str] = &[
    "Accept: text/html",
    "Accept: */*",
    "Authorization: Bearer x",
    "Authorization: Basic eDp5",
    "Cookie: a=b",
    "Cookie: image-syncer-login=x",
    "Content-Type: application/json",
    "Content-Type: text/plain",
    "Content-Type: application/x-www-form-urlencoded",
    "X-Image-Syncer: 1",
    "Sec-Fetch-Site: cross-site",
    "Origin: null",
    "Last-Event-ID: x",
    "X-Forwarded-Proto: https",
    "Expect: 100-continue",
    "Range: bytes=0-1",
    "If-None-Match: *",
    "Accept-Language: zh",
    "Upgrade: websocket",
];
const BODIES: &[&str] = &[
    "",
    "{}",
    "{",
    "[]",
    "null",
    "0",
    "\"x\"",
    "token=x",
    "token=%ff&back=//x",
    "\u{0}\u{1}\u{2}",
    r#"{"tags": ["v1"]}"#,
    r#"{"tags": ["no tag"], "repository": "fast.example/x"}"#,
    r#"{"repository": "fast.example/x", "tags": ["v1"], "wait": "0s"}"#,
    r#"{"wait": "0s", "force": true}"#,
    r#"{"unknown": 1}"#,
    r#"{"wait": 5}"#,
    r#"{"tags": null}"#,
];
const METHODS: &[&str] = &[
    "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "X",
];

#[tokio::test]
async fn random_requests_never_fail_the_service() {
    let service = Setting::default().start().await;
    let routes = routes(&service.state);
    let mut paths: Vec<&str> = routes.names().iter().map(|(_, path)| *path).collect();
    paths.extend([
        "/",
        "/rules",
        "/rules/{name}",
        "/rules/{name}/sync",
        "/runs",
        "/runs/{id}",
        "/runs/{id}/cancel",
        "/registries",
        "/differences",
        "/image",
        "/login",
        "/preferences",
        "/assets/{name}",
        "/{name}",
        "/api/{name}",
        "/api/v1/{name}/{id}/{name}",
    ]);
    // The only route whose answer does not end.
    paths.retain(|path| !path.ends_with("/events"));
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    for _ in 0..4_000 {
        let mut path = random.pick(&paths).to_owned();
        while let Some((start, rest)) = path.split_once('{') {
            let rest = rest.split_once('}').map_or("", |(_, rest)| rest);
            path = format!(
                "{start}{}{rest}",
                random.pick(PIECES).replace(['{', '}'], "_")
            );
        }
        for number in 0..random.below(4) {
            path.push(if number == 0 { '?' } else { '&' });
            path.push_str(random.pick(KEYS));
            path.push('=');
            path.push_str(random.pick(VALUES));
        }
        let headers: Vec<&str> = (0..random.below(4)).map(|_| random.pick(HEADERS)).collect();
        let method = random.pick(METHODS);
        let body = random.pick(BODIES);
        // Runs of an hour and a half would wait for their end.
        if path.contains("slow") {
            continue;
        }
        let request = format!("{method} {path}");
        let answer = service.send(&request, &headers, body).await;
        let told = format!("{request} {headers:?} {body:?}: {answer:?}");
        assert!(answer.status < 500, "{told}");
        if answer.status >= 400 && method != "HEAD" {
            let media_type = answer.header("content-type").unwrap_or_default();
            let is_page = !path.starts_with("/api/") && media_type.starts_with("text/html");
            assert!(
                is_page || media_type == "application/problem+json",
                "{told}"
            );
        }
    }
    assert_eq!(service.get("/healthz", &[]).await.status, 200);
}
