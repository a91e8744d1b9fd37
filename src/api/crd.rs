//! The CustomResourceDefinition: what the derive gives, and what only a hand can add.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::v1alpha1::SendingDomain;

/// The CRD as it is installed, printed by `sending-domain-operator crd`.
///
/// Three things are added to what the derive makes:
/// - `status` defaults to `{observedGeneration: -1}`, so that kstatus never takes a new object for current. A default on
///   the inner field alone has no effect on an object without status.
/// - no `nullable`: an explicit null is not a value of any field.
/// - no formats that the API server does not know.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SendingDomain::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
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
