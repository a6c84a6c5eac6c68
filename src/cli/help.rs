//! The longer texts of `--help`. A line that ends with a colon begins a section, of the manual page as well.

use std::fmt::Write as _;

/// The first line.
pub(super) const ABOUT: &str =
    "Copies container images and OCI artifacts between registries: no daemon, no disk.";

/// How it is called.
pub(super) const USAGE: &str = "image-syncer --images FILE [--auth FILE] [flags]
       image-syncer --config FILE [flags]
       image-syncer copy SOURCE DESTINATION... [flags]
       image-syncer plan --images FILE [--auth FILE] [flags]
       image-syncer check --images FILE [--auth FILE] [flags]
       image-syncer validate --images FILE [--auth FILE]
       image-syncer records show|prune|forget [--records FILE]";

/// Behind `-h`.
pub(super) const SYNC_SHORT: &str = "More, with examples and exit codes: image-syncer --help";

/// What the program reads of its environment, beside the variables that stand in for a flag: names and meaning.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies"),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "trusted certificates in place of the system's",
    ),
    (
        "REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME",
        "where podman's logins are, and certificates of registries",
    ),
    ("DOCKER_CONFIG", "where docker's logins are"),
    ("DOCKER_AUTH_CONFIG", "logins as docker writes them"),
    (
        "XDG_STATE_HOME, HOME",
        "where the records file is without --records",
    ),
    ("TERM", "dumb: neither colours nor a view of the progress"),
    ("NO_COLOR", "no colours on a terminal"),
    (
        "TOKIO_WORKER_THREADS",
        "number of threads that copy; one for each core without it",
    ),
    (
        "RUST_LOG",
        "what is logged, in place of --log-level: image_syncer_registry=debug,image_syncer_sync=trace",
    ),
];

/// How the program exits, and what that says.
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
        "interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP; a second run finishes the first",
    ),
];

/// Behind `--help`: what a sync is like, and what surrounds the program.
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

Everything for people goes to stderr: one line an image, a summary at the end. stdout stays clean.";

/// Behind the help of `copy`.
pub(super) const COPY: &str = "\
Examples:
  image-syncer copy docker.io/library/alpine:3.20 registry.example.com/mirror/alpine
  image-syncer copy quay.io/coreos/etcd:v3.5.9 one.example.com/etcd:stable two.example.com/etcd
  image-syncer copy --all-tags --insecure localhost:5000 localhost:5000/app registry.example.com/app

Without --auth, the credentials of docker login and podman login are used.

Exit codes:
    0  the image is at every destination
    1  it failed, or one of several
    2  the command line or a file is wrong; nothing was done
  130  interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP";

/// Behind the help of `plan`.
pub(super) const PLAN: &str = "\
Examples:
  image-syncer plan --images images.yaml --auth auth.yaml
  image-syncer plan --config sync.yaml --output json > plan.json
  image-syncer plan --images images.yaml --exit-code > plan.txt || echo \"exit code $?\"
  image-syncer --images images.yaml --proc 4 --dry-run

It asks the source and the destination registries what they have, and writes nothing anywhere.
The plan goes to stdout, everything else to stderr. On a terminal it is a table; elsewhere each
image is a whole line: new, changed (old → new digest), referrers (only signatures and the like
are missing), repair (parts of it are lost), again (--force), skipped, failed; -v adds unchanged.
For one image without files: image-syncer copy SOURCE DESTINATION --dry-run.

Exit codes:
    0  the plan is whole; with --exit-code: and nothing would be copied
    1  a source could not be listed, or an image not compared
    2  the command line or a file is wrong
    3  with --exit-code: something would be copied
  130  interrupted: the plan is incomplete";

/// Behind the help of `check`.
pub(super) const CHECK: &str = "\
Examples:
  image-syncer check --images images.yaml --auth auth.yaml
  image-syncer check -q --config sync.yaml || image-syncer --config sync.yaml

One line for each difference on stdout (-q: none), a line of totals on stderr. What a copy would
take is not asked: that is what plan is for. Digests of tags and lists of referrers are compared;
what a destination lost below a tag that is there is found by plan --verify, and sent again by a
sync with --verify.

Exit codes:
    0  every tag has its image at its destination
    1  a source could not be listed, or an image not compared
    2  the command line or a file is wrong
    3  something is missing or different
  130  interrupted before all was compared";

/// Behind the help of `validate`.
pub(super) const VALIDATE: &str = "\
Examples:
  image-syncer validate --auth auth.yaml --images images.yaml
  image-syncer validate --config config.yaml --arch amd64

Exit codes:
    0  the files are right
    2  they are not: every mistake is shown, with what to write";

/// Behind the help of `records`.
pub(super) const RECORDS: &str = "\
Examples:
  image-syncer records show
  image-syncer records prune --older-than 30
  image-syncer records forget registry.example.com/mirror/app

Records are hints that save requests and bytes: without them, or with wrong ones, a run asks
the registries and does what is right. The file may be deleted at any time.

Exit codes:
    0  done
    2  there is no such file, it cannot be used, or the command line is wrong";

/// Behind the help of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  bash:        source <(image-syncer completions bash)    in ~/.bashrc
  zsh:         source <(image-syncer completions zsh)     in ~/.zshrc, behind compinit
  fish:        image-syncer completions fish > ~/.config/fish/completions/image-syncer.fish
  PowerShell:  image-syncer completions powershell | Out-String | Invoke-Expression    in $PROFILE";

/// Behind the help of `man`.
pub(super) const MAN: &str = "\
Examples:
  image-syncer man | man -l -
  image-syncer man records prune | man -l -
  image-syncer man --out ~/.local/share/man/man1";
