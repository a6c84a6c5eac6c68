//! The key `registries`.

use std::collections::HashMap;
use std::ffi::OsString;

use image_syncer_registry::auth::LoginChoice;
use image_syncer_registry::transport::{ProxySetting, TlsSettings};
use image_syncer_registry::{ListingSettings, Registry};
use url::Url;

use super::fields::{Fields, pairs, text};
use super::findings::Findings;
use super::reading::Source;
use super::secret_value::{self, is_map};
use super::tables;
use crate::config::document::Node;
use crate::config::registry_entry::{RegistryEntry, RegistryLimits};
use crate::rule::Location;

/// The registries of all files.
#[derive(Default)]
pub(super) struct Registries {
    entries: Vec<RegistryEntry>,
    places: HashMap<(Registry, String), Location>,
}

impl Registries {
    /// Reads the registries of a file.
    pub(super) fn read(&mut self, source: &Source<'_>, node: &Node, findings: &mut Findings) {
        for (key, value) in pairs(node) {
            let Some(written) = text(key) else { continue };
            let mut reader = Reader { source, findings };
            let entry = reader.entry(written, key, value);
            let prefix = match parse_prefix(written) {
                Ok(prefix) => prefix,
                Err(why) => {
                    findings.mistake(&source.file, key.at, why);
                    continue;
                }
            };
            if let Some(first) = self.places.get(&prefix) {
                let place = source.place(first);
                let message = format!(
                    "this is the same registry as the key {place}. Write one entry for it."
                );
                findings.mistake(&source.file, key.at, message);
                continue;
            }
            self.places.insert(prefix, source.location(key.at));
            self.entries.push(entry);
        }
    }

    /// Returns the entries.
    pub(super) fn finish(self) -> Vec<RegistryEntry> {
        self.entries
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn entry(&mut self, written: &str, key: &Node, node: &Node) -> RegistryEntry {
        let origin = self.source.location(key.at).to_string();
        let mut entry = RegistryEntry::new(written, origin);
        let fields = Fields::new(&tables::REGISTRY, node);
        entry.login = fields.node("login").and_then(|node| self.login(node));
        let tls = fields.node("tls").filter(|node| is_map(node));
        entry.tls = tls.map(|node| self.tls(node));
        entry.proxy = fields.node("proxy").and_then(|node| {
            let parsed = ProxySetting::parse(text(node)?);
            self.found(node, "proxy", parsed)
        });
        if let Some(node) = fields.node("limits") {
            let limits = Fields::new(&tables::LIMITS, node);
            let limit = |name| limits.text(name);
            entry.limits.requests =
                limit("requests").and_then(|text| RegistryLimits::parse_requests(text).ok());
            entry.limits.rate =
                limit("rate").and_then(|text| RegistryLimits::parse_rate(text).ok());
            entry.limits.transfers =
                limit("transfers").and_then(|text| RegistryLimits::parse_transfers(text).ok());
        }
        entry.listing = self.listing(&fields);
        entry.trusted_realms = self.hosts(&fields, "trust-realm");
        entry.private_hosts = self.hosts(&fields, "allow-private");
        for name in entry.misplaced_keys() {
            let message = format!(
                "`{name}` is a setting of a whole registry, and `{written}` is a part of one. Write it for the registry."
            );
            self.findings
                .mistake(&self.source.file, fields.key_at(name), message);
        }
        entry
    }

    /// Returns the login; `None` after a mistake.
    fn login(&mut self, node: &Node) -> Option<LoginChoice> {
        if !is_map(node) {
            return match text(node)? {
                "auto" => Some(LoginChoice::Auto),
                "anonymous" => Some(LoginChoice::Anonymous),
                "docker" => Some(LoginChoice::Docker),
                _ => None,
            };
        }
        let fields = Fields::new(&tables::LOGIN, node);
        let [username, password, token, identity, helper] =
            tables::LOGIN_KEYS.map(|name| fields.node(name));
        match (username, password, token, identity, helper) {
            (Some(username), Some(password), None, None, None) => {
                let password = secret_value::read(self.source, "password", password, self.findings);
                Some(LoginChoice::password(self.user(username)?, password?))
            }
            (None, None, Some(node), None, None) => {
                let token = secret_value::read(self.source, "token", node, self.findings)?;
                self.found(node, "token", LoginChoice::token(token))
            }
            (None, None, None, Some(node), None) => {
                let name = "identity-token";
                let token = secret_value::read(self.source, name, node, self.findings)?;
                self.found(node, name, LoginChoice::identity_token(token))
            }
            (None, None, None, None, Some(node)) => {
                let path = (self.source.environment)("PATH").map(OsString::from);
                let helper = LoginChoice::helper(text(node)?, path.as_deref());
                self.found(node, "helper", helper)
            }
            _ => {
                let message = "a login has `username` and `password`, or one of `token`, `identity-token` and `helper`";
                self.findings.mistake(&self.source.file, node.at, message);
                None
            }
        }
    }

    /// Returns a user name, which is not empty.
    fn user(&mut self, node: &Node) -> Option<String> {
        let username = text(node)?;
        if username.is_empty() {
            let message = "`username` is empty. Write it, or `login: anonymous`.";
            self.findings.mistake(&self.source.file, node.at, message);
            return None;
        }
        Some(username.to_owned())
    }

    fn tls(&mut self, node: &Node) -> TlsSettings {
        let fields = Fields::new(&tables::TLS, node);
        let mut tls = TlsSettings::default();
        tls.insecure = fields.boolean("insecure").unwrap_or_default();
        tls.plain_http = fields.boolean("plain-http").unwrap_or_default();
        if let (Some(path), Some(node)) = (fields.text("ca"), fields.node("ca")) {
            let added = tls.add_authorities(&self.source.path(path));
            self.found(node, "ca", added);
        }
        match (fields.node("cert"), fields.node("key")) {
            (Some(cert), Some(key)) => {
                if let (Some(cert_path), Some(key_path)) = (text(cert), text(key)) {
                    let path = |written| self.source.path(written);
                    let set = tls.set_client_certificate(&path(cert_path), &path(key_path));
                    self.found(cert, "cert", set);
                }
            }
            (Some(node), None) => self.alone(node, "cert", "key"),
            (None, Some(node)) => self.alone(node, "key", "cert"),
            (None, None) => {}
        }
        tls
    }

    fn alone(&mut self, node: &Node, given: &str, missing: &str) {
        let message = format!("`{given}` needs `{missing}`. Write both or none.");
        self.findings.mistake(&self.source.file, node.at, message);
    }

    /// Returns the listing API, if a key is about it.
    fn listing(&mut self, fields: &Fields<'_>) -> Option<ListingSettings> {
        let [list, api, login] = ["list", "api", "api-login"].map(|name| fields.node(name));
        if [list, api, login].iter().all(Option::is_none) {
            return None;
        }
        let lister = list.and_then(text).map(str::parse);
        let mut settings = ListingSettings::new(lister.and_then(Result::ok).unwrap_or_default());
        if let Some(node) = api {
            let url = parse_api(text(node)?);
            settings.api = self.found(node, "api", url);
        }
        settings.api_login = login.and_then(|node| self.login(node));
        Some(settings)
    }

    /// Returns the hosts of a key.
    fn hosts(&mut self, fields: &Fields<'_>, name: &str) -> Vec<String> {
        let mut hosts = Vec::new();
        for (host, node) in fields.texts(name) {
            match Registry::parse(host) {
                Ok(_) => hosts.push(host.to_owned()),
                Err(why) => {
                    let message = format!("`{name}`: {why}");
                    self.findings.mistake(&self.source.file, node.at, message);
                }
            }
        }
        hosts
    }

    /// Returns the value, or reports why there is none.
    fn found<T>(
        &mut self,
        node: &Node,
        name: &str,
        result: Result<T, impl std::fmt::Display>,
    ) -> Option<T> {
        result
            .map_err(|why| {
                let message = format!("`{name}`: {why}");
                self.findings.mistake(&self.source.file, node.at, message);
            })
            .ok()
    }
}

/// Returns the base URL of an API. The message repeats nothing of a URL with a login.
fn parse_api(written: &str) -> Result<Url, &'static str> {
    let url = Url::parse(written).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("not a URL. Write one such as https://gitlab.example.com.")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL has a login. Write it as `api-login`.");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has neither `?` nor `#`. Remove that part.");
    }
    Ok(url)
}

/// Returns the registry of a key, and the path below it, which may be empty.
fn parse_prefix(written: &str) -> Result<(Registry, String), String> {
    let trimmed = written.strip_suffix('/').unwrap_or(written);
    let (host, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if let Some((scheme, rest)) = written.split_once("://") {
        return Err(if rest.contains('@') {
            "a scheme and a user precede the name of the registry. Remove them.".to_owned()
        } else {
            format!("a registry is written without `{scheme}://`. Write `{rest}`.")
        });
    }
    if !host.is_empty() && !host.contains(['.', ':', '@']) && host != "localhost" {
        return Err(format!(
            "`{host}` is not a registry: its name has neither a dot nor a port. For Docker Hub write `docker.io/{trimmed}`."
        ));
    }
    let registry = Registry::parse(host).map_err(|error| error.to_string())?;
    if !path.is_empty() {
        image_syncer_registry::Repository::new(registry.clone(), path)
            .map_err(|error| error.to_string())?;
    }
    Ok((registry, path.to_owned()))
}
