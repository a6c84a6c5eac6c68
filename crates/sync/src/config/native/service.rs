//! Reader of `service` and `share`. Only their own commands use them, so secrets are not looked up here.

use std::collections::{HashMap, HashSet};

use super::fields::{Fields, items};
use super::findings::Findings;
use super::reading::Source;
use super::scalar;
use super::secret_value::{self, is_map};
use super::tables;
use crate::config::document::Node;
use crate::config::{
    HookConfig, NotifyConfig, NotifyKind, SecretPlace, ServiceConfig, ShareConfig, TlsFiles,
    TokenConfig, TokenScope,
};
use crate::rule::Location;

/// Settings of the service and of shared runs. One file has each of them.
#[derive(Default)]
pub(super) struct ServiceSettings {
    config: ServiceConfig,
    share: Option<ShareConfig>,
    /// Places of the keys `service` and `share`.
    places: HashMap<&'static str, Location>,
}

impl ServiceSettings {
    /// Reads both keys of a file.
    pub(super) fn read(&mut self, source: &Source<'_>, file: &Fields<'_>, findings: &mut Findings) {
        if let Some(node) = file.node("service") {
            self.refuse_second("service", source, file, findings);
            let fields = Fields::new(&tables::SERVICE, node);
            self.config = Reader { source, findings }.service(&fields);
        }
        if let Some(node) = file.node("share") {
            self.refuse_second("share", source, file, findings);
            self.share = Reader { source, findings }.share(node);
        }
    }

    /// Returns the settings of all files.
    pub(super) fn finish(self) -> (ServiceConfig, Option<ShareConfig>) {
        (self.config, self.share)
    }

    fn refuse_second(
        &mut self,
        key: &'static str,
        source: &Source<'_>,
        file: &Fields<'_>,
        findings: &mut Findings,
    ) {
        let at = file.key_at(key);
        if let Some(first) = self.places.get(key) {
            let message = format!(
                "`{key}` is given {} already. Keep one of the two.",
                source.place(first)
            );
            findings.mistake(&source.file, at, message);
        } else {
            self.places.insert(key, source.location(at));
        }
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn share(&mut self, node: &Node) -> Option<ShareConfig> {
        if !is_map(node) {
            let url = secret_value::place(self.source, "share", node, self.findings)?;
            return Some(ShareConfig { url, timeout: None });
        }
        let fields = Fields::new(&tables::SHARE, node);
        let timeout = fields.text("timeout").and_then(scalar::duration);
        let url = self.secret(&fields, "url")?;
        Some(ShareConfig { url, timeout })
    }

    fn service(&mut self, service: &Fields<'_>) -> ServiceConfig {
        let runs = service.text("runs");
        ServiceConfig {
            listen: self.addresses(service),
            tokens: self.tokens(service),
            anonymous_reads: service.text("anonymous") == Some("read"),
            runs: runs.and_then(|number| number.parse().ok()),
            tls: self.tls(service),
            url: self.url(service),
            hooks: self.hooks(service),
            notify: self.receivers(service),
        }
    }

    fn addresses(&mut self, service: &Fields<'_>) -> Vec<String> {
        let mut addresses = Vec::new();
        for (address, node) in service.texts("listen") {
            if is_address(address) {
                addresses.push(address.to_owned());
            } else {
                let message = format!(
                    "`{address}` is not an address with a port. Write one such as 127.0.0.1:8080."
                );
                self.findings.mistake(&self.source.file, node.at, message);
            }
        }
        addresses
    }

    fn url(&mut self, service: &Fields<'_>) -> Option<String> {
        let url = service.text("url")?;
        let rest = url.strip_prefix("https://");
        let rest = rest.or_else(|| url.strip_prefix("http://"));
        let has_host = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
        if has_host && !url.contains(char::is_whitespace) {
            return Some(url.trim_end_matches('/').to_owned());
        }
        let message =
            format!("`{url}` is not a URL. Write one such as https://mirror.example.com.");
        let at = service.node("url")?.at;
        self.findings.mistake(&self.source.file, at, message);
        None
    }

    fn tokens(&mut self, service: &Fields<'_>) -> Vec<TokenConfig> {
        let mut names = HashSet::new();
        let mut tokens = Vec::new();
        for node in service.node("tokens").map(items).unwrap_or_default() {
            let token = Fields::new(&tables::TOKEN, node);
            let secret = self.secret(&token, "secret");
            let scope = match token.text("scope") {
                Some("sync") => TokenScope::Sync,
                _ => TokenScope::Read,
            };
            let name = token.text("name");
            if let Some(name) = name.filter(|name| !names.insert(*name)) {
                let message = format!("the token name `{name}` is used twice. Write another one.");
                let at = token.key_at("name");
                self.findings.mistake(&self.source.file, at, message);
            }
            if let (Some(name), Some(secret)) = (name, secret) {
                tokens.push(TokenConfig {
                    name: name.to_owned(),
                    secret,
                    scope,
                });
            }
        }
        tokens
    }

    fn tls(&self, service: &Fields<'_>) -> Option<TlsFiles> {
        let tls = Fields::new(&tables::SERVICE_TLS, service.node("tls")?);
        let path = |key| tls.text(key).map(|written| self.source.path(written));
        Some(TlsFiles {
            cert: path("cert")?,
            key: path("key")?,
        })
    }

    fn hooks(&mut self, service: &Fields<'_>) -> Vec<HookConfig> {
        let Some(node) = service.node("hooks") else {
            return Vec::new();
        };
        let hooks = Fields::new(&tables::HOOKS, node);
        let kinds = tables::HOOKS.keys.iter().map(|key| key.name);
        let hooks = kinds.filter_map(|kind| {
            let hook = Fields::new(&tables::HOOK, hooks.node(kind)?);
            Some(HookConfig {
                kind: kind.to_owned(),
                secret: self.secret(&hook, "secret")?,
            })
        });
        hooks.collect()
    }

    fn receivers(&mut self, service: &Fields<'_>) -> Vec<NotifyConfig> {
        let nodes = service.node("notify").map(items).unwrap_or_default();
        let receivers = nodes.iter().filter_map(|node| self.receiver(node));
        receivers.collect()
    }

    fn receiver(&mut self, node: &Node) -> Option<NotifyConfig> {
        let receiver = Fields::new(&tables::NOTIFY, node);
        let url = self.secret(&receiver, "url");
        let secret = self.secret(&receiver, "secret");
        let kind = receiver.text("kind");
        Some(NotifyConfig {
            kind: match kind? {
                "slack" => NotifyKind::Slack,
                "feishu" => NotifyKind::Feishu,
                "dingtalk" => NotifyKind::DingTalk,
                _ => NotifyKind::CloudEvents,
            },
            url: url?,
            secret,
            on: receiver
                .texts("on")
                .iter()
                .map(|(event, _)| (*event).to_owned())
                .collect(),
        })
    }

    /// Reads the place of a secret.
    fn secret(&mut self, fields: &Fields<'_>, key: &str) -> Option<SecretPlace> {
        let node = fields.node(key)?;
        secret_value::place(self.source, key, node, self.findings)
    }
}

/// Returns true for `host:port`.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', ' ']),
    };
    is_host && port.parse::<u16>().is_ok()
}
