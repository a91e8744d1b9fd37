//! A record that is right at the name servers, and not everywhere yet.

use super::{Case, Cause, Diagnosis};
use crate::dns::judge;
use crate::dns::lookup::Answer;

pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    let resolvers = case.resolvers()?;
    if case.is_right(resolvers) {
        return None;
    }
    match &resolvers.answer {
        // Who cannot say has nothing against it.
        Answer::Unknown(_) => None,
        Answer::NxDomain | Answer::NoData => match case.evidence.and_then(|e| e.forgotten_at) {
            Some(until) => Some(Diagnosis::new(
                Cause::NegativelyCached,
                format!(
                    "The name servers have it; resolvers remember until {until} that it was not there, and SES may too. \
                     Nothing is to do but wait"
                ),
            )),
            None => Some(Diagnosis::new(
                Cause::NotYetVisible,
                "The name servers have it, resolvers do not see it yet; nothing is to do but wait",
            )),
        },
        Answer::Records(records) => Some(Diagnosis::new(
            Cause::NotYetVisible,
            format!(
                "The name servers have it; resolvers still answer {} until their copy expires. Nothing is to do but wait",
                judge::shown(records.iter()).join(" and ")
            ),
        )),
    }
}
