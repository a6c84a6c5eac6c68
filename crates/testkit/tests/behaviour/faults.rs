//! Faults, to the byte.

use std::io::ErrorKind;

use http::Method;
use testkit::raw::{Client, Payload, RawResponse};
use testkit::{Action, Auth, Blob, Cut, Fault, Image, Kind, Layer, Profile, Registry, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SIZE: u64 = 5_000_000;

async fn with_blob() -> (Registry, Blob) {
    let registry = Registry::start(Profile::distribution()).await;
    let blob = Blob::synthetic(SIZE, 3);
    registry.state().put_blob("app", &blob);
    (registry, blob)
}

fn url(blob: &Blob) -> String {
    format!("/v2/app/blobs/{}", blob.digest())
}

/// Reads everything after the head on a plain connection. Returns the bytes and the end of the connection.
async fn read_raw(registry: &Registry, path: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(registry.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let end = stream.read_to_end(&mut all).await.err().map(|e| e.kind());
    let head = all.windows(4).position(|w| w == b"\r\n\r\n");
    let body = head.map_or(Vec::new(), |head| all[head + 4..].to_vec());
    (body, end)
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes() {
    for after in [0, 1, 16, 65_535, 65_536, 65_537, 1_000_000, SIZE - 1] {
        let (registry, blob) = with_blob().await;
        let action = Action::CutResponse {
            after,
            how: Cut::Reset,
        };
        registry.fault(Fault::on(Kind::BlobGet), action);
        let (body, end) = read_raw(&registry, &url(&blob)).await;
        assert_eq!(body.len() as u64, after);
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        assert_eq!(body, blob.bytes().unwrap()[..body.len()]);
        assert_eq!(registry.bytes_sent(), after);
    }
}

#[tokio::test]
async fn a_close_comes_after_exactly_so_many_bytes() {
    for after in [0, 1, 65_536, SIZE - 1] {
        let (registry, blob) = with_blob().await;
        let action = Action::CutResponse {
            after,
            how: Cut::Close,
        };
        registry.fault(Fault::on(Kind::BlobGet), action);
        let (body, end) = read_raw(&registry, &url(&blob)).await;
        assert_eq!((body.len() as u64, end), (after, None));
        assert_eq!(registry.bytes_sent(), after);
    }
}

#[tokio::test]
async fn a_cut_at_the_end_of_the_body_is_none() {
    let (registry, blob) = with_blob().await;
    let action = Action::CutResponse {
        after: SIZE,
        how: Cut::Reset,
    };
    registry.fault(Fault::on(Kind::BlobGet), action);
    let (body, end) = read_raw(&registry, &url(&blob)).await;
    assert_eq!((body.len() as u64, end), (SIZE, None));
}

#[tokio::test]
async fn answers_break_over_tls_too() {
    let registry = Registry::builder()
        .tls(Tls::new().http1_only())
        .start()
        .await;
    let blob = Blob::synthetic(SIZE, 3);
    registry.state().put_blob("app", &blob);
    let client = Client::new(registry.url())
        .trust(registry.ca_pem().unwrap())
        .unwrap();
    for how in [Cut::Reset, Cut::Close] {
        let action = Action::CutResponse {
            after: 300_000,
            how,
        };
        registry.fault(Fault::on(Kind::BlobGet).nth(1), action);
        let answer = client.get(&url(&blob)).await.unwrap();
        assert_eq!((answer.body.len(), answer.complete), (300_000, false));
        registry.clear_faults();
    }
    assert!(client.get(&url(&blob)).await.unwrap().complete);
}

#[tokio::test]
async fn http2() {
    for tls in [None, Some(Tls::new())] {
        let mut builder = Registry::builder();
        if let Some(tls) = &tls {
            builder = builder.tls(tls.clone());
        }
        let registry = builder.start().await;
        let blob = Blob::synthetic(SIZE, 3);
        registry.state().put_blob("app", &blob);
        let mut client = Client::new(registry.url()).http2();
        if let Some(ca) = registry.ca_pem() {
            client = client.trust(ca).unwrap();
        }
        let whole = client.get(&url(&blob)).await.unwrap();
        assert_eq!(whole.body, blob.bytes().unwrap());
        assert_eq!(registry.requests()[0].version, http::Version::HTTP_2);
        let pushed = upload(&client, &Blob::new("x")).await.unwrap();
        assert_eq!(pushed.status, 201);
        assert_eq!(registry.problems(), Vec::<String>::new());
        let action = Action::CutResponse {
            after: 10_000,
            how: Cut::Close,
        };
        registry.fault(Fault::on(Kind::BlobGet), action);
        let broken = client.get(&url(&blob)).await.unwrap();
        assert_eq!((broken.body.len(), broken.complete), (10_000, false));
    }
}

#[tokio::test]
async fn a_stalled_answer_ends_with_the_registry() {
    let (registry, blob) = with_blob().await;
    registry.fault(
        Fault::on(Kind::BlobGet),
        Action::StallResponse { after: 1000 },
    );
    let mut stream = TcpStream::connect(registry.address()).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", url(&blob));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while !all.windows(4).any(|w| w == b"\r\n\r\n") || registry.bytes_sent() < 1000 {
        let read = stream.read(&mut buffer).await.unwrap();
        all.extend_from_slice(&buffer[..read]);
    }
    drop(registry);
    stream.read_to_end(&mut all).await.unwrap();
    let head = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    assert_eq!(all.len() - head - 4, 1000);
}

/// Opens a session and uploads a blob with one PUT.
async fn upload(client: &Client, blob: &Blob) -> std::io::Result<RawResponse> {
    let start = "/v2/app/blobs/uploads/";
    let post = client
        .send(Method::POST, start, &[], Payload::empty())
        .await
        .unwrap();
    let location = client.resolve_from(start, post.header("location"));
    let url = format!("{location}&digest={}", blob.digest());
    client.send(Method::PUT, &url, &[], blob.into()).await
}

#[tokio::test]
async fn a_request_is_cut_after_exactly_so_many_bytes() {
    for how in [Cut::Reset, Cut::Close] {
        for after in [0, 1, 70_000, SIZE] {
            let registry = Registry::start(Profile::distribution()).await;
            let client = Client::new(registry.url());
            registry.fault(
                Fault::on(Kind::UploadPut).nth(1),
                Action::CutRequest { after, how },
            );
            let blob = Blob::synthetic(SIZE, 9);
            upload(&client, &blob).await.unwrap_err();
            registry.quiet().await;
            assert_eq!(registry.bytes_received(), after);
            assert!(!registry.state().has_blob("app", blob.digest()));
            assert_eq!(upload(&client, &blob).await.unwrap().status, 201);
            assert_eq!(registry.bytes_received(), after + SIZE);
        }
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_what_was_stored() {
    let registry = Registry::start(Profile::distribution()).await;
    let client = Client::new(registry.url());
    let handle = registry.fault(Fault::on(Kind::UploadPut), Action::LoseReply(Cut::Close));
    let blob = Blob::synthetic(1000, 1);
    upload(&client, &blob).await.unwrap_err();
    assert!(registry.state().has_blob("app", blob.digest()));
    assert_eq!(handle.hits(), 1);
}

#[tokio::test]
async fn nothing_is_done_where_the_connection_is_cut_before_the_answer() {
    for how in [Cut::Reset, Cut::Close] {
        let registry = Registry::start(Profile::distribution()).await;
        let client = Client::new(registry.url());
        registry.fault(Fault::on(Kind::ManifestPut), Action::CutBeforeAnswer(how));
        let image = Image::oci().build();
        testkit::raw::push_over_http(&client, "app", Some("v1"), &image)
            .await
            .unwrap_err();
        assert_eq!(registry.state().tags("app"), Vec::<String>::new());
        let put = registry.requests().pop().unwrap();
        assert_eq!((put.kind, put.status), (Kind::ManifestPut, 0));
    }
}

#[tokio::test]
async fn answers_instead() {
    let (registry, blob) = with_blob().await;
    let client = Client::new(registry.url());
    registry.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::too_many_requests(7),
    );
    registry.fault(Fault::on(Kind::BlobGet).nth(2), Action::status(503));
    registry.fault(Fault::on(Kind::BlobGet).nth(3), Action::Html);
    registry.fault(
        Fault::on(Kind::BlobGet).nth(4),
        testkit::Answer::new(503).retry_after_date(std::time::Duration::from_secs(60)),
    );
    let first = client.get(&url(&blob)).await.unwrap();
    assert_eq!((first.status, first.header("retry-after")), (429, "7"));
    assert_eq!(first.error_code(), "TOOMANYREQUESTS");
    assert_eq!(client.get(&url(&blob)).await.unwrap().status, 503);
    let third = client.get(&url(&blob)).await.unwrap();
    assert_eq!(third.header("content-type"), "text/html; charset=utf-8");
    let fourth = client.get(&url(&blob)).await.unwrap();
    assert!(fourth.header("retry-after").ends_with(" GMT"));
    assert_eq!(
        client.get(&url(&blob)).await.unwrap().body.len() as u64,
        SIZE
    );
    assert_eq!(
        registry.bytes_sent(),
        SIZE + u64::try_from(third.body.len()).unwrap()
    );
}

#[tokio::test]
async fn an_answer_instead_of_an_upload_comes_after_the_body_or_early() {
    let registry = Registry::start(Profile::distribution()).await;
    let client = Client::new(registry.url());
    let blob = Blob::synthetic(SIZE, 1);
    registry.fault(Fault::on(Kind::UploadPut).nth(1), Action::status(500));
    assert_eq!(upload(&client, &blob).await.unwrap().status, 500);
    assert_eq!(registry.bytes_received(), SIZE);
    registry.clear_requests();
    // Early: the rest is read up to the limit of the profile.
    registry.fault(
        Fault::on(Kind::UploadPut).nth(1),
        testkit::Answer::new(413).early(),
    );
    let _ = upload(&client, &blob).await;
    registry.quiet().await;
    let read = registry.bytes_received();
    assert!((256 * 1024..1024 * 1024).contains(&read), "{read}");
}

#[tokio::test]
async fn damaged_bodies() {
    let (registry, blob) = with_blob().await;
    let client = Client::new(registry.url());
    let good = blob.bytes().unwrap();

    registry.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::Corrupt { offset: 70_000 },
    );
    let bad = client.get(&url(&blob)).await.unwrap().body;
    let wrong: Vec<_> = (0..bad.len()).filter(|&n| bad[n] != good[n]).collect();
    assert_eq!((bad.len(), wrong), (good.len(), vec![70_000]));

    registry.fault(Fault::on(Kind::BlobGet).nth(1), Action::WrongLength(100));
    let short = client.get(&url(&blob)).await.unwrap();
    assert_eq!((short.body.len(), short.complete), (100, true));

    registry.fault(
        Fault::on(Kind::BlobGet).nth(1),
        Action::WrongLength(SIZE + 1),
    );
    let long = client.get(&url(&blob)).await.unwrap();
    assert_eq!((long.body.len() as u64, long.complete), (SIZE, false));
    registry.fault(Fault::on(Kind::BlobHead), Action::WrongLength(7));
    let url = url(&blob);
    let head = client.send(Method::HEAD, &url, &[], Payload::None);
    assert_eq!(head.await.unwrap().header("content-length"), "7");
}

#[tokio::test]
async fn headers_come_and_go() {
    let registry = Registry::start(Profile::distribution()).await;
    registry.push("app", Some("v1"), &Image::single([Layer::empty()]));
    let client = Client::new(registry.url());
    registry.fault(
        Fault::on(Kind::Tags).nth(1),
        Action::WithHeaders(vec![("warning", "299 - \"soon\"".to_owned())]),
    );
    registry.fault(
        Fault::on(Kind::Tags).nth(2),
        Action::WithoutHeaders(vec!["content-type"]),
    );
    let first = client.get("/v2/app/tags/list").await.unwrap();
    assert_eq!(first.header("warning"), "299 - \"soon\"");
    let second = client.get("/v2/app/tags/list").await.unwrap();
    assert_eq!(second.header("content-type"), "");
}

#[tokio::test]
async fn tokens_expire_in_the_middle() {
    let registry = Registry::builder()
        .auth(Auth::bearer("user", "secret"))
        .start()
        .await;
    let login = testkit::raw::Login::Exchange("user".into(), "secret".into());
    let client = Client::new(registry.url()).login(login);
    assert_eq!(client.get("/v2/").await.unwrap().status, 200);
    let token = registry.requests()[1].header("authorization").unwrap()[7..].to_owned();
    let client = Client::new(registry.url()).login(testkit::raw::Login::Token(token));
    assert_eq!(client.get("/v2/").await.unwrap().status, 200);
    registry.fault(Fault::on(Kind::Ping), Action::ExpireTokens);
    let expired = client.get("/v2/").await.unwrap();
    assert_eq!(expired.status, 401);
    assert!(expired.header("www-authenticate").contains("invalid_token"));
    assert_eq!(registry.token_requests().len(), 1);
}

#[tokio::test]
async fn one_token_expires_and_another_does_not() {
    let registry = Registry::builder()
        .auth(Auth::bearer("user", "secret"))
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let login = testkit::raw::Login::Exchange("user".into(), "secret".into());
        let client = Client::new(registry.url()).login(login);
        assert_eq!(client.get("/v2/").await.unwrap().status, 200);
        let shown = registry.requests().last().unwrap().authorization.clone();
        let testkit::Authorization::Bearer(token) = shown else {
            panic!("a token was shown");
        };
        clients.push(Client::new(registry.url()).login(testkit::raw::Login::Token(token)));
    }
    registry.fault(Fault::on(Kind::Ping).nth(1), Action::ExpireItsToken);
    assert_eq!(clients[0].get("/v2/").await.unwrap().status, 401);
    assert_eq!(clients[1].get("/v2/").await.unwrap().status, 200);
}

#[tokio::test]
async fn only_matching_requests_are_affected() {
    let registry = Registry::start(Profile::distribution()).await;
    registry.push("a", Some("v1"), &Image::oci().build());
    registry.push("b", Some("v1"), &Image::oci().build());
    let client = Client::new(registry.url());
    let on_a = registry.fault(Fault::on(Kind::Tags).repository("a"), Action::status(500));
    let agent = Fault::on_any().matching(|r| r.header("user-agent") == Some("bad"));
    registry.fault(agent, Action::status(400));
    assert_eq!(client.get("/v2/a/tags/list").await.unwrap().status, 500);
    assert_eq!(client.get("/v2/b/tags/list").await.unwrap().status, 200);
    let bad = [("user-agent", "bad")];
    let answer = client.send(Method::GET, "/v2/b/tags/list", &bad, Payload::None);
    assert_eq!(answer.await.unwrap().status, 400);
    assert_eq!((on_a.hits(), on_a.matched()), (1, 1));
    registry.clear_faults();
    assert_eq!(client.get("/v2/a/tags/list").await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn latency_and_bandwidth_follow_the_clock_of_the_runtime() {
    let (registry, blob) = with_blob().await;
    let client = Client::new(registry.url());
    registry.set_latency(std::time::Duration::from_secs(40));
    let start = tokio::time::Instant::now();
    client.get("/v2/").await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 40);
    registry.set_latency(std::time::Duration::ZERO);
    registry.set_bandwidth(Some(50_000));
    let start = tokio::time::Instant::now();
    assert!(client.get(&url(&blob)).await.unwrap().complete);
    // The last frame is still being sent when the body ends.
    assert!((98..=100).contains(&start.elapsed().as_secs()));
    let start = tokio::time::Instant::now();
    upload(&client, &Blob::synthetic(500_000, 5)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_counted() {
    let registry = Registry::builder().requests_per_second(1).start().await;
    let client = Client::new(registry.url());
    assert_eq!(client.get("/v2/").await.unwrap().status, 200);
    let refused = client.get("/v2/").await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.error_code(), "TOOMANYREQUESTS");
    let totals = registry.totals();
    assert_eq!((totals.requests, totals.too_many_requests), (2, 1));
}
