//! The committed CRD: current, described, bounded, and with the columns that the design promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

use sending_domain_operator::api::crd::crd_yaml;
use serde_json::{Value, json};

const COMMITTED: &str = include_str!("../crds/sendingdomains.yaml");

/// Client-side `kubectl apply` keeps the whole object in an annotation, and those end at 256 KiB.
const SIZE_LIMIT: usize = 256 * 1024;

fn committed() -> Value {
    serde_yaml::from_str(COMMITTED).expect("crds/sendingdomains.yaml is YAML")
}

fn version(crd: &Value) -> &Value {
    let versions = crd["spec"]["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    &versions[0]
}

/// Calls `visit` with the path and the schema of every field, item and map value.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), visit);
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}[]"), visit);
    }
    if let Some(values) = schema.get("additionalProperties") {
        walk(values, &format!("{path}{{}}"), visit);
    }
}

/// The paths of the fields for which `is_bad` holds.
fn offenders(is_bad: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let crd = committed();
    let mut found = Vec::new();
    walk(&version(&crd)["schema"]["openAPIV3Schema"], "", &mut |path, schema| {
        if is_bad(path, schema) {
            found.push(path.to_owned());
        }
    });
    found
}

#[track_caller]
fn assert_none(is_bad: impl Fn(&str, &Value) -> bool) {
    assert_eq!(offenders(is_bad), [""; 0]);
}

fn is(schema: &Value, name: &str) -> bool {
    schema["type"] == name
}

#[test]
fn the_committed_crd_is_current() {
    assert!(COMMITTED == crd_yaml().unwrap(), "crds/sendingdomains.yaml is stale: run `make generate` and commit it");
}

#[test]
fn it_fits_into_the_annotation_of_kubectl_apply() {
    assert!(COMMITTED.len() < SIZE_LIMIT, "{} bytes", COMMITTED.len());
}

#[test]
fn every_field_is_described() {
    let is_element = |path: &str| path.ends_with("[]") || path.ends_with("{}");
    assert_none(|path, schema| {
        !is_element(path) && schema["description"].as_str().is_none_or(|text| text.trim().is_empty())
    });
}

#[test]
fn g19_every_string_is_bounded() {
    assert_none(|_, schema| {
        is(schema, "string") && ["maxLength", "enum", "format"].iter().all(|bound| schema.get(bound).is_none())
    });
}

#[test]
fn every_list_is_bounded_and_says_how_it_merges() {
    assert_none(|_, schema| {
        is(schema, "array") && (schema["maxItems"].is_null() || schema["x-kubernetes-list-type"].is_null())
    });
}

#[test]
fn every_map_is_bounded() {
    assert_none(|_, schema| schema.get("additionalProperties").is_some() && schema["maxProperties"].is_null());
}

#[test]
fn every_integer_is_bounded() {
    // A generation is the API server's own number.
    assert_none(|path, schema| {
        let is_generation = path.ends_with(".observedGeneration") && schema["format"] == "int64";
        is(schema, "integer") && !is_generation && (schema["minimum"].is_null() || schema["maximum"].is_null())
    });
}

#[test]
fn there_are_no_floats_no_nulls_and_no_open_objects() {
    assert_none(|_, schema| {
        is(schema, "number")
            || ["nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"]
                .iter()
                .any(|key| schema.get(key).is_some())
            || schema["enum"].as_array().is_some_and(|values| values.contains(&Value::Null))
            || (is(schema, "object")
                && schema.get("properties").is_none()
                && schema.get("additionalProperties").is_none())
    });
}

#[test]
fn every_rule_of_the_spec_says_what_must_be() {
    assert_none(|_, schema| {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules
            .map(|rule| rule["message"].as_str().unwrap_or_default())
            .any(|message| !["must ", "may ", "immutable"].iter().any(|word| message.contains(word)))
    });
    // A bare pattern answers with a regular expression, which is no message for a person.
    assert_none(|path, schema| path.starts_with(".spec") && schema.get("pattern").is_some());
}

#[test]
fn no_list_of_the_file_is_empty() {
    // An empty list is dropped by the API server, so GitOps tools would see a difference for ever.
    fn search(value: &Value, path: &str) {
        match value {
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} is empty");
                for item in items {
                    search(item, &format!("{path}[]"));
                }
            }
            Value::Object(fields) => fields.iter().for_each(|(name, field)| search(field, &format!("{path}.{name}"))),
            _ => {}
        }
    }
    search(&committed(), "");
}

#[test]
fn a_new_object_is_never_taken_for_current() {
    let crd = committed();
    let status = &version(&crd)["schema"]["openAPIV3Schema"]["properties"]["status"];
    assert_eq!(status["default"], json!({ "observedGeneration": -1 }));
}

#[test]
fn b4_a_reference_cannot_name_another_namespace() {
    assert_none(|path, _| path.starts_with(".spec") && path.contains("amespace"));
}

#[test]
fn the_columns_are_those_of_the_design() {
    let crd = committed();
    let columns: Vec<(String, bool)> = version(&crd)["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap().to_uppercase(), column["priority"].as_i64().unwrap_or(0) > 0))
        .collect();
    let narrow = ["DOMAIN", "STATUS", "READY", "RECORDS", "REASON", "AGE"].map(|name| (name.to_owned(), false));
    let wide = ["DKIM", "MAIL FROM", "DNS", "REGION", "MESSAGE"].map(|name| (name.to_owned(), true));
    assert_eq!(columns, [narrow.as_slice(), wide.as_slice()].concat());
}

#[test]
fn the_names_are_those_of_the_design() {
    let crd = committed();
    assert_eq!(crd["spec"]["group"], "sendingdomain.dev");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(
        crd["spec"]["names"],
        json!({
            "kind": "SendingDomain", "plural": "sendingdomains", "singular": "sendingdomain",
            "shortNames": ["sdom"], "categories": ["mail"],
        })
    );
    assert_eq!(version(&crd)["name"], "v1alpha1");
    assert_eq!(version(&crd)["subresources"], json!({ "status": {} }));
    assert_eq!(version(&crd)["selectableFields"], json!([{ "jsonPath": ".spec.domain" }]));
}
