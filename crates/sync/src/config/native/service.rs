//! Check of `service` and `share`. Only their own commands read them, so secrets are not looked up here.

use std::collections::HashSet;

use super::fields::{Fields, items};
use super::findings::Findings;
use super::reading::Source;
use super::secret_value::{self, is_map};
use super::tables;

/// Checks both keys of a file.
pub(super) fn check(source: &Source<'_>, file: &Fields<'_>, findings: &mut Findings) {
    if let Some(node) = file.node("service") {
        let fields = Fields::new(&tables::SERVICE, node);
        Check { source, findings }.service(&fields);
    }
    if let Some(node) = file.node("share") {
        let mut check = Check { source, findings };
        if is_map(node) {
            let fields = Fields::new(&tables::SHARE, node);
            check.secret(&fields, "url");
            // Checked by its kind alone.
            let _ = fields.node("timeout");
        }
    }
}

struct Check<'a> {
    source: &'a Source<'a>,
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn service(&mut self, service: &Fields<'_>) {
        for (address, node) in service.texts("listen") {
            if !is_address(address) {
                let message = format!(
                    "`{address}` is not an address with a port. Write one such as 127.0.0.1:8080."
                );
                self.findings.mistake(&self.source.file, node.at, message);
            }
        }
        let mut names = HashSet::new();
        for node in service.node("tokens").map(items).unwrap_or_default() {
            let token = Fields::new(&tables::TOKEN, node);
            self.secret(&token, "secret");
            // Checked by its kind alone.
            let _ = token.node("scope");
            if let Some(name) = token.text("name").filter(|name| !names.insert(*name)) {
                let message = format!("the token name `{name}` is used twice. Write another one.");
                let at = token.key_at("name");
                self.findings.mistake(&self.source.file, at, message);
            }
        }
        if let Some(node) = service.node("hooks") {
            let hooks = Fields::new(&tables::HOOKS, node);
            for key in tables::HOOKS.keys {
                if let Some(node) = hooks.node(key.name) {
                    self.secret(&Fields::new(&tables::HOOK, node), "secret");
                }
            }
        }
        for node in service.node("notify").map(items).unwrap_or_default() {
            self.receiver(&Fields::new(&tables::NOTIFY, node));
        }
        let tls = service.node("tls");
        if let Some(tls) = tls.map(|node| Fields::new(&tables::SERVICE_TLS, node)) {
            let _ = (tls.node("cert"), tls.node("key"));
        }
        let _ = (service.node("anonymous"), service.node("runs"));
    }

    fn receiver(&mut self, receiver: &Fields<'_>) {
        self.secret(receiver, "url");
        self.secret(receiver, "secret");
        let _ = receiver.node("kind");
        for (event, node) in receiver.texts("on") {
            let is_name = event
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
            if !is_name || !event.contains('.') {
                let message = format!(
                    "`{event}` is not an event. Write one such as rule.failing or rule.recovered."
                );
                self.findings.mistake(&self.source.file, node.at, message);
            }
        }
    }

    /// Checks the form of a secret.
    fn secret(&mut self, fields: &Fields<'_>, key: &str) {
        if let Some(node) = fields.node(key) {
            secret_value::check_form(self.source, key, node, self.findings);
        }
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
