//! What the operator has written to the API server, by the API server's own log.

use serde_json::Value;
use testbed::control_plane::ControlPlane;
use testbed::world::{OPERATOR, SYSTEM_NAMESPACE};

/// The verbs that change something.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// Stands in the line of a request that RBAC has refused; not in that of one that admission has, such as an event in a
/// namespace that is being deleted.
pub const REFUSED: &str = r#""authorization.k8s.io/decision":"forbid""#;

/// The requests of a user.
pub fn events(plane: &ControlPlane, user: &str) -> Vec<Value> {
    let log = std::fs::read(plane.audit_log()).unwrap();
    let text = String::from_utf8_lossy(&log);
    let events = text.lines().filter(|line| line.contains(user)).filter_map(|line| serde_json::from_str(line).ok());
    events.filter(|event: &Value| event["user"]["username"] == user).collect()
}

/// The requests of the operator that concern a namespace, as lines of the log.
pub fn lines(plane: &ControlPlane, namespace: &str) -> Vec<String> {
    let user = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}");
    let log = std::fs::read(plane.audit_log()).unwrap();
    let text = String::from_utf8_lossy(&log);
    let concerns = |line: &&str| line.contains(&user) && line.contains(namespace);
    text.lines().filter(concerns).map(str::to_owned).collect()
}

/// The writes among them: verb, resource with subresource, HTTP status.
pub fn writes(plane: &ControlPlane, namespace: &str) -> Vec<String> {
    let events = lines(plane, namespace);
    let events = events.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["objectRef"]["namespace"] == namespace).filter_map(|event| write(&event)).collect()
}

fn write(event: &Value) -> Option<String> {
    let verb = event["verb"].as_str().filter(|verb| WRITES.contains(verb))?;
    let object = &event["objectRef"];
    let subresource = object["subresource"].as_str().map_or_else(String::new, |name| format!("/{name}"));
    let resource = object["resource"].as_str().unwrap_or_default();
    Some(format!("{verb} {resource}{subresource} {}", event["responseStatus"]["code"]))
}
