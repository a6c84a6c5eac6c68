//! Keys of `service` and `share`.

use super::super::scalar::Scalar;
use super::super::table::{Key, Shape, Table};
use crate::config::NOTIFY_EVENTS;

const SECRET_VALUE: Shape =
    Shape::Either(&[Shape::Scalar(Scalar::Secret), Shape::Map(&super::SECRET)]);

/// Settings of the service.
pub(in super::super) static SERVICE: Table = Table::new(
    "service",
    "Settings of `image-syncer serve`.",
    &[
        Key::new(
            "listen",
            Shape::TEXT_OR_LIST,
            "Addresses with ports. Default: 127.0.0.1:8080.",
        ),
        Key::new(
            "tokens",
            Shape::List(&Shape::Map(&TOKEN), true),
            "Tokens of clients.",
        ),
        Key::new(
            "anonymous",
            Shape::Scalar(Scalar::Choice(&["read", "none"])),
            "What clients without a token may do. Default: none.",
        ),
        Key::new(
            "runs",
            Shape::Scalar(Scalar::Count { least: 1, most: 64 }),
            "Maximum number of runs at a time. Default: 4.",
        ),
        Key::new(
            "tls",
            Shape::Map(&SERVICE_TLS),
            "Certificate of the service.",
        ),
        Key::new(
            "url",
            Shape::TEXT,
            "URL of the service for people. Messages to receivers link there.",
        ),
        Key::new("hooks", Shape::Map(&HOOKS), "Hooks that registries call."),
        Key::new(
            "notify",
            Shape::List(&Shape::Map(&NOTIFY), true),
            "Receivers of events.",
        ),
    ],
)
.with_secrets();

/// A token of a client.
pub(in super::super) static TOKEN: Table = Table::new(
    "token",
    "Token of a client.",
    &[
        Key::new("name", Shape::TEXT, "Name in logs.").required(),
        Key::new("secret", SECRET_VALUE, "The token.").required(),
        Key::new(
            "scope",
            Shape::Scalar(Scalar::Choice(&["read", "sync"])),
            "What the client may do. Default: read.",
        ),
    ],
)
.with_secrets();

/// Certificate of the service.
pub(in super::super) static SERVICE_TLS: Table = Table::new(
    "service-tls",
    "Certificate of the service.",
    &[
        Key::new("cert", Shape::TEXT, "PEM file with the certificate.").required(),
        Key::new("key", Shape::TEXT, "PEM file with its key.").required(),
    ],
);

const HOOK_VALUE: Shape = Shape::Map(&HOOK);

/// Hooks that registries call, by their kind.
pub(in super::super) static HOOKS: Table = Table::new(
    "hooks",
    "Hooks that registries call, by their kind.",
    &[
        Key::new(
            "distribution",
            HOOK_VALUE,
            "Notifications of the registry distribution.",
        ),
        Key::new("harbor", HOOK_VALUE, "Webhooks of Harbor."),
        Key::new("hub", HOOK_VALUE, "Webhooks of Docker Hub."),
        Key::new("ghcr", HOOK_VALUE, "Webhooks of GitHub."),
        Key::new("quay", HOOK_VALUE, "Notifications of Quay."),
        Key::new("acr", HOOK_VALUE, "Webhooks of Azure."),
        Key::new(
            "generic",
            HOOK_VALUE,
            "A document with registry, repository and tags.",
        ),
    ],
)
.with_secrets();

/// A hook that a registry calls.
pub(in super::super) static HOOK: Table = Table::new(
    "hook",
    "A hook that a registry calls.",
    &[Key::new("secret", SECRET_VALUE, "Secret of the caller.").required()],
)
.with_secrets();

const EVENT: Shape = Shape::Scalar(Scalar::Choice(&NOTIFY_EVENTS));

/// A receiver of events.
pub(in super::super) static NOTIFY: Table = Table::new(
    "notify",
    "Receiver of events.",
    &[
        Key::new(
            "kind",
            Shape::Scalar(Scalar::Choice(&[
                "cloudevents",
                "slack",
                "feishu",
                "dingtalk",
            ])),
            "Form of the messages.",
        )
        .required(),
        Key::new("url", SECRET_VALUE, "URL of the receiver.").required(),
        Key::new(
            "secret",
            SECRET_VALUE,
            "Secret of the signature in a header.",
        ),
        Key::new(
            "on",
            Shape::Either(&[EVENT, Shape::List(&EVENT, false)]),
            "Events. Default: `rule.failing` and `rule.recovered`.",
        ),
    ],
)
.with_secrets();

/// Database of shared runs.
pub(in super::super) static SHARE: Table = Table::new(
    "share",
    "Database of several machines that share their runs.",
    &[
        Key::new("url", SECRET_VALUE, "URL of the PostgreSQL database.").required(),
        Key::new(
            "timeout",
            Shape::Scalar(Scalar::Duration),
            "Maximum time without the database. Default: 10m.",
        ),
    ],
)
.with_secrets();
