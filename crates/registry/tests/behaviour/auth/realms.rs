//! Token servers as challenges name them: where they are asked, for what, and who gets to see a login.

use http::StatusCode;
use image_syncer_registry::ErrorKind;
use image_syncer_registry::transport::TlsExceptions;

use super::caller::{Denied, anonymous, user};
use super::scripted::{Scripted, answer, challenge, granting};

const GRANTED: &str = r#"{"token":"t"}"#;

#[tokio::test]
async fn a_relative_realm_and_its_own_query_are_honoured() {
    let challenge = r#"Bearer realm="/token?tenant=a%20b&x",service="re gistry""#;
    let (caller, wire) =
        Scripted::caller("registry.example.com", false, granting(challenge, GRANTED));
    caller.pull(&user("u+v", "p"), "a/b").await.unwrap();
    let asked = wire.asked();
    assert_eq!(
        asked[1].url,
        "https://registry.example.com/token?tenant=a%20b&x&service=re+gistry&scope=repository%3Aa%2Fb%3Apull&account=u%2Bv"
    );
    assert_eq!(
        (asked[1].method.as_str(), asked[1].authorization.as_deref()),
        ("GET", Some("Basic dSt2OnA="))
    );
    assert_eq!(asked[2].authorization.as_deref(), Some("Bearer t"));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_stranger_is_asked_without_the_login_and_that_is_said_once() {
    let challenge = r#"Bearer realm="https://auth.example.net/token""#;
    let (caller, wire) =
        Scripted::caller("registry.example.com", false, granting(challenge, GRANTED));
    let access = user("u", "secret");
    caller.pull(&access, "a").await.unwrap();
    caller.pull(&access, "b").await.unwrap();
    let asked = wire.asked();
    let tokens: Vec<_> = asked.iter().filter(|asked| asked.is_token()).collect();
    assert_eq!(
        tokens[0].url,
        "https://auth.example.net/token?scope=repository%3Aa%3Apull"
    );
    assert!(tokens.iter().all(|asked| asked.authorization.is_none()));
    assert_eq!(tokens.len(), 2);
    assert_eq!(
        caller.warnings.all(),
        [
            "registry.example.com: its token server auth.example.net does not belong to registry.example.com, so it \
             does not get the login of user \"u\" (from auth.yaml): to send it there, add --trust-realm \
             auth.example.net"
        ]
    );
}

#[tokio::test]
async fn a_refusal_to_a_login_that_was_kept_back_says_so() {
    let script = |asked: &super::scripted::Asked| {
        if asked.is_token() {
            answer(200, GRANTED)
        } else {
            challenge(r#"Bearer realm="https://auth.example.net/token""#)
        }
    };
    let (caller, _wire) = Scripted::caller("registry.example.com", false, script);
    let said = caller
        .pull(&user("u", "secret"), "a")
        .await
        .unwrap_err()
        .text();
    assert!(
        said.contains("its token server auth.example.net does not belong to registry.example.com"),
        "{said}"
    );
    let said = caller.pull(&anonymous(), "a").await.unwrap_err().text();
    assert!(
        said.starts_with("no login is given for registry.example.com (no entry)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_realm_that_the_user_named_sees_the_login() {
    let challenge = r#"Bearer realm="https://auth.example.net/token""#;
    let (caller, wire) =
        Scripted::caller("registry.example.com", false, granting(challenge, GRANTED));
    let caller = caller
        .with(|authenticator| authenticator.trusting(vec!["auth.example.net".to_owned()].into()));
    caller.pull(&user("u", "p"), "a").await.unwrap();
    assert_eq!(wire.asked()[1].authorization.as_deref(), Some("Basic dTpw"));
    assert!(caller.warnings.all().is_empty());
}

#[tokio::test]
async fn realms_that_are_not_safe_are_not_asked_at_all() {
    for (challenge, expected) in [
        (
            r#"Bearer realm="http://registry.example.com/token""#,
            "a token server on plain http (registry.example.com)",
        ),
        (
            r#"Bearer realm="https://169.254.169.254/token""#,
            "169.254.169.254 is at a private address",
        ),
        (
            r#"Bearer realm="file:///token""#,
            "\"file:///token\", is no URL of http or https",
        ),
    ] {
        let host = if challenge.contains("169") {
            "45.45.45.5"
        } else {
            "registry.example.com"
        };
        let (caller, wire) = Scripted::caller(host, false, granting(challenge, GRANTED));
        for access in [user("u", "p"), anonymous()] {
            let denied = caller.pull(&access, "a").await.unwrap_err();
            assert!(denied.text().contains(expected), "{}", denied.text());
            let Denied::Failed(error) = denied else {
                panic!("{denied:?}")
            };
            assert!(matches!(
                error.kind(),
                ErrorKind::Refused | ErrorKind::Protocol
            ));
        }
        assert_eq!(wire.tokens(), [""; 0]);
    }
}

#[tokio::test]
async fn what_an_insecure_way_has_told_is_not_believed_on_the_secure_one() {
    let script = |asked: &super::scripted::Asked| {
        if asked.is_token() {
            answer(200, GRANTED)
        } else if asked.authorization.is_some() {
            answer(200, "{}")
        } else {
            challenge(r#"Bearer realm="https://registry.example.com/token""#)
        }
    };
    let (mut caller, wire) = Scripted::caller("registry.example.com", true, script);
    caller.pull(&user("u", "p"), "a").await.unwrap();
    wire.asked();
    caller.endpoint.exceptions = TlsExceptions::NONE;
    assert_eq!(
        caller.pull(&user("u", "p"), "a").await.unwrap(),
        StatusCode::OK
    );
    let asked = wire.asked();
    assert_eq!(asked[0].authorization, None);
    assert_eq!(asked.iter().filter(|asked| asked.is_token()).count(), 1);
}

#[tokio::test]
async fn scopes_that_only_the_registry_knows_are_learned_once() {
    // Azure's registry lets nobody list tags without `metadata_read`; Amazon's public one asks for `aws`.
    for (scope, expected) in [
        (
            "repository:a:metadata_read",
            "scope=repository%3Ab%3Apull%2Cmetadata_read",
        ),
        ("aws", "scope=repository%3Ab%3Apull&scope=aws"),
    ] {
        let peculiar = scope.rsplit(':').next().unwrap().to_owned();
        let script = move |asked: &super::scripted::Asked| {
            if asked.is_token() {
                let token = if asked.url.contains(&peculiar) {
                    "wide"
                } else {
                    "narrow"
                };
                answer(200, format!(r#"{{"access_token":"{token}"}}"#))
            } else if asked.authorization.as_deref() == Some("Bearer wide") {
                answer(200, "{}")
            } else {
                challenge(&format!(r#"Bearer realm="/token",scope="{scope}""#))
            }
        };
        let (caller, wire) = Scripted::caller("registry.example.com", false, script);
        caller.pull(&anonymous(), "a").await.unwrap();
        assert_eq!(wire.asked().len(), 3, "{scope}");
        caller.pull(&anonymous(), "b").await.unwrap();
        let asked = wire.asked();
        assert_eq!(asked.len(), 2, "{scope}");
        assert_eq!(
            asked[0].url,
            format!("https://registry.example.com/token?{expected}")
        );
    }
}

#[tokio::test]
async fn the_example_scope_in_the_challenge_of_a_ping_is_not_asked_for() {
    let script = |asked: &super::scripted::Asked| {
        if asked.is_token() {
            answer(200, GRANTED)
        } else if asked.authorization.is_some() {
            answer(200, "{}")
        } else if asked.url.ends_with("/v2/") {
            challenge(
                r#"Bearer realm="/token",service="ghcr.io",scope="repository:user/image:pull""#,
            )
        } else {
            answer(401, "")
        }
    };
    let (caller, wire) = Scripted::caller("ghcr.io", false, script);
    caller.pull(&anonymous(), "a/b").await.unwrap();
    assert_eq!(
        wire.tokens(),
        ["https://ghcr.io/token?service=ghcr.io&scope=repository%3Aa%2Fb%3Apull"]
    );
}

#[tokio::test]
async fn a_401_that_never_says_how_is_final() {
    for status in [401, 200, 404] {
        let script = move |asked: &super::scripted::Asked| {
            if asked.url.ends_with("/v2/") {
                answer(status, "")
            } else {
                answer(401, "")
            }
        };
        let (caller, wire) = Scripted::caller("registry.example.com", false, script);
        for _ in 0..3 {
            let said = caller.pull(&user("u", "p"), "a").await.unwrap_err().text();
            assert!(
                said.starts_with("it answered 401 without saying which login it wants"),
                "{said}"
            );
        }
        assert_eq!(wire.asked().len(), 4);
    }
}
