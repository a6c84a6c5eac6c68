//! Pings.

use image_syncer_registry::auth::{Credential, LoginScheme};
use image_syncer_registry::{Cause, ErrorKind, Ping, PingLogin};
use testkit::auth::Access;
use testkit::{Answer, Auth, Fault, Grant, Kind, Profile, TokenRules};

use super::kit::{Kit, basic};

fn facts(ping: &Ping) -> (PingLogin, Option<LoginScheme>) {
    (ping.login, ping.scheme)
}

async fn with(auth: Auth, credential: Credential) -> Kit {
    let server = testkit::Registry::builder().auth(auth).start().await;
    Kit::of(server, credential)
}

#[tokio::test]
async fn an_open_registry_answers_one_request() {
    let kit = Kit::open(Profile::distribution()).await;
    let ping = kit.client.ping().await.unwrap();
    assert_eq!(facts(&ping), (PingLogin::NotRequired, None));
    assert_eq!(ping.api_version.as_deref(), Some("registry/2.0"));
    assert_eq!(kit.lines(), ["GET /v2/"]);
}

#[tokio::test]
async fn a_login_is_checked() {
    for (auth, scheme) in [
        (Auth::basic("ada", "pw"), LoginScheme::Basic),
        (Auth::bearer("ada", "pw"), LoginScheme::Token),
    ] {
        let kit = with(auth.clone(), basic("ada", "pw")).await;
        let ping = kit.client.ping().await.unwrap();
        assert_eq!(facts(&ping), (PingLogin::Accepted, Some(scheme)));
        assert_eq!(kit.took(), [(Kind::Ping, 401), (Kind::Ping, 200)]);
        // The challenge is known now.
        kit.client.ping().await.unwrap();
        assert_eq!(kit.took(), [(Kind::Ping, 200)]);

        let kit = with(auth, basic("ada", "wrong")).await;
        let error = kit.client.ping().await.unwrap_err();
        assert_eq!(error.cause(), Cause::LoginRefused, "{error}");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    }
}

#[tokio::test]
async fn without_a_login_a_ping_says_that_one_is_missing() {
    for (auth, scheme) in [
        (Auth::basic("ada", "pw"), LoginScheme::Basic),
        (Auth::bearer("ada", "pw"), LoginScheme::Token),
    ] {
        let kit = with(auth, Credential::Anonymous).await;
        let ping = kit.client.ping().await;
        if scheme == LoginScheme::Basic {
            assert_eq!(facts(&ping.unwrap()), (PingLogin::Missing, Some(scheme)));
            assert_eq!(kit.took(), [(Kind::Ping, 401)]);
        } else {
            // A token for anybody, which is enough to ping.
            assert_eq!(
                facts(&ping.unwrap()),
                (PingLogin::NotRequired, Some(scheme))
            );
        }
    }
    let denied = TokenRules {
        denied: testkit::auth::Denied::Fails(403),
        ..TokenRules::default()
    };
    let access = Access::new().user_with("ada", "pw", [Grant::all()]);
    let kit = with(Auth::Bearer(access, denied), Credential::Anonymous).await;
    let ping = kit.client.ping().await.unwrap();
    assert_eq!(
        facts(&ping),
        (PingLogin::NotRequired, Some(LoginScheme::Token))
    );
}

#[tokio::test]
async fn a_web_server_is_no_registry() {
    for status in [200, 404] {
        let kit = Kit::open(Profile {
            web_server: Some((status, 405)),
            ..Profile::distribution()
        })
        .await;
        let error = kit.client.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(error.cause(), Cause::NotUnderstood, "{error}");
        let host = kit.server.host();
        let expected = format!("{host} does not answer like a registry: it answered {status}");
        assert!(error.message().starts_with(&expected), "{error}");
        assert_eq!(kit.took().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_in_trouble_is_tried_again() {
    let kit = Kit::open(Profile::distribution()).await;
    kit.server
        .fault(Fault::on(Kind::Ping).times(1), Answer::new(503));
    kit.client.ping().await.unwrap();
    assert_eq!(kit.took(), [(Kind::Ping, 503), (Kind::Ping, 200)]);
}
