//! `wait`: until a condition holds, the domain is Stalled, or the time is over.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::{WatchStreamExt, watcher};
use sending_domain_operator::api::v1alpha1::SendingDomain;
use sending_domain_operator::api::{RECONCILE_AT, duration, handled_as};
use sending_domain_operator::text::printable;

use crate::args::{Access, WaitArgs};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::row::words;
use crate::screen::{Progress, emit};

/// How often the clock on a terminal moves.
const TICK: Duration = Duration::from_secs(1);
/// How long the operator may take to heed a request before what it said earlier is told. A fault that stands keeps it from
/// ever calling the request handled, and changes nothing that it said.
const HEED: Duration = Duration::from_secs(30);

pub async fn run(access: &Access, args: &WaitArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::of(access).await?;
    // A name that does not exist is told at once, and not after the time is over.
    let mut object = cluster.get(&args.name).await?;
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + args.timeout;
    let mut progress = Progress::new();
    let mut changes = std::pin::pin!(watcher::watch_object(cluster.domains(), &args.name).default_backoff());
    let mut clock = tokio::time::interval(TICK);
    loop {
        match judge(&object, &args.condition, began.elapsed()) {
            Verdict::Holds => {
                progress.clear();
                emit(&format!("{} is {}: {}\n", args.name, args.condition, summary(&object, &args.condition)))?;
                return Ok(Exit::Ok);
            }
            Verdict::Stalled(why) => {
                progress.clear();
                eprintln!("{} is Stalled: {why}", args.name);
                return Ok(Exit::Stalled);
            }
            Verdict::Suspended => {
                progress.clear();
                return Err(Failure::new(format!(
                    "{} is suspended: nothing is looked at, and what its status says may be old, until spec.suspend is false",
                    args.name
                )));
            }
            Verdict::NotYet => progress.show(&elapsed(began), &summary(&object, &args.condition)),
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {
                progress.clear();
                let waited = duration::display(args.timeout);
                eprintln!("{} is not {} after {waited}: {}", args.name, args.condition, summary(&object, &args.condition));
                return Ok(Exit::TimedOut);
            }
            _ = clock.tick() => {}
            change = changes.next() => match change {
                Some(Ok(Some(new))) => object = new,
                Some(Ok(None)) => {
                    progress.clear();
                    return Err(Failure::new(format!("{} was deleted", args.name)));
                }
                Some(Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)))
                    if matches!(&error, kube::Error::Api(status) if [401, 403].contains(&status.code)) =>
                {
                    progress.clear();
                    return Err(cluster.failure("watch", &args.name, &error));
                }
                // The watch begins again by itself.
                Some(Err(_)) => {}
                None => return Err(Failure::new("the watch has ended")),
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Stalled(String),
    Suspended,
    NotYet,
}

/// What status says of the spec as it is now, and since the operator was last asked to look; so long after we began to wait.
fn judge(object: &SendingDomain, condition: &str, waited: Duration) -> Verdict {
    // Its conditions follow the generation though nobody acts on the spec, so even one that is True says nothing.
    if object.spec.suspend {
        return Verdict::Suspended;
    }
    let is_asked_for = is_asked_for(object);
    if !is_asked_for && current(object, condition).is_some_and(|c| c.status == "True") {
        return Verdict::Holds;
    }
    match current(object, "Stalled").filter(|c| c.status == "True") {
        Some(stalled) if !is_asked_for || waited >= HEED => Verdict::Stalled(words(stalled)),
        _ => Verdict::NotYet,
    }
}

/// True if `reconcile-at` has a value that the operator has not handled yet: what status says is from before.
fn is_asked_for(object: &SendingDomain) -> bool {
    let asked = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(RECONCILE_AT));
    let handled = object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    asked.is_some_and(|asked| handled != Some(handled_as(asked).as_str()))
}

fn find<'a>(object: &'a SendingDomain, condition: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|c| c.type_ == condition)
}

/// The condition, if the operator has set it for the spec as it is now.
fn current<'a>(object: &'a SendingDomain, condition: &str) -> Option<&'a Condition> {
    find(object, condition).filter(|c| c.observed_generation >= object.metadata.generation)
}

/// Phase, records, and what the condition says.
fn summary(object: &SendingDomain, condition: &str) -> String {
    let Some(status) = &object.status else { return "the operator has not looked at it yet".to_owned() };
    let phase = status.phase.map(|phase| format!("{phase:?}"));
    let records = status.records_found.as_ref().map(|found| format!("records {}", printable(found, 16)));
    let said = find(object, condition).map(words);
    let parts: Vec<String> = [phase, records, said].into_iter().flatten().collect();
    if parts.is_empty() { "the operator has not looked at it yet".to_owned() } else { parts.join(", ") }
}

fn elapsed(began: Instant) -> String {
    let seconds = began.elapsed().as_secs();
    format!("[{:02}:{:02}]", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: i64, conditions: &[(&str, &str, i64)]) -> SendingDomain {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, of)| {
                json!({"type": kind, "status": status, "reason": "R", "message": "m\u{1b}[2J", "observedGeneration": of,
                       "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain",
            "metadata": {"name": "x", "generation": generation}, "spec": {"domain": "mail.example.com"},
            "status": {"observedGeneration": generation, "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn a_condition_of_an_older_spec_does_not_count() {
        let judge = |object: &SendingDomain, condition| super::judge(object, condition, HEED * 2);
        assert_eq!(judge(&object(2, &[("Ready", "True", 2)]), "Ready"), Verdict::Holds);
        assert_eq!(judge(&object(2, &[("Ready", "True", 1)]), "Ready"), Verdict::NotYet);
        assert_eq!(judge(&object(2, &[("Stalled", "True", 1), ("Ready", "False", 1)]), "Ready"), Verdict::NotYet);
        let stalled = object(2, &[("Stalled", "True", 2), ("Ready", "False", 2), ("DKIMVerified", "True", 2)]);
        assert_eq!(judge(&stalled, "Ready"), Verdict::Stalled("R: m\\u{1b}[2J".to_owned()));
        assert_eq!(judge(&stalled, "DKIMVerified"), Verdict::Holds, "what is asked for holds all the same");
    }

    #[test]
    fn what_status_said_before_the_operator_was_asked_to_look_does_not_count() {
        for known in [("Ready", "True", 1), ("Stalled", "True", 1)] {
            let mut asked = object(1, &[known]);
            let long = "x".repeat(300);
            asked.metadata.annotations = Some([(RECONCILE_AT.to_owned(), long.clone())].into());
            assert_eq!(judge(&asked, "Ready", Duration::ZERO), Verdict::NotYet);
            asked.status.as_mut().unwrap().last_handled_reconcile_at = Some(long[..256].to_owned());
            assert_ne!(judge(&asked, "Ready", Duration::ZERO), Verdict::NotYet, "status keeps 256 characters of it");
        }
    }

    #[test]
    fn a_fault_that_keeps_the_request_from_being_handled_is_told_all_the_same() {
        let mut asked = object(1, &[("Stalled", "True", 1), ("DKIMVerified", "True", 1)]);
        asked.metadata.annotations = Some([(RECONCILE_AT.to_owned(), "now".to_owned())].into());
        assert_eq!(judge(&asked, "Ready", HEED / 2), Verdict::NotYet);
        assert!(matches!(judge(&asked, "Ready", HEED), Verdict::Stalled(_)));
        assert!(matches!(judge(&asked, "DKIMVerified", HEED), Verdict::Stalled(_)), "it may be from before");
    }

    #[test]
    fn nobody_waits_for_what_is_suspended() {
        for known in [("Ready", "False", 2), ("Ready", "True", 2)] {
            let mut suspended = object(2, &[known]);
            suspended.spec.suspend = true;
            assert_eq!(judge(&suspended, "Ready", Duration::ZERO), Verdict::Suspended);
        }
    }
}
