# Forms of a report: docs/github-action.md.

# Text of any origin in a cell of a table.
def cell:
    tostring | if length > 500 then .[:500] + "…" else . end
    | gsub("[\r\n]+"; " ") | @html
    | gsub("(?<mark>[\\\\`*_~|\\[\\]])"; "&#\(.mark | explode[0]);");

def code: "<code>\(cell)</code>";

# Text in a command of a workflow, whose properties have two more special characters.
def data: gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A");
def property: data | gsub(":"; "%3A") | gsub(","; "%2C");

def bytes:
    if . >= 1073741824 then "\(. * 10 / 1073741824 | round / 10) GiB"
    elif . >= 1048576 then "\(. * 10 / 1048576 | round / 10) MiB"
    elif . >= 1024 then "\(. * 10 / 1024 | round / 10) KiB"
    else "\(.) B" end;

def with_outcome(outcome): [.images[] | select(.outcome == outcome)];

# A table with at most `most` rows; what is left out has a line below it.
def table(title; head; most; row):
    if length == 0 then empty
    else
        "", "<details\(if title | startswith("Failed") then " open" else "" end)><summary>\(title): \(length)</summary>",
        "", "| \(head | join(" | ")) |", "|\(head | map("---") | join("|"))|",
        (.[:most][] | "| \([row] | join(" | ")) |"),
        (if length > most then "", "\(length - most) more are in the report." else empty end),
        "", "</details>"
    end;

def outputs:
    .summary | "copied=\(.copied)", "unchanged=\(.unchanged)", "failed=\(.failed)";

# GitHub shows ten annotations of a step.
def annotations:
    (with_outcome("failed")[:10][]
        | "::error title=\("cannot copy to \(.destination)" | property)::\([.failure.reason, .failure.hint] | map(strings) | join(" ") | data)"),
    (.warnings[:10][] | "::warning title=image-syncer::\(data)");

def numbers:
    [
        [.copied, "copied"], [.planned, "planned"], [.unchanged, "unchanged"], [.skipped, "skipped"],
        [.failed, "failed"], [.interrupted, "interrupted"]
    ]
    | map(select(.[0] != null and (.[0] > 0 or .[1] == "copied" or .[1] == "failed")) | "\(.[0]) \(.[1])")
    | join(", ");

def page:
    "### image-syncer \(.command): \(.summary | numbers)",
    "",
    "\(.summary.sent_bytes // 0 | bytes) sent in \(.elapsed_seconds * 10 | round / 10) s; exit code \(.exit_code)."
        + (if .complete then "" else " **The run was interrupted.**" end),
    (with_outcome("failed") | table("Failed"; ["Destination", "Reason"]; 100;
        (.destination | code), ([.failure.reason, .failure.hint] | map(strings) | join(" ") | cell))),
    ([.rules[] | select(.state == "failed")] | table("Failed rules"; ["Rule", "Reason"]; 100;
        (.name | code), (.failure.reason // "" | cell))),
    (with_outcome("planned") | table("Planned"; ["Destination", "Change", "Digest"]; 200;
        (.destination | code), (.planned.change | cell), (.digest // "" | code))),
    (with_outcome("copied") | table("Copied"; ["Destination", "Digest"]; 200;
        (.destination | code), (.digest // "" | code))),
    (.warnings | table("Warnings"; ["Warning"]; 50; cell));

if $form == "outputs" then outputs
elif $form == "annotations" then annotations
elif $form == "page" then page
else error("outputs, annotations or page") end
