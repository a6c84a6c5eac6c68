//! List with tabs between fields, for scripts.

use image_syncer_sync::image_list::ImageDetail;

use super::{Row, TagColumns};

/// Field that is unknown or empty.
const NONE: &str = "-";

/// Returns a line for each row: always the same fields, and the reason at the end of a row that failed.
pub(super) fn part(columns: TagColumns, rows: &[Row]) -> String {
    rows.iter().map(|row| line(columns, row)).collect()
}

fn line(columns: TagColumns, row: &Row) -> String {
    let known = |field: Option<String>| field.unwrap_or_else(|| NONE.to_owned());
    let digest = || known(row.digest.as_ref().map(ToString::to_string));
    let pushed = || known(row.pushed.clone());
    let mut fields = vec![row.name.clone()];
    match columns {
        TagColumns::Repositories
        | TagColumns::Images {
            detail: ImageDetail::Names,
            ..
        } => {}
        TagColumns::Images {
            detail: ImageDetail::Digests,
            ..
        } => fields.extend([digest(), pushed()]),
        TagColumns::Images {
            detail: ImageDetail::Contents,
            ..
        } => fields.extend([
            digest(),
            known(content(row)),
            known(row.size.map(|size| size.to_string())),
            pushed(),
        ]),
    }
    if let Some(failure) = &row.failure {
        fields.push(format!("error: {failure}"));
    }
    fields.join("\t") + "\n"
}

/// Returns the platforms, or the type of an artifact.
fn content(row: &Row) -> Option<String> {
    let platforms = Some(row.platforms.join(","));
    let platforms = platforms.filter(|text| !text.is_empty());
    platforms.or_else(|| row.artifact.clone())
}
