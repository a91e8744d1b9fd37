//! The page of Events, from their reasons.

use sending_domain_operator::api::event::EventReason;
use sending_domain_operator::api::reason::{Reason, ReasonClass};

use super::markdown::{code, head, table};

const INTRODUCTION: &str = "\
Events are sent when something was done or has turned, never for a look that found all as before, by `events.k8s.io/v1` with
the reporting controller `sending-domain-operator`. The same Event of an object is sent once in ten minutes. `kubectl describe
sendingdomain` shows them, and so does

```sh
kubectl get events --field-selector involvedObject.kind=SendingDomain
```

## What was done, and what befell the object

";

const TURNS: &str = "
## When Ready turns

An Event with the reason of a condition is sent when `Ready` becomes True or takes another reason, and when `IdentityReady`,
`RecordsSynced` or `DNSVerified` breaks while `Ready` stays, which is always a Warning.

";

pub fn page() -> String {
    let own = EventReason::ALL.iter().map(|reason| {
        let kind = if reason.is_warning() { "Warning" } else { "Normal" };
        [code(reason.as_str()), kind.to_owned(), reason.meaning().to_owned()]
    });
    let turns = Reason::ALL.iter().filter_map(|reason| {
        let kind = match reason.class() {
            ReasonClass::Terminal => "Warning",
            // The first Event of a deletion that waits.
            ReasonClass::Waiting if *reason == Reason::CleanupBlocked => "Warning",
            ReasonClass::Waiting if reason.is_routine() => "Warning if Ready was lost",
            ReasonClass::Waiting => "Normal; Warning if Ready was lost",
            // The others never are Ready's reason, or tell of an object that goes.
            ReasonClass::Settled if *reason == Reason::Verified => "Normal",
            ReasonClass::Settled => return None,
        };
        Some([code(reason.as_str()), kind.to_owned(), reason.meaning().to_owned()])
    });
    head("Events", "src/api/event.rs and src/api/reason.rs")
        + INTRODUCTION
        + &table(["reason", "type", "meaning"], own)
        + TURNS
        + &table(["reason", "type", "meaning"], turns)
}
