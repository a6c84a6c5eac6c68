//! URL of the server, with everything that `PostgreSQL`'s own programs read from it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use image_syncer_registry::io_clause;
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::share::postgres::tls::{TlsFiles, Verification};

/// Time limit of a connection attempt to one address, unless the URL has `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle time after which TCP probes the server, unless the URL has `keepalives_idle`.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Idle time of tokio-postgres' own configuration, which means that the URL has none.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);
/// Maximum size of a password file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// URL of a server. Displays without the password and the parameters.
#[derive(Clone)]
pub(crate) struct ServerUrl {
    config: Config,
    /// Files and checks of TLS.
    pub(super) tls: TlsFiles,
    password_file: Option<PathBuf>,
    shown: String,
}

impl ServerUrl {
    /// Parses a URL. The password may also come from the environment variable `PGPASSWORD`, or from a file that
    /// `passfile` in the URL or `PGPASSFILE` name.
    ///
    /// # Errors
    /// A sentence without the password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
        Self::with_variables(text, &variable)
    }

    fn with_variables(
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let shown = without_secrets(text);
        let wrong = |why: &str| {
            format!(
                "wrong URL of PostgreSQL `{shown}`: {why}. Write it as postgres://user@host:5432/database."
            )
        };
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong("it does not begin with postgres://"));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let own = OwnParameters::parse(query).map_err(|why| wrong(&why))?;
        let mut config = Config::from_str(&format!("{base}{}", own.others))
            .map_err(|error| wrong(&inner_text(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("the host is missing"));
        }
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if config.get_ports().len() > 1 && config.get_ports().len() != hosts {
            return Err(wrong("the number of ports is not that of hosts"));
        }
        if let Some(mode) = own.mode {
            config.ssl_mode(mode.0);
        }
        set_defaults(&mut config);
        let mut password_file = own.password_file;
        if config.get_password().is_none() {
            match variable("PGPASSWORD") {
                Some(password) => {
                    config.password(password);
                }
                None => password_file = password_file.or(variable("PGPASSFILE").map(PathBuf::from)),
            }
        }
        let mut tls = own.tls;
        tls.verification = own.mode.map_or(Verification::None, |mode| mode.1);
        // As libpq: who names an authority wants it checked.
        if tls.verification == Verification::None && tls.roots.is_some() {
            tls.verification = Verification::Authority;
        }
        Ok(Self {
            config,
            tls,
            password_file,
            shown,
        })
    }

    /// Returns the configuration of a connection, with the password that its file has now.
    ///
    /// # Errors
    /// A sentence, if the file cannot be read.
    pub(super) fn config(&self) -> Result<Config, String> {
        let mut config = self.config.clone();
        if config.get_password().is_none()
            && let Some(file) = &self.password_file
            && let Some(password) = self.password_in(file)?
        {
            config.password(password);
        }
        Ok(config)
    }

    /// Returns the user, for statements that an administrator should run.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("the user")
    }

    /// Returns the name of the database.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    fn password_in(&self, file: &Path) -> Result<Option<String>, String> {
        let failed = |why: &str| format!("cannot read the password file {}: {why}", file.display());
        let size = std::fs::metadata(file).map_err(|error| failed(&io_clause(&error)))?;
        if size.len() > MAX_FILE {
            return Err(failed("it has more than 64 KiB"));
        }
        let text = std::fs::read_to_string(file).map_err(|error| failed(&io_clause(&error)))?;
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.as_str(),
            _ => "localhost",
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let connection = [host, &port.to_string(), self.database(), self.user()];
        Ok(password_in(&text, connection))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Parameters that tokio-postgres does not know, and the others.
#[derive(Default)]
struct OwnParameters {
    mode: Option<(SslMode, Verification)>,
    tls: TlsFiles,
    password_file: Option<PathBuf>,
    /// The other parameters, with their question mark.
    others: String,
}

impl OwnParameters {
    fn parse(query: &str) -> Result<Self, String> {
        let mut own = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| format!("`{key}` is not UTF-8"))?;
            let file = || Some(PathBuf::from(&*value));
            match key {
                "sslmode" => own.mode = Some(ssl_mode(&value)?),
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => own.tls.roots = file(),
                "sslcert" => own.tls.certificate = file(),
                "sslkey" => own.tls.key = file(),
                "passfile" => own.password_file = file(),
                _ => {
                    own.others
                        .push(if own.others.is_empty() { '?' } else { '&' });
                    own.others.push_str(pair);
                }
            }
        }
        if own.tls.certificate.is_some() != own.tls.key.is_some() {
            return Err("`sslcert` and `sslkey` need each other".to_owned());
        }
        Ok(own)
    }
}

fn ssl_mode(text: &str) -> Result<(SslMode, Verification), String> {
    Ok(match text {
        "disable" => (SslMode::Disable, Verification::None),
        "allow" | "prefer" => (SslMode::Prefer, Verification::None),
        "require" => (SslMode::Require, Verification::None),
        "verify-ca" => (SslMode::Require, Verification::Authority),
        "verify-full" => (SslMode::Require, Verification::Full),
        other => {
            return Err(format!(
                "unknown sslmode `{other}`; it is one of disable, prefer, require, verify-ca and verify-full"
            ));
        }
    })
}

/// Sets what the URL leaves open, so that a server that vanishes is noticed, and the primary of several is used.
fn set_defaults(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("image-syncer");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(KEEPALIVE);
    }
    if config.get_keepalives_idle() == DEFAULT_KEEPALIVE {
        config.keepalives_idle(KEEPALIVE);
        config.keepalives_interval(KEEPALIVE / 3);
        config.keepalives_retries(3);
    }
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

/// Returns the URL without its password, and without its parameters, since one may be the password.
fn without_secrets(text: &str) -> String {
    let base = text.split(['?', '#']).next().unwrap_or(text);
    let Some((scheme, rest)) = base.split_once("://") else {
        return "…".to_owned();
    };
    // A password may have an unescaped `/` or `@` by mistake.
    let Some((login, rest)) = rest.rsplit_once('@') else {
        // `host:5432` is no secret, and everything else after a colon may be one.
        let known = rest.split([',', '/']).all(|part| {
            let port = part.rsplit_once(':').map(|(_, port)| port);
            port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        });
        return if known {
            base.to_owned()
        } else {
            format!("{scheme}://…")
        };
    };
    let user = login.split([':', '/']).next().unwrap_or_default();
    format!("{scheme}://{user}@{rest}")
}

/// Returns the cause of an error that says nothing itself.
fn inner_text(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Returns the password of a connection (host, port, database, user) in a file with lines as in `.pgpass`, or with the
/// password alone.
fn password_in(text: &str, connection: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut lines = lines
        .map(fields)
        .filter(|fields| fields.len() == 5)
        .peekable();
    if lines.peek().is_none() {
        let password = text.trim_end_matches(['\r', '\n']);
        return (!password.is_empty() && !password.contains('\n')).then(|| password.to_owned());
    }
    lines
        .find(|fields| {
            let pairs = fields.iter().zip(connection);
            pairs.fold(true, |all, (field, own)| {
                all && (field == "*" || field == own)
            })
        })
        .and_then(|mut fields| fields.pop())
}

/// Splits a line at its first four colons. A backslash escapes a colon, or itself.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        let char = match char {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(field) = fields.last_mut() {
            field.push(char);
        }
    }
    fields
}

/// Returns a name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServerUrl, String> {
        ServerUrl::with_variables(text, &|_| None)
    }

    #[test]
    fn a_url_is_shown_without_its_password_and_parameters() {
        for (text, shown) in [
            (
                "postgres://a:pw@h:1/db?sslmode=disable",
                "postgres://a@h:1/db",
            ),
            ("postgresql://a:p@w/x@h/db", "postgresql://a@h/db"),
            (
                "postgres://h,i:5433/db?password=pw",
                "postgres://h,i:5433/db",
            ),
            ("postgres://a@%2Frun/db", "postgres://a@%2Frun/db"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
        for text in [
            "postgres://a:pw",
            "postgres://a:pw/h",
            "pw",
            "postgres://a:pw?h",
        ] {
            assert!(!without_secrets(text).contains("pw"), "{text}");
        }
    }

    #[test]
    fn mistakes_name_what_is_wrong_and_never_the_password() {
        for (text, why) in [
            ("mysql://a:pw@h/db", "it does not begin with postgres://"),
            ("postgres:///db", "the host is missing"),
            ("postgres://a:pw@h/db?sslmode=on", "unknown sslmode `on`"),
            ("postgres://a:pw@h/db?colour=red", "unknown option `colour`"),
            (
                "postgres://a:pw@h/db?sslcert=x",
                "`sslcert` and `sslkey` need each other",
            ),
            ("postgres://a:pw@h:x/db", "invalid value for option `port`"),
            ("postgres://a:pw@h:1,i:2,j/db?port=1", "ports"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(why), "{message}");
            assert!(!message.contains("pw"), "{message}");
        }
    }

    #[test]
    fn defaults_notice_a_server_that_vanishes_and_use_the_primary_of_several() {
        let config = parse("postgres://a@h/db").unwrap().config().unwrap();
        assert_eq!(config.get_application_name(), Some("image-syncer"));
        assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
        assert_eq!(config.get_keepalives_idle(), KEEPALIVE);
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::Any);
        assert_eq!(config.get_ssl_mode(), SslMode::Prefer);
        let config = parse("postgres://a@h,i/db?connect_timeout=3");
        let config = config.unwrap().config().unwrap();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(
            config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
    }

    #[test]
    fn modes_of_tls_decide_what_is_verified() {
        for (text, mode, verification) in [
            ("sslmode=disable", SslMode::Disable, Verification::None),
            ("sslmode=require", SslMode::Require, Verification::None),
            (
                "sslmode=require&sslrootcert=%2Fca",
                SslMode::Require,
                Verification::Authority,
            ),
            ("sslmode=verify-full", SslMode::Require, Verification::Full),
        ] {
            let url = parse(&format!("postgres://a@h/db?{text}")).unwrap();
            assert_eq!(url.config.get_ssl_mode(), mode);
            assert_eq!(url.tls.verification, verification, "{text}");
        }
    }

    #[test]
    fn passwords_come_from_the_url_then_the_variable_then_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pgpass");
        std::fs::write(&file, "# c\nother:*:*:*:no\nh:5432:db:a:file\\:pw\n").unwrap();
        let path = file.to_str().unwrap();
        let with = |login: &str, variable: Option<&str>| {
            let text = format!("postgres://{login}@h/db?passfile={path}");
            let variable = variable.map(str::to_owned);
            let url = ServerUrl::with_variables(&text, &|name| {
                variable.clone().filter(|_| name == "PGPASSWORD")
            });
            let config = url.unwrap().config().unwrap();
            String::from_utf8(config.get_password().unwrap().to_vec()).unwrap()
        };
        assert_eq!(with("a:url", Some("variable")), "url");
        assert_eq!(with("a", Some("variable")), "variable");
        assert_eq!(with("a", None), "file:pw");
        std::fs::write(&file, "alone\n").unwrap();
        assert_eq!(with("a", None), "alone");
    }
}
