//! The map `registries` of the native file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use image_syncer_registry::auth::{Credential, KeychainEntry};
use image_syncer_sync::Config;

use super::comment;
use super::comments::Comments;
use super::placeholders::Placeholders;
use super::scalar::scalar;

/// Writes an entry for each entry of the `auth` files.
pub(super) fn write(
    text: &mut String,
    config: &Config,
    placeholders: &Placeholders,
    comments: &mut Comments,
) {
    if config.credentials.is_empty() {
        return;
    }
    text.push('\n');
    let is_literal =
        |entry: &KeychainEntry| password(entry, placeholders).is_some_and(|(_, literal)| literal);
    if config.credentials.iter().any(is_literal) {
        comment(
            text,
            "Passwords are written here as in the classic files. {env: NAME} reads one from the environment, {file: PATH} from a file, which is read again if the registry refuses it.",
        );
    }
    text.push_str("registries:\n");
    let insecure = insecure_hosts(config);
    let mut written = BTreeSet::new();
    for entry in &config.credentials {
        if let Some((file, line)) = place(&entry.origin) {
            for line in comments.above(file, line) {
                let _ = writeln!(text, "  {line}");
            }
        }
        let prefix = entry.prefix.trim_end_matches('/');
        let is_insecure = insecure.contains(prefix);
        write_entry(text, prefix, login(entry, placeholders), is_insecure);
        written.insert(prefix);
    }
    for host in insecure.difference(&written) {
        text.push_str("  # Connections belong to the whole registry.\n");
        write_entry(text, host, None, true);
    }
}

/// Returns the registries of which at least a part is insecure.
fn insecure_hosts(config: &Config) -> BTreeSet<&str> {
    let entries = config.credentials.iter().filter(|entry| entry.insecure);
    let hosts = entries.map(|entry| entry.prefix.split('/').next().unwrap_or_default());
    hosts.collect()
}

fn write_entry(text: &mut String, prefix: &str, login: Option<String>, is_insecure: bool) {
    let key = scalar(prefix);
    if login.is_none() && !is_insecure {
        let _ = writeln!(text, "  {key}: {{login: auto}}");
        return;
    }
    let _ = writeln!(text, "  {key}:");
    if let Some(login) = login {
        let _ = writeln!(text, "    login: {login}");
    }
    if is_insecure {
        text.push_str("    tls: {insecure: true, plain-http: true}\n");
    }
}

/// Returns the login in the flow style; `None` for an entry without one, which uses the logins of docker and podman.
fn login(entry: &KeychainEntry, placeholders: &Placeholders) -> Option<String> {
    let Credential::Basic { username, .. } = entry.login.credential() else {
        return None;
    };
    let username = scalar(&placeholders.native_text(&username));
    let (password, _) = password(entry, placeholders)?;
    Some(format!("{{username: {username}, password: {password}}}"))
}

/// Returns the password in the flow style, and true if it is the password itself.
fn password(entry: &KeychainEntry, placeholders: &Placeholders) -> Option<(String, bool)> {
    let Credential::Basic { password, .. } = entry.login.credential() else {
        return None;
    };
    let secret = password.reveal();
    Some(match placeholders.variable(secret) {
        Some(name) => (format!("{{env: {}}}", scalar(&name)), false),
        None => (scalar(&placeholders.native_text(secret)), true),
    })
}

/// Returns the file and the line of an origin: `auth.yaml:3`.
fn place(origin: &str) -> Option<(&Path, usize)> {
    let (file, line) = origin.rsplit_once(':')?;
    Some((Path::new(file), line.parse().ok()?))
}
