//! What holds of every version of every object, whatever happens: the rules by which kstatus, Flux and Argo CD read status.
//!
//! The names F1 to F11 and W1 to W5 are those of Flux's `runtime/conditions/check`.

use serde_json::Value;

/// What is read of an object before it is judged.
struct Seen<'a> {
    generation: i64,
    observed: i64,
    conditions: &'a [Value],
    is_suspended: bool,
    is_deleted: bool,
    phase: &'a str,
}

impl<'a> Seen<'a> {
    fn of(object: &'a Value) -> Self {
        let status = &object["status"];
        Self {
            generation: object["metadata"]["generation"].as_i64().unwrap_or_default(),
            observed: status["observedGeneration"].as_i64().unwrap_or(-1),
            conditions: status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default(),
            is_suspended: object["spec"]["suspend"] == true,
            is_deleted: object["metadata"]["deletionTimestamp"].is_string(),
            phase: status["phase"].as_str().unwrap_or_default(),
        }
    }

    fn find(&self, kind: &str) -> Option<&'a Value> {
        self.conditions.iter().find(|condition| condition["type"] == kind)
    }

    fn is(&self, kind: &str, status: &str) -> bool {
        self.find(kind).is_some_and(|condition| condition["status"] == status)
    }

    fn is_current(&self) -> bool {
        self.observed == self.generation
    }
}

fn generation_of(condition: &Value) -> i64 {
    condition["observedGeneration"].as_i64().unwrap_or(-1)
}

/// The rules that an object breaks, by name; none for one that no operator has looked at.
pub fn violations(object: &Value) -> Vec<&'static str> {
    let seen = Seen::of(object);
    let mut rules = always(&seen);
    if seen.is_current() {
        rules.extend(when_current(&seen));
    }
    rules.into_iter().filter(|(_, holds)| !holds).map(|(rule, _)| rule).collect()
}

/// The rules of any version.
fn always(seen: &Seen<'_>) -> Vec<(&'static str, bool)> {
    let ready = |status| seen.is("Ready", status);
    let (reconciling, stalled) = (seen.is("Reconciling", "True"), seen.is("Stalled", "True"));
    let every = |holds: fn(&Value) -> bool| seen.conditions.iter().all(holds);
    let types: std::collections::BTreeSet<_> = seen.conditions.iter().map(|c| c["type"].as_str()).collect();
    let only_true = |kind| seen.find(kind).is_none_or(|condition| condition["status"] == "True");
    vec![
        ("F1: Ready is True beside Reconciling or Stalled", !ready("True") || !(reconciling || stalled)),
        ("F3: Reconciling is True and Ready is not False", !reconciling || ready("False") || ready("Unknown")),
        ("F4: Stalled is True and Ready is not False", !stalled || ready("False")),
        ("F5: Reconciling and Stalled are both True", !(reconciling && stalled)),
        ("F6: observedGeneration is ahead of the generation", seen.observed <= seen.generation),
        ("F11: Ready is Unknown without Reconciling", !ready("Unknown") || reconciling),
        ("W1, W3, W4: Reconciling or Stalled is there and not True", only_true("Reconciling") && only_true("Stalled")),
        ("W5: a condition without observedGeneration", every(|c| c["observedGeneration"].is_i64())),
        ("a condition without a reason", every(|c| c["reason"].as_str().is_some_and(|reason| !reason.is_empty()))),
        ("two conditions of one type", types.len() == seen.conditions.len()),
        ("the phase is Verified and Ready is not True, or the reverse", (seen.phase == "Verified") == ready("True")),
        (
            "the phase is Failed without Stalled",
            seen.phase != "Failed" || stalled || seen.is_suspended || seen.is_deleted,
        ),
    ]
}

/// The rules of a version whose status speaks of its spec.
fn when_current(seen: &Seen<'_>) -> Vec<(&'static str, bool)> {
    let ready = seen.find("Ready");
    let is_ready = seen.is("Ready", "True");
    let one_of_two = seen.is("Reconciling", "True") != seen.is("Stalled", "True");
    let oldest = seen.conditions.iter().map(generation_of).min().unwrap_or(seen.observed);
    let worst = seen.find("Stalled").or_else(|| seen.find("Reconciling"));
    let copied = |field| ready.zip(worst).is_none_or(|(ready, worst)| ready[field] == worst[field]);
    vec![
        ("F2: Ready is absent", ready.is_some()),
        ("F7: Ready is True of an older generation", !is_ready || ready.map(generation_of) >= Some(seen.generation)),
        ("F8: Ready is True beside a condition of an older generation", !is_ready || oldest >= seen.observed),
        (
            "F9: Ready is True beside a condition of another generation",
            !is_ready || seen.conditions.iter().all(|condition| generation_of(condition) == seen.observed),
        ),
        ("W2: Ready does not say what Stalled or Reconciling says", copied("reason") && copied("message")),
        ("not Ready, and not exactly one of Reconciling and Stalled", is_ready || seen.is_suspended || one_of_two),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(kind: &str, status: &str, generation: i64) -> Value {
        json!({ "type": kind, "status": status, "reason": "R", "message": "m", "observedGeneration": generation })
    }

    fn object(generation: i64, observed: i64, phase: &str, conditions: &[Value]) -> Value {
        json!({
            "metadata": { "generation": generation }, "spec": {},
            "status": { "observedGeneration": observed, "phase": phase, "conditions": conditions },
        })
    }

    /// The rules that an object of these conditions breaks, by their first word.
    fn broken(generation: i64, observed: i64, phase: &str, conditions: &[(&str, &str, i64)]) -> Vec<&'static str> {
        let conditions: Vec<Value> = conditions.iter().map(|(kind, status, of)| condition(kind, status, *of)).collect();
        let found = violations(&object(generation, observed, phase, &conditions));
        found.into_iter().map(|rule| rule.split([':', ',']).next().unwrap()).collect()
    }

    #[test]
    fn good_versions_break_no_rule() {
        let good = [
            broken(1, 1, "Verified", &[("Ready", "True", 1), ("DKIMVerified", "True", 1)]),
            broken(1, 1, "Pending", &[("Ready", "False", 1), ("Reconciling", "True", 1)]),
            broken(1, 1, "Failed", &[("Ready", "False", 1), ("Stalled", "True", 1)]),
            broken(2, 1, "Verified", &[("Ready", "True", 1), ("IdentityReady", "True", 1)]),
            violations(&json!({ "metadata": { "generation": 1 }, "status": { "observedGeneration": -1 } })),
        ];
        assert_eq!(good, [const { Vec::<&str>::new() }; 5]);
    }

    #[test]
    fn each_rule_is_seen_broken() {
        let ready = ("Ready", "True", 1);
        let (reconciling, stalled) = (("Reconciling", "True", 1), ("Stalled", "True", 1));
        let not_ready = ("Ready", "False", 1);
        assert!(broken(1, 1, "Verified", &[ready, reconciling]).starts_with(&["F1", "F3"]));
        assert!(broken(1, 1, "Verified", &[ready, stalled]).starts_with(&["F1", "F4"]));
        assert!(broken(1, 1, "Pending", &[not_ready, reconciling, stalled]).contains(&"F5"));
        assert_eq!(broken(1, 2, "Verified", &[("Ready", "True", 2)]), ["F6"]);
        assert!(broken(1, 1, "Pending", &[("Ready", "Unknown", 1)]).contains(&"F11"));
        assert!(broken(1, 1, "Verified", &[ready, ("Stalled", "False", 1)]).contains(&"W1"));
        assert!(broken(1, 1, "Pending", &[]).contains(&"F2"));
        assert_eq!(broken(2, 2, "Verified", &[ready]), ["F7", "F8", "F9"]);
        assert_eq!(broken(2, 2, "Verified", &[("Ready", "True", 2), ("IdentityReady", "True", 1)]), ["F8", "F9"]);
        assert_eq!(broken(1, 1, "Verified", &[ready, ("DKIMVerified", "True", 2)]), ["F9"]);
        assert_eq!(broken(1, 1, "Pending", &[not_ready]), ["not Ready"]);
        assert_eq!(broken(1, 1, "Pending", &[ready]), ["the phase is Verified and Ready is not True"]);
        assert!(broken(1, 1, "Failed", &[not_ready, reconciling]).contains(&"the phase is Failed without Stalled"));
        assert!(broken(1, 1, "Verified", &[ready, ready]).contains(&"two conditions of one type"));
        assert!(broken(1, 1, "Verified", &[ready, ("DKIMVerified", "True", 0)]).contains(&"F8"));
    }

    #[test]
    fn a_ready_that_hides_the_reason_is_seen() {
        let mut conditions = [condition("Ready", "False", 1), condition("Stalled", "True", 1)];
        conditions[1]["reason"] = json!("Other");
        assert_eq!(violations(&object(1, 1, "Pending", &conditions)).len(), 1);
        let mut nameless = condition("Ready", "True", 1);
        nameless["reason"] = json!("");
        nameless["observedGeneration"] = Value::Null;
        let found = violations(&object(2, 1, "Verified", &[nameless]));
        assert!(
            found.iter().any(|rule| rule.starts_with("W5")) && found.contains(&"a condition without a reason"),
            "{found:?}"
        );
    }
}
