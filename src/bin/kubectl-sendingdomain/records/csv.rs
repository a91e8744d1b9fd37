//! Comma-separated values (RFC 4180), for spreadsheets and for the import of DNS providers.
//!
//! What others wrote must not be executed by a spreadsheet: a field that it would take for a formula begins with an
//! apostrophe (<https://owasp.org/www-community/attacks/CSV_Injection>). No name or value that SES needs begins so.

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
    // A single one is none, such as the name `@` of the zone itself.
    let is_formula = field.len() > 1 && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if is_formula { &format!("'{field}") } else { field };
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_executes_nothing_that_others_wrote() {
        let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"].map(quoted);
        assert_eq!(formulas, ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1"]);
        assert_eq!(quoted("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
        for plain in ["@", "v=spf1 include:amazonses.com ~all", "_dmarc", "*", ""] {
            assert_eq!(quoted(plain), plain);
        }
    }
}
