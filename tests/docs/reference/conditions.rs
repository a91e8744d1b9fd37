//! The page of conditions and reasons, from their enums.

use sending_domain_operator::api::condition::ConditionType;
use sending_domain_operator::api::reason::{Reason, ReasonClass};

use super::markdown::{code, head, table};

const INTRODUCTION: &str = "\
`.status.conditions` are standard `metav1.Condition`s; each carries the `observedGeneration` that it speaks of. `Ready` sums
up: its reason and message are those of the first condition, in the order of this table, that is not met. `Reconciling` and
`Stalled` follow [kstatus](https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): they are present only while
True, never both, and neither once `Ready` is True.

";

const REASONS: &str = "
## Reasons

The class says who has to move next, and decides between `Reconciling` and `Stalled`:

- **waiting**: it is expected to pass by itself; `Reconciling`.
- **terminal**: a person has to act; `Stalled`. It is still tried again, slowly, and at once when its cause changes.
- **settled**: nothing is left to do.

A domain whose time for verification is over is `Stalled` whatever the class. More reasons may be added; their names do not
change within a version of the API. [Troubleshooting](../troubleshooting.md) has a section for each.

";

pub fn page() -> String {
    let conditions = ConditionType::ALL.map(|condition| [code(condition.as_str()), condition.meaning().to_owned()]);
    let reasons = Reason::ALL.iter().map(|reason| {
        let name = reason.as_str();
        let link = format!("[`{name}`](../troubleshooting.md#{})", name.to_lowercase());
        [link, class(reason.class()).to_owned(), reason.meaning().to_owned(), reason.advice().to_owned()]
    });
    head("Conditions and reasons", "src/api/condition.rs and src/api/reason.rs")
        + INTRODUCTION
        + &table(["condition", "True when"], conditions)
        + REASONS
        + &table(["reason", "class", "meaning", "what to do"], reasons)
}

fn class(class: ReasonClass) -> &'static str {
    match class {
        ReasonClass::Waiting => "waiting",
        ReasonClass::Terminal => "terminal",
        ReasonClass::Settled => "settled",
    }
}
