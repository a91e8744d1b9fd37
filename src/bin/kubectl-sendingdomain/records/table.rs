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
    let namespaces: BTreeSet<&str> = owners.iter().map(|(namespace, _)| *namespace).collect();
    // What is the same in every line says nothing.
    let shown = [namespaces.len() > 1, owners.len() > 1];
    let mut cells = vec![line(["NAMESPACE", "OBJECT"], ["STATE", "TYPE", "NAME", "VALUE", "CAUSE"], shown)];
    cells.extend(rows.iter().map(|row| record(row, shown)));
    let state_column = shown.iter().filter(|shown| **shown).count();
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

fn record(row: &Row, shown: [bool; 2]) -> Vec<String> {
    let value = row.priority.map_or_else(|| row.value.clone(), |priority| format!("{priority} {}", row.value));
    let optional = if row.required { "" } else { " (optional)" };
    let state = format!("{}{optional}", state_name(row.state));
    let cause = row.cause.as_deref().unwrap_or_default();
    line([&row.namespace, &row.object], [&state, &row.kind, &row.name, &value, cause], shown)
}

fn line(owner: [&str; 2], cells: [&str; 5], shown: [bool; 2]) -> Vec<String> {
    let owner = owner.iter().zip(shown).filter(|(_, shown)| *shown).map(|(cell, _)| cell);
    owner.chain(&cells).map(|cell| (*cell).to_owned()).collect()
}

/// The colour of a state.
pub fn colour_of(state: RecordState) -> Colour {
    match state {
        RecordState::Found => Colour::Green,
        RecordState::Missing | RecordState::Incorrect => Colour::Red,
        RecordState::Unknown => Colour::Yellow,
    }
}
