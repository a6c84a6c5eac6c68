//! The table of workers.

use maud::{Markup, html};

use crate::service::page::format::{grouped, link, time_and_distance};
use crate::service::page::reader::Reader;
use crate::service::page::templates::parts::foreign;
use crate::service::workers::WorkerRow;

/// Returns the table, which follows the events; nothing for a service on its own.
pub(crate) fn part(reader: &Reader, rows: &[WorkerRow]) -> Markup {
    let t = reader.texts();
    html! {
        div #workers data-live=(link("/registries", &[("part", "workers")])) data-on="run progress" data-every="5000" {
            @if !rows.is_empty() {
                h2 { (t.workers) }
                p.lead { (t.workers_lead) }
                table.cards {
                    thead {
                        tr {
                            th scope="col" { (t.worker) }
                            th scope="col" { (t.version) }
                            th.number scope="col" { (t.units) }
                            th scope="col" { (t.seen) }
                        }
                    }
                    tbody { @for worker in rows { (row(reader, worker)) } }
                }
            }
        }
    }
}

fn row(reader: &Reader, worker: &WorkerRow) -> Markup {
    let t = reader.texts();
    html! {
        tr data-row {
            th scope="row" data-label=(t.worker) { (foreign(&worker.id)) }
            td data-label=(t.version) {
                (foreign(&worker.version))
                @if !worker.same_rules { " " span.soft { (t.other_rules) } }
            }
            td.number data-label=(t.units) { (grouped(worker.units)) }
            td data-label=(t.seen) { (time_and_distance(reader, worker.seen)) }
        }
    }
}
