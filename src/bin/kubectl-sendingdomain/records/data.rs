//! For programs: a list of records, each with the object that it belongs to.

use crate::exit::Failure;
use crate::row::Row;

/// As JSON.
pub fn json(rows: &[Row]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(rows).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

/// As YAML.
pub fn yaml(rows: &[Row]) -> Result<String, Failure> {
    serde_yaml::to_string(rows).map_err(|error| Failure::new(error.to_string()))
}
