//! Debian's `PostgreSQL` as a process of the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Password of the role `syncer`.
pub(crate) const PASSWORD: &str = "s3cret-p@ss";

/// A server with an empty database `syncer`, which the role `syncer` owns. It stops at the end of the test.
pub(crate) struct Postgres {
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

/// Way of stopping a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopMode {
    /// Ends the connections, and stops regularly.
    Fast,
    /// Stops like a crash. The next start recovers.
    Immediate,
}

impl Postgres {
    /// Returns true if the server is installed. Otherwise the test is skipped, with a notice, or fails.
    pub(crate) fn is_installed() -> bool {
        if program("postgres").is_some() {
            return testkit::programs::are_installed(&["psql"]);
        }
        testkit::programs::are_installed(&["postgres"])
    }

    /// Starts a server.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, such as `ssl=on`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("pg-").tempdir().unwrap();
        let data = directory.path().join("data");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template())
            .arg(&data)
            .status();
        assert!(copied.unwrap().success());
        give_to_server(directory.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            port: port.local_addr().unwrap().port(),
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
            directory,
            child: None,
        };
        drop(port);
        server.resume();
        server
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        let password = PASSWORD.replace('@', "%40");
        format!(
            "postgres://syncer:{password}@127.0.0.1:{}/syncer",
            self.port
        )
    }

    /// Returns the port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory with the socket. The server has its data in `data`.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Adds a setting for the next start.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Writes a file into the data directory, for the server alone.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.directory.path().join("data").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        give_to_server(&file);
    }

    /// Carries out statements as the administrator, and returns the rows, with `|` between columns.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let output = Command::new("psql")
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                "syncer",
                "-p",
            ])
            .arg(self.port.to_string())
            .arg("-h")
            .arg(self.directory.path())
            .args(["-c", statements])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Stops the server.
    pub(crate) fn stop(&mut self, mode: StopMode) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let signal = match mode {
            StopMode::Fast => "-INT",
            StopMode::Immediate => "-QUIT",
        };
        let signalled = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        if !signalled.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        let _ = child.wait();
    }

    /// Starts the server again, and waits until it accepts connections.
    pub(crate) fn resume(&mut self) {
        let mut command = as_server(&program("postgres").unwrap());
        command.arg("-D").arg(self.directory.path().join("data"));
        command.arg("-k").arg(self.directory.path());
        command.arg("-p").arg(self.port.to_string());
        let cheap = [
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=16MB",
            "autovacuum=off",
        ];
        for setting in cheap
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        let log = self.directory.path().join("log");
        let log = File::options().append(true).create(true).open(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while !self.is_ready() {
            let ended = child.try_wait().unwrap();
            let is_late = begun.elapsed() > Duration::from_secs(60);
            let log = || format!("PostgreSQL does not start: {}", self.log());
            assert!(ended.is_none() && !is_late, "{}", log());
            sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
    }

    /// Returns what the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        // Before it is ready, the server refuses logins by its socket.
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && Command::new(program("pg_isready").unwrap_or("pg_isready".into()))
                .args(["-q", "-p", &self.port.to_string(), "-h"])
                .arg(self.directory.path())
                .status()
                .is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop(StopMode::Immediate);
    }
}

/// Returns a data directory to copy, which one process creates for all.
fn template() -> PathBuf {
    let parent = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tmp");
    let parent = std::env::var_os("CARGO_TARGET_TMPDIR").map_or(parent, PathBuf::from);
    fs::create_dir_all(&parent).unwrap();
    let template = parent.join("postgres-template-1");
    let lock = File::create(parent.join("postgres-template.lock")).unwrap();
    lock.lock().unwrap();
    if template.join("data/ready").exists() {
        return template.join("data");
    }
    let _ = fs::remove_dir_all(&template);
    // The server's user may not reach the place of the template.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    give_to_server(directory.path());
    let mut command = as_server(&program("initdb").unwrap());
    command.arg("-D").arg(&data);
    command.args([
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "--wal-segsize=1",
    ]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {errors}");
    let role = format!("CREATE ROLE syncer LOGIN PASSWORD '{PASSWORD}'");
    for statement in [role.as_str(), "CREATE DATABASE syncer OWNER syncer"] {
        single_user(&data, statement);
    }
    let ready = Command::new("touch").arg(data.join("ready")).status();
    assert!(ready.unwrap().success());
    fs::create_dir_all(&template).unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&data)
        .arg(&template)
        .status();
    assert!(copied.unwrap().success());
    template.join("data")
}

/// Carries out a statement without a server.
fn single_user(data: &Path, statement: &str) {
    use std::io::Write as _;
    let mut command = as_server(&program("postgres").unwrap());
    command
        .args(["--single", "-j", "-D"])
        .arg(data)
        .arg("postgres");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(format!("{statement};\n\n").as_bytes())
        .unwrap();
    drop(input);
    assert!(child.wait().unwrap().success(), "{statement}");
}

/// Returns a program of the server, from the `PATH` or from Debian's directory.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    directories.sort();
    directories.reverse();
    directories.extend(std::env::split_paths(&path));
    let mut files = directories
        .into_iter()
        .map(|directory| directory.join(name));
    files.find(|file| file.is_file())
}

/// Returns user and group of the server, if this process is root, as whom it refuses to run.
fn server_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    (id(&["-u"]) == Some(0)).then(|| {
        let user = id(&["-u", "postgres"]).expect("a user postgres");
        (user, id(&["-g", "postgres"]).expect("a group of postgres"))
    })
}

fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group).current_dir("/");
    }
    command.env("LC_ALL", "C").env_remove("PGDATA");
    command
}

fn give_to_server(directory: &Path) {
    if let Some((user, group)) = server_user() {
        std::os::unix::fs::chown(directory, Some(user), Some(group)).unwrap();
    }
}

/// `PgBouncer` before a server, in transaction mode with two connections.
pub(crate) struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    /// Returns true if it is installed.
    pub(crate) fn is_installed() -> bool {
        testkit::programs::are_installed(&["pgbouncer"])
    }

    /// Starts it.
    pub(crate) fn start(server: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let directory = server.directory();
        let users = directory.join("users");
        let text = format!(
            "[databases]\nsyncer = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nlogfile = {}\n",
            server.port,
            users.display(),
            directory.join("pooler.log").display(),
        );
        fs::write(&users, format!("\"syncer\" \"{PASSWORD}\"\n")).unwrap();
        let settings = directory.join("pooler.ini");
        fs::write(&settings, text).unwrap();
        let mut command = as_server(Path::new("pgbouncer"));
        command.arg("-q").arg(&settings).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut pooler = Self {
            child: child.unwrap(),
            port,
        };
        for _ in 0..3_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            assert!(pooler.child.try_wait().unwrap().is_none(), "pgbouncer ends");
            sleep(Duration::from_millis(10));
        }
        panic!("pgbouncer does not start");
    }

    /// Returns the URL of the database through it.
    pub(crate) fn url(&self) -> String {
        let password = PASSWORD.replace('@', "%40");
        format!(
            "postgres://syncer:{password}@127.0.0.1:{}/syncer",
            self.port
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
