#![allow(clippy::unwrap_used)]
use super::RealmTrust::{Anonymously, NotInside, NotOverHttp, WithCredential};
use super::*;

async fn of(base: &str, realm: &str, insecure: bool, named: &[&str]) -> RealmTrust {
    let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
    check_realm(
        &Url::parse(base).unwrap(),
        if insecure {
            TlsExceptions::ALL
        } else {
            TlsExceptions::NONE
        },
        &Url::parse(realm).unwrap(),
        &named,
        &["10.7.7.7:8443".to_owned()],
    )
    .await
}

/// Pairs as `registry realm`, both without scheme.
async fn assert_all(pairs: &str, expected: RealmTrust) {
    for pair in pairs.lines().map(str::trim).filter(|pair| !pair.is_empty()) {
        let (registry, realm) = pair.split_once(' ').unwrap();
        let found = of(
            &format!("https://{registry}/"),
            &format!("https://{}", realm.trim()),
            false,
            &[],
        )
        .await;
        assert_eq!(found, expected, "{pair}");
    }
}

#[tokio::test]
async fn real_pairs_see_the_credential() {
    let pairs = "
        registry-1.docker.io                            auth.docker.io/token
        ghcr.io                                         ghcr.io/token
        quay.io                                         quay.io/v2/auth
        harbor.example.com                              harbor.example.com:8443/service/token
        registry.example.com:5050                       gitlab.example.com/jwt/auth
        registry.gitlab.com                             gitlab.com/jwt/auth
        docker.elastic.co                               docker-auth.elastic.co/auth
        registry.cn-hangzhou.aliyuncs.com               dockerauth.cn-hangzhou.aliyuncs.com/auth
        registry.cn-shenzhen.aliyuncs.com               dockerauth.cn-hangzhou.aliyuncs.com/auth
        registry-vpc.cn-beijing.aliyuncs.com            dockerauth-vpc.cn-beijing.aliyuncs.com/auth
        registry.cn-shanghai.aliyuncs.com               dockerauth.aliyuncs.com/auth
        registry.aliyuncs.com                           dockerauth.cn-hangzhou.aliyuncs.com/auth
        demo-registry.cn-hangzhou.cr.aliyuncs.com       dockerauth-ee.cn-hangzhou.aliyuncs.com/auth
        demo-registry.cn-zhangjiakou.cr.aliyuncs.com    dockerauth-cn-zhangjiakou.aliyuncs.com/auth
        example.com                                     auth.example.com/token
        registry.example.co.uk                          auth.example.co.uk/token
        example.co.uk                                   auth.example.co.uk/token
        registry.mine.duckdns.org                       auth.mine.duckdns.org/token
        registry.example.internal                       auth.example.internal/token
        ";
    assert_all(pairs, WithCredential).await;
}

#[tokio::test]
async fn strangers_do_not() {
    let pairs = "
        registry.example.com                example.net/token
        registry.example.com                registry.example.com.evil.net/token
        registry.example.com                evil-registry.example.community/token
        registry.example.com                notexample.com/token
        registry.example.com                a.b.example.com/token
        registry.example.com                dockerauth.cn-hangzhou.aliyuncs.com/auth
        registry.co.uk                      evil.co.uk/token
        registry.com.cn                     evil.com.cn/token
        mine.azurecr.io                     evil.azurecr.io/oauth2/token
        mine.duckdns.org                    evil.duckdns.org/token
        mine.westeurope.cloudapp.azure.com  evil.westeurope.cloudapp.azure.com/token
        mine.github.io                      evil.github.io/token
        registry.gov.uk                     evil.gov.uk/token
        registry.tokyo.jp                   evil.tokyo.jp/token
        duckdns.org                         evil.duckdns.org/token
        ghcr.io                             evil.io/token
        registry.aliyuncs.com               evil.aliyuncs.com/auth
        registry.cn-hangzhou.aliyuncs.com   dockerauth-evil.oss-cn-hangzhou.aliyuncs.com/auth
        registry.cn-hangzhou.aliyuncs.com   dockerauth.cn-hangzhou.evil.com/auth
        45.45.45.5                         45.45.45.6/token
        ";
    assert_all(pairs, Anonymously).await;
}

#[tokio::test]
async fn the_user_may_name_a_host_but_not_lower_the_guard_of_tls() {
    let base = "https://registry.example.com/";
    for (realm, name, expected) in [
        (
            "https://login.example.net/t",
            "Login.example.net",
            WithCredential,
        ),
        (
            "https://login.example.net/t",
            "login.example.net:443",
            WithCredential,
        ),
        (
            "https://login.example.net:8443/t",
            "login.example.net:443",
            Anonymously,
        ),
        (
            "http://login.example.net/t",
            "login.example.net",
            NotOverHttp,
        ),
        ("http://registry.example.com/t", "", NotOverHttp),
        ("https://10.0.0.7/t", "10.0.0.7", WithCredential),
    ] {
        assert_eq!(
            of(base, realm, false, &[name]).await,
            expected,
            "{realm} {name}"
        );
    }
}

#[tokio::test]
async fn plain_http_stays_on_its_host() {
    for (base, realm, expected) in [
        (
            "http://registry.corp:5000/",
            "http://registry.corp:5001/auth",
            WithCredential,
        ),
        (
            "https://registry.corp:5000/",
            "http://registry.corp:5001/auth",
            WithCredential,
        ),
        (
            "http://registry.corp:5000/",
            "http://auth.corp/auth",
            Anonymously,
        ),
        (
            "http://registry.example.com/",
            "http://auth.example.com/auth",
            Anonymously,
        ),
        (
            "http://127.0.0.1:5000/",
            "http://localhost:81/t",
            WithCredential,
        ),
        ("http://10.0.0.1/", "http://10.0.0.2/t", Anonymously),
    ] {
        assert_eq!(of(base, realm, true, &[]).await, expected, "{base} {realm}");
    }
    let found = of("https://localhost/", "https://[::1]:81/t", false, &[]).await;
    assert_eq!(found, WithCredential);
}

#[tokio::test]
async fn a_public_registry_cannot_lead_to_private_addresses() {
    for host in [
        "127.0.0.1",
        "localhost",
        "x.localhost",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "0.0.0.0",
        "[::1]",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
    ] {
        for scheme in ["http", "https"] {
            let realm = format!("{scheme}://{host}/token");
            let found = of("https://45.45.45.5/", &realm, false, &[]).await;
            assert_eq!(found, NotInside, "{realm}");
        }
    }
    assert_eq!(
        of("https://registry/", "https://10.0.0.5/t", false, &[]).await,
        Anonymously
    );
    assert_eq!(
        of("https://10.0.0.4/", "https://10.0.0.5/t", false, &[]).await,
        Anonymously
    );
    for insecure in [false, true] {
        assert_eq!(
            of("https://45.45.45.5/", "https://10.0.0.5/t", insecure, &[]).await,
            NotInside
        );
        // Allowed to be asked is not allowed to see the login.
        assert_eq!(
            of(
                "https://45.45.45.5/",
                "https://10.7.7.7:8443/t",
                insecure,
                &[]
            )
            .await,
            Anonymously
        );
    }
}

#[test]
fn a_realm_may_be_relative_and_loses_user_and_fragment() {
    let base = Url::parse("https://registry.example.com/").unwrap();
    for (text, expected) in [
        (
            "/service/token",
            Some("https://registry.example.com/service/token"),
        ),
        ("token?x=1", Some("https://registry.example.com/token?x=1")),
        (
            "https://u:p@auth.example.com/t?a=b#c",
            Some("https://auth.example.com/t?a=b"),
        ),
        ("file:///etc/passwd", None),
        ("https://", None),
    ] {
        assert_eq!(
            resolve_realm(&base, text).as_ref().map(Url::as_str),
            expected,
            "{text}"
        );
    }
}
