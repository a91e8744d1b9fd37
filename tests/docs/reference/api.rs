//! The page of the API, from the CRD as the program prints it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::{JsonSchema, SchemaGenerator};
use sending_domain_operator::api::v1alpha1::{
    AdoptionPolicy, ConflictPolicy, DeletionPolicy, DkimKeyLength, DmarcAlignment, DmarcPolicy, DnsProviderName,
    IdentityOrigin, OnMxFailure, Phase, RecordPurpose, RecordState,
};
use sending_domain_operator::api::{FINALIZER, FORCE_RELEASE, RECONCILE_AT, RECREATE_AT};
use serde_json::Value;

use super::markdown::{code, head, table};

const INTRODUCTION: &str = "\
Group `sendingdomain.dev`, version `v1alpha1`, kind `SendingDomain`, plural `sendingdomains`, short name `sdom`, category `mail`;
namespaced. `(≤ n)` bounds characters of a string and members of a list or map. `kubectl explain sendingdomain.spec --recursive` says the same of the cluster's own version, and
`kubectl get sendingdomains --field-selector spec.domain=mail.example.com` finds an object by its domain.

";

pub fn page() -> String {
    let crd = serde_json::to_value(sending_domain_operator::api::crd::crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut page = head("API reference", "the CustomResourceDefinition") + INTRODUCTION;
    section("spec", &schema["properties"]["spec"], &variants(), &mut page);
    section("status", &schema["properties"]["status"], &variants(), &mut page);
    page + &annotations() + &columns(version)
}

/// An object: its fields, the rules beyond their bounds, and then the objects in it.
fn section(path: &str, schema: &Value, variants: &Variants, page: &mut String) {
    let _ = writeln!(page, "## {path}\n\n{}\n", text(schema));
    let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().unwrap().iter().collect();
    let rows = fields.iter().map(|(name, field)| {
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(default) => code(&default.to_string().replace('"', "")),
            None => String::new(),
        };
        [code(name), kind(&format!("{path}.{name}"), field), default, text(field) + &values(field, variants)]
    });
    page.push_str(&table(["field", "type", "default", "meaning"], rows));
    page.push('\n');
    let mut rules: Vec<String> = messages(schema).map(|message| format!("- {message}")).collect();
    rules.extend(fields.iter().flat_map(|(name, field)| messages(field).map(move |m| format!("- `{name}` {m}"))));
    rules.dedup();
    if !rules.is_empty() {
        let _ = writeln!(page, "The API server holds to:\n\n{}\n", rules.join("\n"));
    }
    for (name, field) in fields {
        if let Some(object) = object_in(field) {
            section(&format!("{path}.{name}{}", if is(field, "array") { "[]" } else { "" }), object, variants, page);
        }
    }
}

/// The object that a field is or has a list of.
fn object_in(field: &Value) -> Option<&Value> {
    let inner = if is(field, "array") { &field["items"] } else { field };
    inner.get("properties").is_some().then_some(inner)
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind
}

fn list<'a>(schema: &'a Value, name: &str) -> &'a [Value] {
    schema[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

fn messages(schema: &Value) -> impl Iterator<Item = &str> {
    list(schema, "x-kubernetes-validations").iter().filter_map(|rule| rule["message"].as_str())
}

/// The type in words, with its bounds.
fn kind(path: &str, field: &Value) -> String {
    let number = |name: &str| field.get(name).and_then(Value::as_f64);
    match field["type"].as_str().unwrap_or_default() {
        "object" if field.get("properties").is_some() => format!("[object](#{})", anchor(path)),
        "object" => {
            format!("map{} of string to {}", bound(field, "maxProperties"), kind("", &field["additionalProperties"]))
        }
        "array" if object_in(field).is_some() => format!("[list](#{}){}", anchor(path), bound(field, "maxItems")),
        "array" => format!("list{} of {}", bound(field, "maxItems"), kind("", &field["items"])),
        "string" if field.get("enum").is_some() => "choice".to_owned(),
        "string" if field["format"] == "date-time" => "time".to_owned(),
        "integer" => match (number("minimum"), number("maximum")) {
            (Some(min), Some(max)) => format!("integer, {min} to {max}"),
            (Some(min), None) => format!("integer, from {min}"),
            _ => "integer".to_owned(),
        },
        other => format!("{other}{}", bound(field, "maxLength")),
    }
}

fn bound(field: &Value, name: &str) -> String {
    field.get(name).map(|most| format!(" (≤ {most})")).unwrap_or_default()
}

/// What GitHub makes of a heading.
fn anchor(path: &str) -> String {
    path.to_lowercase().replace(['.', '[', ']'], "")
}

/// What each value of a choice means, by the list of the values.
type Variants = BTreeMap<Vec<String>, Vec<String>>;

fn variants() -> Variants {
    let mut found = Variants::new();
    variants_of::<AdoptionPolicy>(&mut found);
    variants_of::<ConflictPolicy>(&mut found);
    variants_of::<DeletionPolicy>(&mut found);
    variants_of::<DkimKeyLength>(&mut found);
    variants_of::<DmarcAlignment>(&mut found);
    variants_of::<DmarcPolicy>(&mut found);
    variants_of::<DnsProviderName>(&mut found);
    variants_of::<IdentityOrigin>(&mut found);
    variants_of::<OnMxFailure>(&mut found);
    variants_of::<Phase>(&mut found);
    variants_of::<RecordPurpose>(&mut found);
    variants_of::<RecordState>(&mut found);
    found
}

fn variants_of<T: JsonSchema>(found: &mut Variants) {
    let schema = serde_json::to_value(T::json_schema(&mut SchemaGenerator::default())).unwrap();
    let string = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let cases = list(&schema, "oneOf");
    assert!(!cases.is_empty(), "{schema} has no described values");
    let names = cases.iter().map(|case| string(case, "const")).collect();
    found.insert(names, cases.iter().map(|case| string(case, "description")).collect());
}

fn values(field: &Value, variants: &Variants) -> String {
    let names: Vec<String> = list(field, "enum").iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    if names.is_empty() || names == ["True", "False", "Unknown"] {
        return String::new();
    }
    let meanings = variants.get(&names).unwrap_or_else(|| panic!("nobody says what {names:?} mean"));
    let lines =
        names.iter().zip(meanings).map(|(name, meaning)| format!("`{name}`: {}", meaning.trim_end_matches('.')));
    format!(" {}.", lines.collect::<Vec<_>>().join("; "))
}

fn annotations() -> String {
    let rows = [
        (RECONCILE_AT, "any new value", "Look at everything now, and begin a failed verification again."),
        (RECREATE_AT, "any new value", "Fresh DKIM tokens; sending stops until the new records are verified."),
        (FORCE_RELEASE, "`\"true\"`", "Give up the clean-up of a deleted object."),
    ];
    let rows = rows.map(|(name, value, meaning)| [code(name), value.to_owned(), meaning.to_owned()]);
    let note = format!(
        "\nThe finalizer is `{FINALIZER}`. The annotations that a *namespace* may have are in \
                        [multi-tenancy](../multi-tenancy.md).\n\n"
    );
    "## Annotations\n\n".to_owned() + &table(["annotation", "value", "meaning"], rows) + &note
}

fn columns(version: &Value) -> String {
    let rows = list(version, "additionalPrinterColumns").iter().map(|column| {
        let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let when = if column["priority"] == 1 { "with `-o wide`" } else { "always" };
        [text("name").to_uppercase(), when.to_owned(), code(&text("jsonPath")), text("description")]
    });
    "## Columns of kubectl get\n\n".to_owned() + &table(["column", "shown", "from", "meaning"], rows)
}
