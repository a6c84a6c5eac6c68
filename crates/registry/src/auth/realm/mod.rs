//! Token realms that may see a credential (docs/files.md#credentials).
//!
//! A challenge is only a header: an attacker who can insert one into an answer names the host that receives the next request
//! with the login. Therefore the realm has to belong to the registry:
//!
//! 1. the same host, on any port;
//! 2. over https, a host below the registry's own (`auth.example.com` for `example.com`);
//! 3. over https, the registry's parent domain or a host right below it (`gitlab.example.com` or `example.com` for
//!    `registry.example.com`), where the parent is a name that one party holds: neither a public suffix
//!    (<https://publicsuffix.org>, such as `co.uk` or `duckdns.org`) nor a domain of many customers (`azurecr.io`);
//! 4. over https, a pair that is known: Docker Hub and `auth.docker.io`, Alibaba Cloud and its `dockerauth` hosts;
//! 5. a host that the user named.
//!
//! Other realms are contacted without the credential. Two kinds are not contacted at all: plain http for a registry
//! that is not marked insecure, and a private address for a public registry.

use url::{Host, Url};

use crate::transport::{TlsExceptions, leads_inside, names};

/// Trust in a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RealmTrust {
    /// The realm receives the credential.
    WithCredential,
    /// The realm is contacted without the credential.
    Anonymously,
    /// The realm is not contacted, because it uses plain http.
    NotOverHttp,
    /// The realm is not contacted, because it has a private address.
    NotInside,
}

/// Domains whose direct children belong to different customers, and which are not on the Public Suffix List; `*`
/// stands for one label, such as the name of a region.
const SHARED_DOMAINS: &[&str] = &[
    "*.cloudapp.azure.com",
    "*.cloudapp.chinacloudapi.cn",
    "*.cloudapp.usgovcloudapi.net",
    "aliyuncs.com",
    "amazonaws.com",
    "amazonaws.com.cn",
    "azurecr.cn",
    "azurecr.io",
    "azurecr.us",
    "azurecontainerapps.io",
    "core.windows.net",
    "gcr.io",
    "googleusercontent.com",
    "jfrog.io",
    "myhuaweicloud.com",
    "nip.io",
    "on.aws",
    "pkg.dev",
    "run.app",
    "sslip.io",
    "tencentcloudcr.com",
];

/// Resolves the address of a token server, absolute or relative to the registry. User and fragment are removed.
pub(super) fn resolve_realm(base: &Url, realm: &str) -> Option<Url> {
    let mut url = base
        .join(realm)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

/// Judges `realm` for the registry that is reached at `base`. `exceptions` are those of its connections; `named` are the hosts, or hosts with ports, that the user trusts, and `private` those in a private
/// network that a public registry may lead to. A registry within a private network may have its token server there
/// too.
pub(super) async fn check_realm(
    base: &Url,
    exceptions: TlsExceptions,
    realm: &Url,
    named: &[String],
    private: &[String],
) -> RealmTrust {
    let is_named = named.iter().any(|name| names(name, realm));
    if !is_named && leads_inside(base, realm, exceptions.is_unverified(), private).await {
        return RealmTrust::NotInside;
    }
    match (realm.scheme(), exceptions.plain_http) {
        ("http", false) => RealmTrust::NotOverHttp,
        _ if is_named || belongs(base, realm) => RealmTrust::WithCredential,
        _ => RealmTrust::Anonymously,
    }
}

/// Rules 1 to 4.
fn belongs(base: &Url, realm: &Url) -> bool {
    let (Some(home), Some(host)) = (base.host(), realm.host()) else {
        return false;
    };
    home == host
        || (is_loopback(&home) && is_loopback(&host))
        || (realm.scheme() == "https"
            && (is_known_service(&home, &host) || is_family(&home, &host)))
}

/// Rules 2 and 3.
fn is_family(home: &Host<&str>, host: &Host<&str>) -> bool {
    let (Host::Domain(home), Host::Domain(host)) = (home, host) else {
        return false;
    };
    let below_home = host
        .strip_suffix(home)
        .is_some_and(|rest| rest.ends_with('.'));
    if below_home && is_owned(home) {
        return true;
    }
    let Some((_, parent)) = home.split_once('.') else {
        return false;
    };
    if !is_owned(parent) {
        return false;
    }
    *host == parent
        || host
            .split_once('.')
            .is_some_and(|(label, rest)| rest == parent && !label.is_empty())
}

/// Returns whether one party holds the domain: it has a label more than a public suffix, and its children are not
/// those of different customers.
fn is_owned(domain: &str) -> bool {
    let parent = domain.split_once('.').map(|(_, parent)| parent);
    let is_shared = SHARED_DOMAINS
        .iter()
        .any(|shared| match shared.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix) || domain == suffix,
            None => *shared == domain,
        });
    psl::domain_str(domain).is_some() && !is_shared
}

/// Rule 4.
fn is_known_service(home: &Host<&str>, realm: &Host<&str>) -> bool {
    let (Host::Domain(home), Host::Domain(realm)) = (home, realm) else {
        return false;
    };
    (*home == "registry-1.docker.io" && *realm == "auth.docker.io")
        || (home.ends_with(".aliyuncs.com") && is_alibaba_token_server(realm))
}

/// Alibaba Cloud's registries, Personal and Enterprise, of every region share token servers called
/// `dockerauth[-ee][-vpc].<region>.aliyuncs.com`, `dockerauth.aliyuncs.com` and, in one region,
/// `dockerauth-<region>.aliyuncs.com`. Its customers name hosts elsewhere under the same domain (buckets are
/// `<name>.oss-<region>.aliyuncs.com`), so the region has to look like one.
fn is_alibaba_token_server(realm: &str) -> bool {
    let Some(name) = realm.strip_suffix(".aliyuncs.com") else {
        return false;
    };
    let (label, region) = name.split_once('.').unzip();
    let label = label.unwrap_or(name);
    let is_region = |text: &str| {
        !text.contains('.')
            && text
                .split_once('-')
                .is_some_and(|(area, rest)| area.len() == 2 && !rest.is_empty())
    };
    (label == "dockerauth" || label.starts_with("dockerauth-")) && region.is_none_or(is_region)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests;
