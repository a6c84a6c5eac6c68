//! The map `registries` of the native file.

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
    for entry in &config.credentials {
        if let Some((file, line)) = place(&entry.origin) {
            for line in comments.above(file, line) {
                let _ = writeln!(text, "  {line}");
            }
        }
        write_entry(text, entry, placeholders);
    }
}

fn write_entry(text: &mut String, entry: &KeychainEntry, placeholders: &Placeholders) {
    let prefix = entry.prefix.trim_end_matches('/');
    let login = login(entry, placeholders);
    let (key, tls) = (scalar(prefix), entry.insecure);
    if login.is_none() && !tls {
        let _ = writeln!(text, "  {key}: {{login: auto}}");
        return;
    }
    let _ = writeln!(text, "  {key}:");
    if let Some(login) = login {
        let _ = writeln!(text, "    login: {login}");
    }
    if tls {
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
