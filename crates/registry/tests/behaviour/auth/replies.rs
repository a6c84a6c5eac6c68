//! Answers of token servers, and the lifetime of tokens.

use std::time::Duration;

use image_syncer_registry::{Cause, ErrorKind};

use super::caller::{Denied, anonymous, user};
use super::scripted::{Scripted, answer, challenge, granting};

const CHALLENGE: &str = r#"Bearer realm="/token""#;

#[tokio::test(start_paused = true)]
async fn lifetimes_are_clamped_and_the_last_part_is_not_used() {
    for (reply, seconds) in [
        (r#"{"token":"t"}"#, 50),
        (r#"{"token":"t","expires_in":5}"#, 50),
        (r#"{"token":"t","expires_in":-1}"#, 50),
        (r#"{"token":"t","expires_in":null}"#, 50),
        (r#"{"token":"t","expires_in":"abc"}"#, 50),
        (r#"{"token":"t","expires_in":300}"#, 255),
        (r#"{"token":"t","expires_in":"300"}"#, 255),
        (
            r#"{"token":"t","expires_in":300.5,"issued_at":"1970-01-01T00:00:00Z"}"#,
            256,
        ),
        (r#"{"token":"","access_token":"t","expires_in":3600}"#, 3300),
        (r#"{"token":"t","expires_in":1e300}"#, 24 * 3600 - 300),
    ] {
        let (caller, wire) =
            Scripted::caller("registry.example.com", false, granting(CHALLENGE, reply));
        caller.pull(&anonymous(), "a").await.unwrap();
        assert_eq!(wire.tokens().len(), 1);
        tokio::time::advance(Duration::from_secs(seconds - 1)).await;
        caller.pull(&anonymous(), "a").await.unwrap();
        assert_eq!(wire.tokens().len(), 0, "{reply}");
        tokio::time::advance(Duration::from_secs(1)).await;
        caller.pull(&anonymous(), "a").await.unwrap();
        assert_eq!(wire.tokens().len(), 1, "{reply}");
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_an_error_that_shows_nothing_of_it() {
    let long: &'static str =
        Box::leak(format!(r#"{{"token":"{}"}}"#, "s3cret".repeat(30_000)).into_boxed_str());
    for (reply, expected) in [
        (
            "<html>s3cret</html>",
            "is a web page and not a JSON document",
        ),
        ("", "is not a JSON document with a token"),
        (r#"["s3cret"]"#, "is not a JSON document with a token"),
        (r#"{"refresh_token":"s3cret"}"#, "holds no token"),
        (
            r#"{"token":null,"access_token":["s3cret"]}"#,
            "holds no token",
        ),
        (
            r#"{"token":"s3cret\nX-Evil: 1"}"#,
            "holds a token that no header can carry",
        ),
        (long, ""),
    ] {
        let (caller, wire) =
            Scripted::caller("registry.example.com", false, granting(CHALLENGE, reply));
        let denied = caller.pull(&anonymous(), "a").await.unwrap_err();
        let Denied::Failed(error) = denied else {
            panic!("{denied:?}")
        };
        let said = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{said}");
        assert!(
            said.contains(expected) && !said.contains("s3cret"),
            "{said}"
        );
        assert_eq!(error.host(), "registry.example.com");
        if !expected.is_empty() {
            assert_eq!(error.cause(), Cause::TokenServer, "{said}");
        }
        assert_eq!(wire.tokens().len(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_token_server_that_refuses_the_request_and_not_the_login_is_named() {
    let html = "<html><head><title>Sign in</title></head></html>";
    let invalid = r#"{"errors":[{"code":"INVALID","message":"unknown service \"s\""}]}"#;
    for (status, body, said) in [
        (
            400,
            invalid,
            "the token server answered 400 Bad Request (INVALID: unknown service \"s\")",
        ),
        (
            404,
            html,
            "the token server answered 404 Not Found (an HTML page, \"Sign in\", so this may be a proxy's answer)",
        ),
        (405, "", "the token server answered 405 Method Not Allowed"),
    ] {
        for access in [anonymous(), user("u", "p")] {
            let (caller, _) = Scripted::caller("registry.example.com", false, move |asked| {
                if asked.is_token() {
                    answer(status, body)
                } else {
                    challenge(r#"Bearer realm="https://auth.example.com/token",service="s""#)
                }
            });
            let denied = caller.pull(&access, "a").await.unwrap_err();
            let Denied::Failed(error) = denied else {
                panic!("{denied:?}")
            };
            let names = "registry.example.com names auth.example.com as its token server";
            assert_eq!(error.message(), format!("{said}; {names}"));
            assert_eq!(error.host(), "auth.example.com");
            assert_eq!(error.cause(), Cause::TokenServer);
        }
    }
}
