//! Keys of `schedule`.

use super::super::scalar::Scalar;
use super::super::table::{Key, Shape, Table};

/// Times of runs.
pub(in super::super) static SCHEDULE: Table = Table::new(
    "schedule",
    "Times of the runs of a rule, for `image-syncer serve` only.",
    &[
        Key::new(
            "cron",
            Shape::TEXT_OR_LIST,
            "Times in cron form, with five fields.",
        ),
        Key::new(
            "every",
            Shape::Scalar(Scalar::Duration),
            "Interval between the starts of two runs, instead of `cron`.",
        ),
        Key::new(
            "zone",
            Shape::TEXT,
            "Time zone of `cron`, such as `Europe/Berlin`. Default: UTC.",
        ),
        Key::new(
            "jitter",
            Shape::Scalar(Scalar::Duration),
            "Maximum delay of a start. Default: the smaller of 10 % of the interval and 5 minutes.",
        ),
        Key::new(
            "at-start",
            Shape::BOOLEAN,
            "Starts a run when the service starts. Default: false.",
        ),
    ],
);
