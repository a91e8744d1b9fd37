//! The samples show every field of the spec. That a server accepts them is tried in `api_server`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// The paths of the fields in a sample, or in the schema where `schema` is true.
fn paths(value: &Value, path: &str, is_schema: bool, found: &mut BTreeSet<String>) {
    let fields = if is_schema { &value["properties"] } else { value };
    let Some(fields) = fields.as_object() else {
        found.insert(path.to_owned());
        return;
    };
    for (name, inner) in fields {
        paths(inner, &format!("{path}.{name}"), is_schema, found);
    }
}

#[test]
fn every_field_of_the_spec_is_in_a_sample() {
    let crd = serde_json::to_value(sending_domain_operator::api::crd::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut wanted = BTreeSet::new();
    paths(schema, "spec", true, &mut wanted);
    let mut shown = BTreeSet::new();
    for directory in ["config/samples", "config/samples/features"] {
        for entry in fs::read_dir(crate::root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let sample: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
                paths(&sample["spec"], "spec", false, &mut shown);
            }
        }
    }
    // Keys of maps are the user's own.
    let is_shown = |field: &String| shown.iter().any(|path| path == field || path.starts_with(&format!("{field}.")));
    let missing: Vec<&String> = wanted.iter().filter(|field| !is_shown(field)).collect();
    assert!(missing.is_empty(), "no sample shows {missing:?}");
}
