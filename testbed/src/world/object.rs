//! SendingDomains as JSON: manifests, and what their status says.
//!
//! Untyped on purpose: the testbed sees the API as a user does and shares no types with the operator.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

/// The kind, for dynamic clients.
pub fn kind() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("sendingdomain.dev", "v1alpha1", "SendingDomain"))
}

/// A domain whose records a person adds.
pub fn manual(name: &str, domain: &str) -> Value {
    json!({
        "apiVersion": "sendingdomain.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": name},
        "spec": {"domain": domain},
    })
}

/// A domain whose records the operator writes at Cloudflare, with the token in the key `api-token` of a Secret.
pub fn cloudflare(name: &str, domain: &str, secret: &str) -> Value {
    let mut object = manual(name, domain);
    object["spec"]["dns"] = json!({"cloudflare": {"apiTokenSecretRef": {"name": secret, "key": "api-token"}}});
    object
}

/// `status.phase`, or nothing.
pub fn phase(object: &Value) -> &str {
    object["status"]["phase"].as_str().unwrap_or_default()
}

/// The condition of this type, if there is one.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

/// `True`, `False` or `Unknown`; nothing if there is no such condition.
pub fn condition_status<'a>(object: &'a Value, kind: &str) -> &'a str {
    field(object, kind, "status")
}

/// The reason of a condition; nothing if there is no such condition.
pub fn reason<'a>(object: &'a Value, kind: &str) -> &'a str {
    field(object, kind, "reason")
}

/// The message of a condition; nothing if there is no such condition.
pub fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    field(object, kind, "message")
}

fn field<'a>(object: &'a Value, kind: &str, field: &str) -> &'a str {
    condition(object, kind).and_then(|condition| condition[field].as_str()).unwrap_or_default()
}

/// Whether status speaks of the spec as it is now.
pub fn is_current(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Whether mail can be sent.
pub fn is_ready(object: &Value) -> bool {
    is_current(object) && condition_status(object, "Ready") == "True"
}

/// `status.records`.
pub fn records(object: &Value) -> &[Value] {
    object["status"]["records"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many of the records are in this state: `Found`, `Missing`, `Incorrect`, `Unknown`.
pub fn count(object: &Value, state: &str) -> usize {
    records(object).iter().filter(|record| record["state"] == state).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_as_it_stands_and_absence_is_no_panic() {
        let mut object = cloudflare("mail", "mail.example.com", "secret");
        assert_eq!((phase(&object), reason(&object, "Ready"), count(&object, "Found")), ("", "", 0));
        assert!(!is_ready(&object) && condition(&object, "Ready").is_none());
        object["metadata"]["generation"] = json!(2);
        object["status"] = json!({
            "observedGeneration": 1,
            "phase": "Verified",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Verified", "message": "m"}],
            "records": [{"state": "Found"}, {"state": "Missing"}],
        });
        assert!(!is_ready(&object), "it speaks of an older spec");
        object["status"]["observedGeneration"] = json!(2);
        assert!(is_ready(&object));
        assert_eq!((phase(&object), message(&object, "Ready"), count(&object, "Missing")), ("Verified", "m", 1));
    }
}
