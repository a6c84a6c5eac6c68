//! The table of faults.

use std::time::Duration;

use testkit::{Action, Answer, Cut, Registry};

use crate::expect::{AGAIN, Expect};
use crate::operations::{ALL, Operation};

/// A digest of none of the copied content.
const OTHER_DIGEST: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A fault, its requests, and the expected outcomes.
pub(crate) struct Row {
    /// Name in the document.
    pub(crate) name: &'static str,
    /// Behavior of the registry, which provides its addresses.
    pub(crate) action: fn(&Registry) -> Action,
    /// Requests to which the fault applies.
    pub(crate) at: fn(Operation) -> bool,
    /// The fault includes silence.
    pub(crate) silent: bool,
    /// The fault would affect the other images too if they were copied at the same time.
    pub(crate) one_by_one: bool,
    /// Expected outcome if it happens once.
    pub(crate) once: Expect,
    /// Expected outcome if it happens to every request.
    pub(crate) always: Expect,
    /// Operations with other outcomes.
    pub(crate) except: Vec<(Operation, Expect, Expect)>,
}

fn all(_: Operation) -> bool {
    true
}

/// Creates a fault that a further try may pass.
fn passing(name: &'static str, says: &'static str, action: fn(&Registry) -> Action) -> Row {
    Row {
        name,
        action,
        at: all,
        silent: false,
        one_by_one: false,
        once: AGAIN,
        always: Expect::Fails(says),
        except: Vec::new(),
    }
}

/// Creates a refusal that is final the first time.
fn lasting(name: &'static str, says: &'static str, action: fn(&Registry) -> Action) -> Row {
    Row {
        once: Expect::Fails(says),
        ..passing(name, says, action)
    }
}

impl Row {
    fn at(self, at: fn(Operation) -> bool) -> Self {
        Self { at, ..self }
    }
    fn silent(self) -> Self {
        Self {
            silent: true,
            ..self
        }
    }
    fn one_by_one(self) -> Self {
        Self {
            one_by_one: true,
            ..self
        }
    }
    fn but(mut self, operation: Operation, once: Expect, always: Expect) -> Self {
        self.except.push((operation, once, always));
        self
    }
    /// Returns the expected outcomes at `operation`, once and always; `None` if the fault does not apply.
    pub(crate) fn at_operation(&self, operation: Operation) -> Option<(Expect, Expect)> {
        if !(self.at)(operation) {
            return None;
        }
        let exception = self.except.iter().find(|(at, ..)| *at == operation);
        Some(
            exception.map_or((self.once, self.always), |(_, once, always)| {
                (*once, *always)
            }),
        )
    }
}

/// Returns the table.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = refusals();
    rows.extend(denials());
    rows.extend(failures());
    rows.extend(connections());
    rows.extend(silences());
    rows.extend(contents());
    rows.extend(stored_contents());
    rows
}

/// Answers about the request.
fn refusals() -> Vec<Row> {
    use Operation::{DestinationHead, Mount, SourceHead, StorageGet, TagList};
    let elsewhere = Expect::Copied("from another address of the storage");
    let unclear = Expect::Copied("without knowing what is there");
    let unmounted = Expect::Copied("without a mount");
    let by_get = Expect::Copied("by a GET");
    vec![
        lasting("400", "400 Bad Request", |_| {
            Action::error(400, "UNKNOWN", "bad")
        })
        .but(
            TagList,
            Expect::Copied("without a page size"),
            Expect::Fails("400 Bad Request"),
        )
        .but(SourceHead, by_get, by_get)
        .but(DestinationHead, by_get, by_get)
        .but(Mount, unmounted, unmounted)
        .but(StorageGet, elsewhere, Expect::Fails("400 Bad Request")),
        passing("401", "401 Unauthorized", |registry| {
            let challenge = format!("Bearer realm=\"{}\",service=\"testkit\"", registry.realm());
            Answer::new(401)
                .error("UNAUTHORIZED", "who are you")
                .header("www-authenticate", challenge)
                .into()
        })
        .at(|operation| !operation.is_token() && operation != Operation::StorageGet)
        .but(DestinationHead, unclear, unclear)
        .but(Mount, unmounted, unmounted),
        passing(
            "401 of a token server or a storage host",
            "401 Unauthorized",
            |_| Action::status(401),
        )
        .but(StorageGet, elsewhere, Expect::Fails("401 Unauthorized"))
        .at(|operation| operation.is_token() || operation == Operation::StorageGet),
    ]
}

/// Answers that deny access or existence.
fn denials() -> Vec<Row> {
    use Operation::{
        ClosingPut, DestinationHead, ManifestGet, Mount, Patch, Put, SourceHead, StorageGet,
    };
    let elsewhere = Expect::Copied("from another address of the storage");
    let unclear = Expect::Copied("without knowing what is there");
    let unmounted = Expect::Copied("without a mount");
    let afresh = Expect::Copied("in a new session");
    let by_get = Expect::Copied("by a GET");
    let read_again = Expect::Copied("when its tag is read again");
    vec![
        lasting("403", "403 Forbidden", |_| {
            Action::error(403, "DENIED", "no")
        })
        .but(SourceHead, by_get, by_get)
        .but(DestinationHead, unclear, unclear)
        .but(Mount, unmounted, unmounted)
        .but(StorageGet, elsewhere, Expect::Fails("403 Forbidden")),
        lasting("404", "404 Not Found", |_| {
            Action::error(404, "NAME_UNKNOWN", "gone")
        })
        .but(SourceHead, by_get, by_get)
        .but(ManifestGet, read_again, Expect::Fails("404 Not Found"))
        .but(DestinationHead, unclear, unclear)
        .but(Mount, unmounted, unmounted)
        .but(Patch, afresh, Expect::Fails("404 Not Found"))
        .but(ClosingPut, afresh, Expect::Fails("404 Not Found"))
        .but(
            Put,
            Expect::Copied("in another form"),
            Expect::Fails("404 Not Found"),
        ),
    ]
}

/// Answers about the server's state.
fn failures() -> Vec<Row> {
    use Operation::{ClosingPut, DestinationHead, ManifestPut, Mount, Post, Put, SourceHead};
    let unmounted = Expect::Copied("without a mount");
    let by_get = Expect::Copied("by a GET");
    vec![
        passing("408", "408 Request Timeout", |_| Action::status(408)).but(Mount, AGAIN, unmounted),
        passing("409", "409 Conflict", |_| {
            Action::error(409, "CONFLICT", "another push is under way")
        })
        .at(|operation| operation.sends() || matches!(operation, Mount | Post | ClosingPut))
        .but(Mount, unmounted, unmounted),
        passing("400 that names a digest", "400 Bad Request", |_| {
            Action::error(400, "DIGEST_INVALID", "invalid digest")
        })
        .at(|operation| matches!(operation, Put | ClosingPut | ManifestPut)),
        passing("429", "429 Too Many Requests", |_| Action::status(429)),
        passing(
            "429 with `Retry-After` in seconds",
            "429 Too Many Requests",
            |_| Action::too_many_requests(1),
        ),
        passing(
            "429 with `Retry-After` as a date",
            "429 Too Many Requests",
            |_| {
                Answer::new(429)
                    .retry_after_date(Duration::from_secs(1))
                    .into()
            },
        ),
        passing("500", "500 Internal Server Error", |_| Action::status(500))
            .but(SourceHead, AGAIN, by_get)
            .but(DestinationHead, AGAIN, by_get)
            .but(Mount, unmounted, unmounted),
        passing("502", "502 Bad Gateway", |_| Action::status(502))
            .but(SourceHead, AGAIN, by_get)
            .but(DestinationHead, AGAIN, by_get)
            .but(Mount, AGAIN, unmounted),
        passing("503", "503 Service Unavailable", |_| Action::status(503))
            .but(Mount, AGAIN, unmounted),
        passing("503 with `Retry-After`", "503 Service Unavailable", |_| {
            Answer::new(503).retry_after(1).into()
        })
        .but(Mount, AGAIN, unmounted),
        passing("504", "504 Gateway Timeout", |_| Action::status(504)).but(Mount, AGAIN, unmounted),
    ]
}

fn connections() -> Vec<Row> {
    use Operation::Mount;
    let unmounted = Expect::Copied("without a mount");
    vec![
        passing(
            "closed before the answer",
            "closed before the answer",
            |_| Action::CutBeforeAnswer(Cut::Close),
        )
        .but(Mount, AGAIN, unmounted),
        passing("reset before the answer", "was reset", |_| {
            Action::CutBeforeAnswer(Cut::Reset)
        })
        .but(Mount, AGAIN, unmounted),
        passing("closed within the request", "closed", |_| {
            Action::CutRequest {
                after: 100,
                how: Cut::Close,
            }
        })
        .at(Operation::sends),
        passing("reset within the request", "was reset", |_| {
            Action::CutRequest {
                after: 100,
                how: Cut::Reset,
            }
        })
        .at(Operation::sends),
        passing("closed within the answer", "closed early", |_| {
            Action::CutResponse {
                after: 10,
                how: Cut::Close,
            }
        })
        .at(Operation::receives),
        passing("reset within the answer", "was reset", |_| {
            Action::CutResponse {
                after: 10,
                how: Cut::Reset,
            }
        })
        .at(Operation::receives),
    ]
}

/// Requests without a full answer.
fn silences() -> Vec<Row> {
    use Operation::{ClosingPut, ManifestPut, Mount, Put};
    let unmounted = Expect::Copied("without a mount");
    let seen = Expect::Copied("since a HEAD finds it there");
    vec![
        passing("silence before the answer", "no answer came", |_| {
            Action::StallBeforeAnswer
        })
        .but(Mount, AGAIN, unmounted)
        .silent(),
        passing("silence within the request", "no answer came", |_| {
            Action::StallRequest { after: 100 }
        })
        .at(Operation::sends)
        .silent(),
        passing("silence within the answer", "no byte came", |_| {
            Action::StallResponse { after: 10 }
        })
        .at(Operation::receives)
        .silent(),
        passing("the reply is lost", "closed before the answer", |_| {
            Action::LoseReply(Cut::Close)
        })
        .but(Mount, AGAIN, unmounted)
        .but(Put, seen, seen)
        .but(ClosingPut, seen, seen)
        .but(ManifestPut, seen, seen),
    ]
}

const WRONG_DIGEST: &str = "instead of sha256:";
const GARBLED_TOKEN: Expect = Expect::Fails("not a JSON document with a token");
const NO_LIST: Expect = Expect::Fails("is no list of tags");

/// Answers with wrong contents.
fn contents() -> Vec<Row> {
    use Operation::{BlobGet, DestinationToken, ManifestGet, SourceToken, StorageGet, TagList};
    let short = Expect::Fails("closed early");
    vec![
        passing("a flipped bit", WRONG_DIGEST, |_| Action::Corrupt {
            offset: 5,
        })
        .at(|operation| matches!(operation, ManifestGet | BlobGet | StorageGet)),
        passing("`Content-Length` too long", "the blob is corrupt", |_| {
            Action::WrongLength(100_000)
        })
        .at(Operation::receives)
        .but(TagList, AGAIN, short)
        .but(ManifestGet, AGAIN, short)
        .but(SourceToken, AGAIN, short)
        .but(DestinationToken, AGAIN, short),
        passing("`Content-Length` too short", "the blob is corrupt", |_| {
            Action::WrongLength(20)
        })
        .at(Operation::receives)
        .but(TagList, NO_LIST, NO_LIST)
        .but(ManifestGet, AGAIN, Expect::Fails(WRONG_DIGEST))
        .but(SourceToken, GARBLED_TOKEN, GARBLED_TOKEN)
        .but(DestinationToken, GARBLED_TOKEN, GARBLED_TOKEN),
        html_pages(),
    ]
}

/// Answers with a page of HTML.
fn html_pages() -> Row {
    use Operation::{
        BlobGet, ClosingPut, DestinationHead, DestinationToken, ManifestGet, ManifestPut, Mount,
        Patch, Put, SourceHead, SourceToken, StorageGet, TagList,
    };
    let healed = Expect::Copied("when the manifest is refused because the blob is missing");
    let unmounted = Expect::Copied("without a mount");
    let by_get = Expect::Copied("by a GET");
    lasting("200 with a page of HTML", "", |_| Action::Html)
        .but(TagList, NO_LIST, NO_LIST)
        .but(SourceHead, by_get, by_get)
        .but(ManifestGet, AGAIN, Expect::Fails(WRONG_DIGEST))
        .but(BlobGet, AGAIN, Expect::Fails("the blob is corrupt"))
        .but(StorageGet, AGAIN, Expect::Fails("the blob is corrupt"))
        .but(
            DestinationHead,
            Expect::Copied("as if the tag did not exist"),
            Expect::Copied("as if the tag did not exist"),
        )
        .but(Mount, unmounted, unmounted)
        .but(
            Operation::Post,
            Expect::Fails("is it a registry?"),
            Expect::Fails("is it a registry?"),
        )
        .but(Patch, AGAIN, Expect::Fails("DIGEST_INVALID"))
        .but(Put, healed, Expect::Fails("the missing content was sent"))
        .but(
            ClosingPut,
            healed,
            Expect::Fails("the missing content was sent"),
        )
        .but(
            ManifestPut,
            Expect::Fails("does not give it back"),
            Expect::Fails("does not give it back"),
        )
        .but(SourceToken, GARBLED_TOKEN, GARBLED_TOKEN)
        .but(DestinationToken, GARBLED_TOKEN, GARBLED_TOKEN)
}

/// Faults of the registry's storage and tokens.
fn stored_contents() -> Vec<Row> {
    use Operation::{ClosingPut, DestinationHead, ManifestPut, Mount, Put, StorageGet};
    let healed = Expect::Copied("when the manifest is refused because the blob is missing");
    let unmounted = Expect::Copied("without a mount");
    vec![
        lasting(
            "the registry reports another stored digest",
            "instead of sha256:",
            |_| Action::WithHeaders(vec![("docker-content-digest", OTHER_DIGEST.to_owned())]),
        )
        .at(|operation| matches!(operation, Put | ClosingPut)),
        passing(
            "blobs that no manifest names are collected",
            "the missing content was sent",
            |_| Action::CollectGarbage,
        )
        .at(|operation| operation == ManifestPut)
        .but(
            ManifestPut,
            healed,
            Expect::Fails("the missing content was sent"),
        ),
        passing("the token expires", "401 Unauthorized", |_| {
            Action::ExpireItsToken
        })
        .at(|operation| !operation.is_token() && operation != StorageGet)
        .but(
            DestinationHead,
            AGAIN,
            Expect::Copied("without knowing what is there"),
        )
        .but(Mount, AGAIN, unmounted)
        .one_by_one(),
    ]
}

/// Returns all cells: the row, the operation, and whether the fault persists.
pub(crate) fn cells(rows: &[Row]) -> Vec<(&Row, Operation, bool, Expect)> {
    let mut cells = Vec::new();
    for row in rows {
        for operation in ALL {
            if let Some((once, always)) = row.at_operation(operation) {
                cells.push((row, operation, false, once));
                cells.push((row, operation, true, always));
            }
        }
    }
    cells
}
