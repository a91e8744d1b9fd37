//! Tables of records: as status lists them, as Cloudflare has them, as DNS answers them.

use std::net::SocketAddr;

use serde_json::Value;
use testbed::dns::{RecordType, dig};
use testbed::world::object;

/// The records of an object's status, each with its state.
pub fn of_status(object: &Value) -> String {
    let tokens = tokens(object);
    let rows = object::records(object).iter().map(|record| {
        let value = match record["priority"].as_u64() {
            Some(priority) => format!("{priority} {}", text(record, "value")),
            None => text(record, "value"),
        };
        let cells = [text(record, "state"), text(record, "type"), text(record, "name"), value];
        cells.map(|cell| shortened(&cell, &tokens)).into()
    });
    table(&["STATE", "TYPE", "NAME", "VALUE"], rows)
}

/// The records of a zone as Cloudflare's API lists them.
pub fn at_cloudflare(records: &[Value], object: &Value) -> String {
    let tokens = tokens(object);
    let rows = records.iter().map(|record| {
        let content = match record["priority"].as_u64() {
            Some(priority) => format!("{priority} {}", text(record, "content")),
            None => text(record, "content"),
        };
        let proxy = if record["proxied"] == true { "proxied" } else { "DNS only" };
        let cells = [text(record, "type"), text(record, "name"), content, proxy.to_owned()];
        cells.map(|cell| shortened(&cell, &tokens)).into()
    });
    table(&["TYPE", "NAME", "CONTENT", "PROXY STATUS"], rows)
}

/// What the DNS server at `server` answers for each of the object's records.
pub async fn as_answered(server: SocketAddr, object: &Value) -> String {
    let tokens = tokens(object);
    let mut rows = Vec::new();
    for record in object::records(object) {
        let (name, kind) = (text(record, "name"), text(record, "type"));
        let rtype: RecordType = kind.parse().unwrap_or(RecordType::ANY);
        let answers = dig(server, &name, rtype).await;
        let answer = if answers.is_empty() { "(nothing)".to_owned() } else { answers.join(", ") };
        rows.push([shortened(&name, &tokens), kind, shortened(&answer, &tokens)].into());
    }
    table(&["NAME", "TYPE", "ANSWER"], rows.into_iter())
}

fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap_or_default().to_owned()
}

fn tokens(object: &Value) -> Vec<String> {
    let tokens = object["status"]["identity"]["dkimTokens"].as_array();
    tokens.into_iter().flatten().filter_map(|token| token.as_str().map(str::to_owned)).collect()
}

/// DKIM tokens have 32 characters; a table of them is wider than any terminal.
fn shortened(cell: &str, tokens: &[String]) -> String {
    tokens.iter().fold(cell.to_owned(), |cell, token| match token.get(..6) {
        Some(head) => cell.replace(token, &format!("{head}…")),
        None => cell,
    })
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut all = vec![head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    all.extend(rows);
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    all.iter().map(|row| format!("{}\n", line(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_tokens_are_cut() {
        let object = json!({"status": {
            "identity": {"dkimTokens": ["abcdefghijklmnopqrstuvwxyz"]},
            "records": [
                {"state": "Missing", "type": "CNAME", "name": "abcdefghijklmnopqrstuvwxyz._domainkey.a.example", "value": "v"},
                {"state": "Found", "type": "MX", "name": "bounce.a.example", "value": "m.example", "priority": 10},
            ],
        }});
        assert_eq!(
            of_status(&object),
            "STATE     TYPE    NAME                           VALUE\n\
             Missing   CNAME   abcdef…._domainkey.a.example   v\n\
             Found     MX      bounce.a.example               10 m.example\n"
        );
    }
}
