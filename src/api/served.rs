//! What the API server knows of our kind, compared with what this version has to say: fields that an older
//! CustomResourceDefinition does not have are dropped by the server, and nobody is told.

use serde_json::Value;

/// The fields of `own` that `served` lacks, such as `status.dns.previous`. Of an object that is missing as a whole only
/// that is named. Both are schemas as JSON.
pub fn missing_fields(own: &Value, served: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    compare(own, served, "", &mut missing);
    missing
}

fn compare(own: &Value, served: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, field) in own["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match served["properties"].get(name) {
            Some(theirs) => compare(field, theirs, &path, missing),
            None => missing.push(path),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let (Some(field), Some(theirs)) = (own.get(inner), served.get(inner)) {
            compare(field, theirs, path, missing);
        }
    }
}

/// The schema of `kind` in an `OpenAPI` v3 document of its group and version.
/// Source: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3>.
pub fn schema_in<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    schemas.values().find(|schema| schema["x-kubernetes-group-version-kind"][0]["kind"] == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own() -> Value {
        let crd = serde_json::to_value(crate::api::crd::crd()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    #[test]
    fn what_an_older_schema_lacks_is_named_and_what_a_newer_one_has_more_is_not() {
        let mut served = own();
        assert_eq!(missing_fields(&own(), &served), [""; 0]);
        let status = served["properties"]["status"]["properties"].as_object_mut().unwrap();
        status.insert("forecast".to_owned(), json!({ "type": "string" }));
        status.remove("recommendations");
        status["records"]["items"]["properties"].as_object_mut().unwrap().remove("cause");
        status.remove("verification");
        assert_eq!(
            missing_fields(&own(), &served),
            ["status.recommendations", "status.records.cause", "status.verification"]
        );
    }

    #[test]
    fn the_schema_is_found_by_its_kind() {
        let of = |kind: &str| json!({ "x-kubernetes-group-version-kind": [{ "kind": kind }], "type": "object" });
        let document =
            json!({ "components": { "schemas": { "a": of("SendingDomainList"), "b": of("SendingDomain") } } });
        assert_eq!(schema_in(&document, "SendingDomain"), Some(&of("SendingDomain")));
        assert_eq!(schema_in(&json!({ "components": {} }), "SendingDomain"), None);
    }
}
