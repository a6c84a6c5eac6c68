#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Said, kind, read, retry_after};
use crate::digest::Digest;
use crate::error::ErrorKind;

fn said(body: &str) -> Said {
    read(&HeaderMap::new(), body)
}

fn digest(fill: char) -> String {
    format!("sha256:{}", fill.to_string().repeat(64))
}

#[test]
fn errors_of_the_specification_are_read() {
    let said = said(
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no\nsuch\u001b name","detail":{"name":"x"}},
                      {"code":"DENIED"},{"message":"only text"},{"code":"FOURTH"}]}"#,
    );
    assert_eq!(said.code.as_deref(), Some("NAME_UNKNOWN"));
    assert_eq!(
        said.clause.as_deref(),
        Some("NAME_UNKNOWN: no such name; DENIED; only text")
    );
    assert!(said.missing.is_empty());
}

#[test]
fn an_unknown_error_is_told_with_its_detail() {
    let unknown = |detail: &str| {
        let error = format!(r#"{{"code":"UNKNOWN","message":"unknown error","detail":{detail}}}"#);
        said(&format!(r#"{{"errors":[{error}]}}"#)).clause.unwrap()
    };
    assert_eq!(
        unknown(r#""write /data: no space left on device""#),
        "UNKNOWN: unknown error: write /data: no space left on device"
    );
    assert_eq!(unknown(r#"{"Op":"write"}"#), "UNKNOWN: unknown error");
}

#[test]
fn what_is_missing_is_found_in_whatever_shape() {
    let (a, b, c) = (digest('a'), digest('b'), digest('c'));
    let body = format!(
        r#"{{"errors":[
            {{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":{{"digest":"{a}"}}}},
            {{"code":"MANIFEST_BLOB_UNKNOWN","detail":"unknown: {b}, {a}."}},
            {{"code":"BLOB_UNKNOWN","detail":[["{c}"],7,null,{{"x":"sha256:short"}}]}},
            {{"code":"MANIFEST_INVALID","message":"{d}","detail":"{d}"}}]}}"#,
        d = digest('d')
    );
    let missing: Vec<String> = said(&body).missing.iter().map(Digest::to_string).collect();
    assert_eq!(missing, [a, b, c]);
}

#[test]
fn anything_else_is_read_leniently() {
    let long = "x".repeat(1000);
    let short = format!("{}…", "x".repeat(299));
    for (body, clause) in [
        ("", None),
        ("  \n", None),
        (
            "Too Many Requests (HAP429).",
            Some("Too Many Requests (HAP429)."),
        ),
        (r#"{"details":"no"}"#, Some("no")),
        (r#"{"error":"no"}"#, Some("no")),
        (r#"{"message":"no"}"#, Some("no")),
        (r#"{"errors":"no"}"#, None),
        (r#"{"errors":[]}"#, None),
        (r#"{"errors":[7,{"code":7}]}"#, None),
        ("[]", None),
        ("null", None),
        (
            "<html><h1>413</h1></html>",
            Some("an HTML page, so this may be a proxy's answer"),
        ),
        (
            "<!DOCTYPE html><p>",
            Some("an HTML page, so this may be a proxy's answer"),
        ),
        (
            "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><StringToSign>s</StringToSign></Error>",
            Some("SlowDown"),
        ),
        ("<Error/>", None),
        (&long, Some(&*short)),
    ] {
        let said = said(body);
        assert_eq!(said.clause.as_deref(), clause, "{body}");
        assert_eq!(said.code, None);
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let said = read(&headers, "Bad Gateway");
    assert!(said.clause.unwrap().starts_with("an HTML page"));
    let said = read(
        &HeaderMap::new(),
        &String::from_utf8_lossy(b"\xff\xfe no text"),
    );
    assert_eq!(said.clause.as_deref(), Some("\u{fffd}\u{fffd} no text"));
}

#[test]
fn status_comes_first_and_code_second() {
    use ErrorKind::{
        Denied, MissingContent, NotFound, Protocol, RateLimited, Rejected, Server, Unauthorized,
        UploadLost,
    };
    for (status, code, expected) in [
        (200, "", Protocol),
        (307, "", Protocol),
        (400, "", Rejected),
        (400, "MANIFEST_BLOB_UNKNOWN", MissingContent),
        (404, "MANIFEST_BLOB_UNKNOWN", MissingContent),
        (400, "BLOB_UNKNOWN", MissingContent),
        (404, "BLOB_UNKNOWN", NotFound),
        (400, "DIGEST_INVALID", Rejected),
        (401, "DENIED", Unauthorized),
        (403, "UNAUTHORIZED", Denied),
        (404, "", NotFound),
        (404, "NAME_UNKNOWN", NotFound),
        (404, "BLOB_UPLOAD_UNKNOWN", UploadLost),
        (400, "BLOB_UPLOAD_INVALID", UploadLost),
        (416, "BLOB_UPLOAD_INVALID", UploadLost),
        (416, "RANGE_INVALID", UploadLost),
        (416, "", Rejected),
        (405, "UNSUPPORTED", Rejected),
        (408, "", Server),
        (409, "TAG_IMMUTABLE", Rejected),
        (412, "", Rejected),
        (413, "", Rejected),
        (429, "", RateLimited),
        (499, "", Server),
        (500, "UNKNOWN", Server),
        (501, "", Rejected),
        (502, "", Server),
        (503, "", Server),
        (504, "", Server),
        (522, "", Server),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(kind(status, Some(code)), expected, "{status} {code}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (value, seconds) in [
        ("0", Some(0)),
        (" 120 ", Some(120)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
        ("-1", None),
        ("soon", None),
        ("99999999999999999999", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(retry_after(&headers, now), expected, "{value}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
}
