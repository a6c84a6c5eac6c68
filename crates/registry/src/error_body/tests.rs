#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{SHOWN_IN_ALL, Said, kind, read, retry_after};
use crate::digest::Digest;
use crate::error::ErrorKind;

fn said(body: &str) -> Said {
    read(StatusCode::BAD_REQUEST, &HeaderMap::new(), body)
}

const PAGE: &str = "an HTML page, so this may be a proxy's answer";

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
fn an_error_is_told_with_its_detail() {
    let shown = |code: &str, message: &str, detail: &str| {
        let error = format!(r#"{{"code":"{code}","message":"{message}","detail":{detail}}}"#);
        said(&format!(r#"{{"errors":[{error}]}}"#)).clause.unwrap()
    };
    let invalid = |detail| shown("MANIFEST_INVALID", "manifest invalid", detail);
    let long = "x".repeat(1000);
    let (quoted, cut) = (format!("\"{long}\""), format!(": {}…", "x".repeat(299)));
    for (detail, expected) in [
        // GitLab.
        (r#""unknown media type: a/b""#, ": unknown media type: a/b"),
        // Quay.
        (
            r#"{"message":"layer type a/b is not one of the allowed"}"#,
            ": layer type a/b is not one of the allowed",
        ),
        (r#"{"reason":"too\nold","hint":{"x":1}}"#, ": too old"),
        (r#"[{"message":"one"},"two","two"]"#, ": one; two"),
        (r#"["one","two","three","four"]"#, ": one; two; three"),
        (r#"{"details":[{"reason":"deep"}]}"#, ": deep"),
        // What the message says already, and what is for programs.
        (r#""Manifest invalid.""#, ""),
        (r#"{"Type":"repository","Name":"a/b","Action":"pull"}"#, ""),
        (r#"{"token":"secret","Op":"write"}"#, ""),
        ("null", ""),
        ("7", ""),
        // Secrets by their form.
        (r#""no: Bearer abc.def""#, ": no: Bearer ***"),
        (
            r#""see https://s3.example/x?X-Amz-Signature=1""#,
            ": see https://s3.example/x?***",
        ),
        (&quoted, &cut),
    ] {
        let expected = format!("MANIFEST_INVALID: manifest invalid{expected}");
        assert_eq!(invalid(detail), expected, "{detail}");
    }
    assert_eq!(
        shown(
            "UNKNOWN",
            "unknown error",
            r#""write /data: no space left on device""#
        ),
        "UNKNOWN: unknown error: write /data: no space left on device"
    );
    let driver = r#"{"DriverName":"filesystem","Enclosed":{"Op":"write","Err":28}}"#;
    assert_eq!(
        shown("UNKNOWN", "unknown error", driver),
        "UNKNOWN: unknown error: its storage says no space left on device"
    );
    let all = invalid(&format!("[{quoted},\"y{long}\"]"));
    assert_eq!(all.chars().count(), SHOWN_IN_ALL);
}

#[test]
fn what_is_said_twice_is_told_once() {
    for (body, clause) in [
        (
            r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#,
            "DENIED",
        ),
        (
            r#"{"errors":[{"code":"DENIED","message":"denied: no such project"}]}"#,
            "DENIED: denied: no such project",
        ),
        (
            r#"{"errors":[{"code":"A","message":"x"},{"code":"A","message":"x"},{"code":"B"},{"code":"B"},{"code":"C"}]}"#,
            "A: x; B; C",
        ),
        // A part of a word is another word.
        (
            r#"{"errors":[{"code":"X","message":"no","detail":"unknown"}]}"#,
            "X: no: unknown",
        ),
        ("<html><title>400 Bad Request</title></html>", PAGE),
        ("<html><title>Bad Request</title></html>", PAGE),
    ] {
        assert_eq!(said(body).clause.as_deref(), Some(clause), "{body}");
    }
    for body in [
        "Bad Request",
        "400 bad request.",
        r#"{"error":"Bad Request"}"#,
    ] {
        assert_eq!(said(body).clause, None, "{body}");
    }
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
        // RFC 6749; RFC 9457; Google; Spring; AWS.
        (
            r#"{"error":"invalid_scope","error_description":"no such scope"}"#,
            Some("invalid_scope: no such scope"),
        ),
        (
            r#"{"type":"about:blank","title":"Not allowed","status":403,"detail":"ask your team"}"#,
            Some("Not allowed: ask your team"),
        ),
        (
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#,
            Some("no: SERVICE_DISABLED"),
        ),
        (
            r#"{"status":400,"error":"Bad Request","message":"no","path":"/v2/"}"#,
            Some("Bad Request: no"),
        ),
        (r#"{"__type":"X","Message":"no"}"#, Some("no")),
        (r#"{"code":"DENIED","message":"no"}"#, Some("DENIED: no")),
        (
            r#"{"errors":{"code":"DENIED","message":"no"}}"#,
            Some("DENIED: no"),
        ),
        (r#"{"error":"no"}"#, Some("no")),
        (r#"{"message":"no"}"#, Some("no")),
        (r#"{"errors":"no"}"#, Some("no")),
        (r#""no""#, Some("no")),
        (r#"{"errors":[]}"#, None),
        (r#"{"errors":[7,{"code":7}]}"#, None),
        ("[]", None),
        ("null", None),
        ("<html><h1>413</h1></html>", Some(PAGE)),
        ("<!DOCTYPE html><p>", Some(PAGE)),
        (
            "<!DOCTYPE html><TITLE>Log in\n\u{130} here</TITLE>",
            Some("an HTML page, \"Log in \u{130} here\", so this may be a proxy's answer"),
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
        let code = clause.filter(|clause| clause.starts_with("DENIED"));
        assert_eq!(said.code.as_deref(), code.map(|_| "DENIED"));
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let said = read(StatusCode::BAD_GATEWAY, &headers, "Bad Gateway");
    assert!(said.clause.unwrap().starts_with("an HTML page"));
    let said = self::said(&String::from_utf8_lossy(b"\xff\xfe no text"));
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
        (500, "BLOB_UPLOAD_UNKNOWN", Server),
        (500, "MANIFEST_BLOB_UNKNOWN", MissingContent),
        (500, "BLOB_UNKNOWN", MissingContent),
        (500, "DENIED", Denied),
        (500, "MANIFEST_INVALID", Rejected),
        (500, "NAME_INVALID", Rejected),
        (500, "UNSUPPORTED", Rejected),
        (502, "MANIFEST_BLOB_UNKNOWN", Server),
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
