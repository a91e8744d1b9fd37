//! The CustomResourceDefinition: what the derive gives, and what only a hand can add.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::v1alpha1::SendingDomain;

/// The CRD as it is installed, printed by `sending-domain-operator crd`.
///
/// Four things are added to what the derive makes:
/// - `status` defaults to `{observedGeneration: -1}`, so that kstatus never takes a new object for current. A default on
///   the inner field alone has no effect on an object without status.
/// - no `nullable`: an explicit null is not a value of any field.
/// - no formats that the API server does not know.
/// - the bounds of `metav1.Condition`, which its Rust type does not carry.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SendingDomain::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(schema);
        if let Some(status) = property(schema, "status") {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
            bound_conditions(status);
        }
    }
    crd
}

/// The CRD as YAML: the one place that prints YAML.
///
/// # Errors
/// If the CRD cannot be written as YAML, which would be a defect of this program.
pub fn crd_yaml() -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(&crd())
}

fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> Option<&'a mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut(name)
}

/// Gives the items of `status.conditions` the bounds of `metav1.Condition`.
/// Source: `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
fn bound_conditions(status: &mut JSONSchemaProps) {
    let Some(JSONSchemaPropsOrArray::Schema(item)) = property(status, "conditions").and_then(|c| c.items.as_mut())
    else {
        return;
    };
    let mut bound = |name: &str, min: Option<i64>, max: i64, pattern: Option<&str>| {
        if let Some(field) = property(item, name) {
            (field.min_length, field.max_length, field.pattern) = (min, Some(max), pattern.map(str::to_owned));
        }
    };
    bound("type", None, 316, Some(CONDITION_TYPE));
    bound("reason", Some(1), 1024, Some("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"));
    bound("message", None, 32_768, None);
    if let Some(field) = property(item, "status") {
        field.enum_ = Some(["True", "False", "Unknown"].map(|s| JSON(json!(s))).to_vec());
    }
    if let Some(field) = property(item, "observedGeneration") {
        field.minimum = Some(0.0);
    }
}

/// A label key: an optional DNS prefix and a name.
const CONDITION_TYPE: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";

/// The formats that the API server checks or at least knows; others only make kubectl warn.
const KNOWN_FORMATS: [&str; 4] = ["int32", "int64", "date-time", "double"];

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.format.as_deref().is_some_and(|f| !KNOWN_FORMATS.contains(&f)) {
        schema.format = None;
    }
    if schema.type_.as_deref() == Some("array") && schema.x_kubernetes_list_type.is_none() {
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
    }
    if let Some(values) = &mut schema.enum_ {
        values.retain(|v| !v.0.is_null());
    }
    for child in schema.properties.iter_mut().flat_map(|p| p.values_mut()) {
        tidy(child);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => tidy(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        tidy(value);
    }
}
