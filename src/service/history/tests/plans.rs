use crate::service::history::tests::Fixture;
use crate::service::history::{queries, retention};

/// Tables with a row for each rule, or each repository of one: a query of all of them reads them all.
const SMALL: &[&str] = &["rules", "tag_counts", "totals"];

#[tokio::test]
async fn no_query_reads_a_whole_table_or_sorts_it() {
    let fixture = Fixture::new();
    let file = fixture.file();
    let statements = queries::statements().into_iter();
    for (name, statement) in statements.chain(retention::statements()) {
        let explained = format!("EXPLAIN QUERY PLAN {statement}");
        let mut statement = file.connection.prepare(&explained).unwrap();
        let steps = statement.raw_query();
        let steps = steps.mapped(|row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        assert!(!steps.is_empty(), "{name}");
        for step in &steps {
            // The order of an index is none: rows come in the order of the keys.
            let is_scan = step.strip_prefix("SCAN ").is_some_and(|scan| {
                let table = scan.split(' ').next().unwrap();
                let is_ordered = name == "runs" && table == "runs";
                !SMALL.contains(&table) && !is_ordered
            });
            assert!(!is_scan, "{name}: {steps:#?}");
            assert!(!step.contains("AUTOMATIC"), "{name}: {steps:#?}");
        }
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        // The past of one tag, or one digest, is short.
        let is_short = name == "past tags by source" || name == "numbers of tags";
        assert!(!sorts || is_short, "{name}: {steps:#?}");
    }
}
