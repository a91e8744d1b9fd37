//! Columns for a person, and below them what to do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sending_domain_operator::api::v1alpha1::RecordState;

use crate::row::{Row, state_name};
use crate::screen::{self, Colour, Paint};

/// The records, and a line of advice for each that has one.
pub fn table(rows: &[Row], paint: Paint) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let owners: BTreeSet<(&str, &str)> = rows.iter().map(|row| (row.namespace.as_str(), row.object.as_str())).collect();
    let several = owners.len() > 1;
    let mut cells = vec![header(several)];
    cells.extend(rows.iter().map(|row| line(row, several)));
    let state_column = if several { 2 } else { 0 };
    let colour = |y: usize, x: usize, _: &str| match y.checked_sub(1) {
        None => Some(Colour::Bold),
        Some(index) => (x == state_column).then(|| colour_of(rows[index].state)),
    };
    let mut text = screen::table(&cells, colour, paint);
    let advice: Vec<&Row> = rows.iter().filter(|row| row.message.is_some()).collect();
    if !advice.is_empty() {
        text.push('\n');
    }
    for row in advice {
        let message = row.message.as_deref().unwrap_or_default();
        let observed =
            if row.observed.is_empty() { String::new() } else { format!(" (found: {})", row.observed.join(", ")) };
        let _ = writeln!(text, "{} {}: {message}{observed}", row.kind, row.name);
    }
    text
}

fn header(several: bool) -> Vec<String> {
    let owner: &[&str] = if several { &["NAMESPACE", "OBJECT"] } else { &[] };
    owner.iter().chain(&["STATE", "TYPE", "NAME", "VALUE", "CAUSE"]).map(|title| (*title).to_owned()).collect()
}

fn line(row: &Row, several: bool) -> Vec<String> {
    let owner = if several { vec![row.namespace.clone(), row.object.clone()] } else { Vec::new() };
    let value = row.priority.map_or_else(|| row.value.clone(), |priority| format!("{priority} {}", row.value));
    let optional = if row.required { "" } else { " (optional)" };
    let record = [
        format!("{}{optional}", state_name(row.state)),
        row.kind.clone(),
        row.name.clone(),
        value,
        row.cause.clone().unwrap_or_default(),
    ];
    owner.into_iter().chain(record).collect()
}

/// The colour of a state.
pub fn colour_of(state: RecordState) -> Colour {
    match state {
        RecordState::Found => Colour::Green,
        RecordState::Missing | RecordState::Incorrect => Colour::Red,
        RecordState::Unknown => Colour::Yellow,
    }
}
