//! Comma-separated values (RFC 4180), for spreadsheets and for the import of DNS providers.

use crate::row::{Row, state_name};

const HEADER: [&str; 14] = [
    "namespace",
    "object",
    "domain",
    "zone",
    "purpose",
    "type",
    "name",
    "relativeName",
    "value",
    "priority",
    "required",
    "state",
    "cause",
    "message",
];

/// A header and one line for each record.
pub fn text(rows: &[Row]) -> String {
    let header = HEADER.map(str::to_owned).to_vec();
    std::iter::once(header).chain(rows.iter().map(fields)).map(|fields| line(&fields)).collect()
}

fn fields(row: &Row) -> Vec<String> {
    [
        &*row.namespace,
        &row.object,
        &row.domain,
        &row.zone,
        &row.purpose,
        &row.kind,
        &row.name,
        &row.relative_name,
        &row.value,
        &row.priority.map(|priority| priority.to_string()).unwrap_or_default(),
        if row.required { "true" } else { "false" },
        state_name(row.state),
        row.cause.as_deref().unwrap_or_default(),
        row.message.as_deref().unwrap_or_default(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn line(fields: &[String]) -> String {
    fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",") + "\r\n"
}

fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
