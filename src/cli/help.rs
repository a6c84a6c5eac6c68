//! Long texts of `--help`. A line that ends with a colon begins a section, in the manual page as well.

use std::fmt::Write as _;

/// The first line.
pub(super) const ABOUT: &str =
    "Copies container images and OCI artifacts between registries: no daemon, no disk.";

/// Usage lines.
pub(super) const USAGE: &str = "image-syncer --images FILE [--auth FILE] [flags]
       image-syncer --config FILE [flags]
       image-syncer copy SOURCE DESTINATION... [flags]
       image-syncer copy SOURCE... --to DESTINATION [flags]
       image-syncer plan --images FILE [--auth FILE] [flags]
       image-syncer check --images FILE [--auth FILE] [flags]
       image-syncer validate --images FILE [--auth FILE]
       image-syncer serve --config FILE [--listen ADDRESS:PORT]
       image-syncer history [list|show|where] [--state DIR]
       image-syncer work --config FILE --share URL [--idle DURATION]
       image-syncer tags SOURCE | --config FILE [--rule GLOB]
       image-syncer convert --images FILE [--auth FILE]
       image-syncer schema
       image-syncer report merge FILE... [--output FILE]
       image-syncer report --share URL [--run RUN] [--output FILE]
       image-syncer records show|prune|forget [--records FILE]";

/// Text after `-h`.
pub(super) const SYNC_SHORT: &str = "Details, examples and exit codes: image-syncer --help";

/// Environment variables without a flag: names and meaning.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies"),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "trusted certificates instead of the system's",
    ),
    (
        "REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME",
        "directories of podman's logins and of certificates",
    ),
    ("DOCKER_CONFIG", "directory of docker's logins"),
    ("DOCKER_AUTH_CONFIG", "logins in the format of docker"),
    (
        "XDG_STATE_HOME, HOME",
        "directory of the records file without --records",
    ),
    (
        "JOB_COMPLETION_INDEX",
        "number of the part for --shard auto/COUNT",
    ),
    (
        "TMPDIR",
        "directory for temporary data of archives without --temp",
    ),
    ("TERM", "dumb: no colours and no live view"),
    ("NO_COLOR", "no colours on a terminal"),
    (
        "TOKIO_WORKER_THREADS",
        "number of worker threads; default: one for each core",
    ),
    (
        "RUST_LOG",
        "log filter instead of --log-level: image_syncer_registry=debug,image_syncer_sync=trace",
    ),
];

/// Exit codes and their meaning.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "every image is at its destination"),
    (1, "at least one image failed; the others were copied"),
    (2, "the command line or a file is wrong; nothing was done"),
    (
        3,
        "something would be copied (check; plan and --dry-run with --exit-code)",
    ),
    (
        130,
        "interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP; the next run copies the rest",
    ),
];

/// Returns the text after `--help`.
pub(super) fn sync() -> String {
    let mut text = format!("{SYNC}\n\nEnvironment:\n");
    let longest = ENVIRONMENT.iter().map(|(names, _)| names.len()).max();
    let column = longest.unwrap_or_default();
    for (names, meaning) in ENVIRONMENT {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {names:column$}   {meaning}");
    }
    text.push_str("\nExit codes:");
    for (code, meaning) in EXIT_CODES {
        let _ = write!(text, "\n  {code:>3}  {meaning}");
    }
    text
}

/// Its first part.
const SYNC: &str = "\
Examples:
  images.yaml
      quay.io/coreos/etcd:v3.5.9: registry.example.com/mirror/etcd
      docker.io/library/nginx:/^1\\.2[0-9]$/:
        - registry.example.com/mirror/nginx
        - other.example.org/web/nginx
  auth.yaml
      registry.example.com:
        username: robot$ci
        password: ${REGISTRY_PASSWORD}

  image-syncer --auth auth.yaml --images images.yaml
  image-syncer --images images.yaml --os linux --arch amd64,arm64
  image-syncer copy docker.io/library/alpine:3.20 registry.example.com/mirror/alpine

Output for people goes to stderr: one line for each image and a summary. stdout stays empty.";

/// Text after the help of `copy`.
pub(super) const COPY: &str = "\
Examples:
  image-syncer copy docker.io/library/alpine:3.20 registry.example.com/mirror/alpine
  image-syncer copy quay.io/coreos/etcd:v3.5.9 one.example.com/etcd:stable two.example.com/etcd
  image-syncer copy --all-tags --insecure localhost:5000 localhost:5000/app registry.example.com/app

Without --auth, the logins of docker and podman are used.

Exit codes:
    0  the image is at every destination
    1  at least one copy failed
    2  the command line or a file is wrong; nothing was done
  130  interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP";

/// Text after the help of `work`.
#[cfg(feature = "share")]
pub(super) const WORK: &str = "\
Examples:
  image-syncer work --config sync.yaml --share postgres://syncer@db.example.com/syncer
  image-syncer work --config sync.yaml --share postgres://syncer@db.example.com/syncer --idle 10m
  image-syncer --config sync.yaml --share postgres://syncer@db.example.com/syncer

The last command begins a run and ends with it. All workers with the same rules, flags and version
carry it out, as do those that start later. Others say that they cannot join.

SIGTERM and SIGINT: the units in progress go back to the other workers, and running images may go
on for --grace seconds.

Exit codes:
    0  there was no work for the time of --idle
    1  the server was away for longer than --share-timeout, or refused
    2  the command line or a file is wrong, or the server cannot be used
  130  interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP";

/// Text after the help of `serve`.
#[cfg(feature = "service")]
pub(super) const SERVE: &str = "\
Examples:
  rules.yaml
      version: 1
      rules:
      - name: base
        from: docker.io/library/{alpine,debian}
        to: registry.example.com/mirror/{name}
        schedule: \"0 3 * * *\"

  image-syncer serve --config rules.yaml
  image-syncer serve --config rules.yaml --listen 0.0.0.0:8080 --state /var/lib/image-syncer

SIGTERM and SIGINT: no further run starts, and running images may go on for --grace seconds.
SIGHUP: the files are read again; changed files are noticed as well.

Exit codes:
    0  the service was stopped
    1  the service failed
    2  the command line or a file is wrong";

/// Text after the help of `history`.
#[cfg(feature = "service")]
pub(super) const HISTORY: &str = "\
Examples:
  image-syncer history --rule 'base*' --outcome failed
  image-syncer history show 01jx4k2v9c0
  image-syncer history where registry.example.com/mirror/alpine:3.22
  image-syncer history where sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1

The history is written by image-syncer serve, and can be read while that runs.

Exit codes:
    0  done
    1  nothing is known about the digest or the tag
    2  the history is missing or cannot be read, or the command line is wrong";

/// Text after the help of `plan`.
pub(super) const PLAN: &str = "\
Examples:
  image-syncer plan --images images.yaml --auth auth.yaml
  image-syncer plan --config sync.yaml --output json > plan.json
  image-syncer plan --images images.yaml --exit-code > plan.txt || echo \"exit code $?\"
  image-syncer --images images.yaml --proc 4 --dry-run

plan compares the source and the destination registries, and writes nothing to them. The plan
goes to stdout, everything else to stderr. On a terminal it is a table, elsewhere a line for each
image: new, changed (old → new digest), referrers (only signatures and the like are missing),
repair (parts are lost), again (--force), skipped, failed; -v adds unchanged.
For one image without files: image-syncer copy SOURCE DESTINATION --dry-run.

Exit codes:
    0  the plan is complete; with --exit-code: and nothing would be copied
    1  a source could not be listed, or an image could not be compared
    2  the command line or a file is wrong
    3  with --exit-code: something would be copied
  130  interrupted: the plan is incomplete";

/// Text after the help of `check`.
pub(super) const CHECK: &str = "\
Examples:
  image-syncer check --images images.yaml --auth auth.yaml
  image-syncer check -q --config sync.yaml || image-syncer --config sync.yaml

check prints one line for each difference to stdout (-q: none), and totals to stderr. It compares
digests of tags and lists of referrers. plan also shows the cost of a copy. Content that a
destination lost below an existing tag is found by plan --verify, and uploaded again by a sync with
--verify.

Exit codes:
    0  every tag has its image at its destination
    1  a source could not be listed, or an image could not be compared
    2  the command line or a file is wrong
    3  something is missing or different
  130  interrupted: the comparison is incomplete";

/// Text after the help of `validate`.
pub(super) const VALIDATE: &str = "\
Examples:
  image-syncer validate --auth auth.yaml --images images.yaml
  image-syncer validate --config config.yaml --arch amd64
  image-syncer validate --list --config sync.yaml

Exit codes:
    0  the files are valid
    1  with --list: a source could not be listed
    2  at least one mistake; all are shown, with what to write instead";

/// Text after the help of `tags`.
pub(super) const TAGS: &str = "\
Examples:
  image-syncer tags docker.io/library/alpine
  image-syncer tags -l quay.io/coreos/etcd:v3.5.9
  image-syncer tags 'quay.io/prometheus/prometheus:/^v3/' --output json
  image-syncer tags 'harbor.example.com/team/*'
  image-syncer tags oci:./store
  docker save a b | image-syncer tags docker-archive:-
  image-syncer tags --config sync.yaml --rule 'base*'

Digests come from the list of the registry, with times of pushes, or from a HEAD request for each
tag. An image that cannot be read is in the list with the reason, and the others are listed all the
same.

Exit codes:
    0  the list is complete
    1  a list or an image could not be read
    2  the command line or a file is wrong";

/// Text after the help of `convert`.
pub(super) const CONVERT: &str = "\
Examples:
  image-syncer convert --auth auth.yaml --images images.yaml > sync.yaml
  image-syncer validate --config sync.yaml

Variables stay variables. Passwords that are in the classic files are in the output as well.

Exit codes:
    0  the native file is on stdout
    2  at least one mistake; all are shown, with what to write instead";

/// Text after the help of `schema`.
pub(super) const SCHEMA: &str = "\
Examples:
  image-syncer schema > config.schema.json
  # yaml-language-server: $schema=config.schema.json    at the top of a file, for editors";

/// Text after the help of `report`.
pub(super) const REPORT: &str = "\
Examples:
  image-syncer --config sync.yaml --shard 0/2 --report shard-0.json
  image-syncer --config sync.yaml --shard 1/2 --report shard-1.json
  image-syncer report merge shard-0.json shard-1.json --output all.json
  image-syncer report --share postgres://syncer@db.example.com/syncer
  image-syncer report --share postgres://syncer@db.example.com/syncer --run 1796000000000000 -o run.json

Exit codes:
    0  the report or the list is written
    1  it cannot be written; with --exit-code: at least one image failed, or a shard is missing
    2  a report or the server cannot be used, or the command line is wrong
    3  with --exit-code: something would be copied
  130  with --exit-code: a shard was interrupted";

/// Text after the help of `records`.
pub(super) const RECORDS: &str = "\
Examples:
  image-syncer records show
  image-syncer records prune --older-than 30
  image-syncer records forget registry.example.com/mirror/app

Records are hints that save requests and bytes. Without them, or with wrong ones, a run gets the
facts from the registries. The file can be deleted at any time.

Exit codes:
    0  done
    2  the file is missing or cannot be used, or the command line is wrong";

/// Text after the help of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  bash:        source <(image-syncer completions bash)    in ~/.bashrc
  zsh:         source <(image-syncer completions zsh)     in ~/.zshrc, after compinit
  fish:        image-syncer completions fish > ~/.config/fish/completions/image-syncer.fish
  PowerShell:  image-syncer completions powershell | Out-String | Invoke-Expression    in $PROFILE";

/// Text after the help of `man`.
pub(super) const MAN: &str = "\
Examples:
  image-syncer man | man -l -
  image-syncer man records prune | man -l -
  image-syncer man --out ~/.local/share/man/man1";
