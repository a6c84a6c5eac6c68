//! Keys of an entry of `registries`.

use super::super::scalar::Scalar;
use super::super::table::{Key, Shape, Table};

const SECRET_VALUE: Shape = Shape::Either(&[Shape::Scalar(Scalar::Secret), Shape::Map(&SECRET)]);
const LOGIN_VALUE: Shape = Shape::Either(&[
    Shape::Scalar(Scalar::Choice(&["auto", "anonymous", "docker"])),
    Shape::Map(&LOGIN),
]);

/// A secret that is not in the file.
pub(in super::super) static SECRET: Table = Table::new(
    "secret",
    "Place of a secret: a variable of the environment, or a file.",
    &[
        Key::new("env", Shape::TEXT, "Name of an environment variable."),
        Key::new(
            "file",
            Shape::TEXT,
            "Path of a file, which is read again when the login is refused. A newline at its end is dropped.",
        ),
    ],
)
.with_secrets();

/// The keys of [`LOGIN`], in their order.
pub(in super::super) const LOGIN_KEYS: [&str; 5] =
    ["username", "password", "token", "identity-token", "helper"];

/// A login.
pub(in super::super) static LOGIN: Table = Table::new(
    "login",
    "Login at a registry: user and password, a token, or a credential helper.",
    &[
        Key::new("username", Shape::TEXT, "User name, with `password`."),
        Key::new("password", SECRET_VALUE, "Password, with `username`."),
        Key::new(
            "token",
            SECRET_VALUE,
            "Token that is sent to the registry unchanged.",
        ),
        Key::new(
            "identity-token",
            SECRET_VALUE,
            "Refresh token, which is exchanged for access tokens.",
        ),
        Key::new(
            "helper",
            Shape::TEXT,
            "Credential helper: the program docker-credential-NAME.",
        ),
    ],
)
.with_secrets();

/// A registry.
pub(in super::super) static REGISTRY: Table = Table::new(
    "registry",
    "A registry, or the repositories below a prefix of one.",
    &[
        Key::new(
            "login",
            LOGIN_VALUE,
            "`auto`: the files of docker and podman, else anonymous. `docker`: those files. `anonymous`: no login. Or a login. Default: auto.",
        ),
        Key::new(
            "list",
            Shape::Scalar(Scalar::Choice(&[
                "auto", "catalog", "hub", "harbor", "ghcr", "quay", "gitlab", "google", "none",
            ])),
            "API that lists repositories and tags. Default: auto, by the host.",
        ),
        Key::new("api", Shape::TEXT, "Base URL of the listing API."),
        Key::new(
            "api-login",
            LOGIN_VALUE,
            "Login at the listing API. Default: that of the registry.",
        ),
        Key::new(
            "tls",
            Shape::Map(&TLS),
            "Certificates, and exceptions from their check.",
        ),
        Key::new(
            "proxy",
            Shape::Scalar(Scalar::Secret),
            "URL of a proxy, or `none`. Default: the variables of the environment.",
        ),
        Key::new(
            "limits",
            Shape::Map(&LIMITS),
            "Limits for this registry, and for the hosts that it leads to.",
        ),
        Key::new(
            "trust-realm",
            Shape::TEXT_OR_LIST,
            "Token servers of other domains that may receive the login.",
        ),
        Key::new(
            "allow-private",
            Shape::TEXT_OR_LIST,
            "Hosts of a private network that the registry may lead to.",
        ),
    ],
)
.with_secrets();

/// Connections to a registry.
pub(in super::super) static TLS: Table = Table::new(
    "tls",
    "TLS of a registry.",
    &[
        Key::new(
            "ca",
            Shape::TEXT,
            "PEM file with certificates that are trusted in addition to the system's.",
        ),
        Key::new(
            "cert",
            Shape::TEXT,
            "PEM file with the client's certificate, with `key`.",
        ),
        Key::new(
            "key",
            Shape::TEXT,
            "PEM file with the key of the client's certificate, with `cert`.",
        ),
        Key::new(
            "insecure",
            Shape::BOOLEAN,
            "Accepts any certificate. Default: false.",
        ),
        Key::new(
            "plain-http",
            Shape::BOOLEAN,
            "Uses http instead of https. Default: false.",
        ),
    ],
);

/// Limits of a registry.
pub(in super::super) static LIMITS: Table = Table::new(
    "limits",
    "Limits for one registry.",
    &[
        Key::new(
            "requests",
            Shape::Scalar(Scalar::Requests),
            "Maximum number of requests per second.",
        ),
        Key::new(
            "rate",
            Shape::Scalar(Scalar::Rate),
            "Maximum number of bytes per second, in both directions together.",
        ),
        Key::new(
            "transfers",
            Shape::Scalar(Scalar::Count {
                least: 1,
                most: 256,
            }),
            "Maximum number of blob transfers at a time.",
        ),
    ],
);
