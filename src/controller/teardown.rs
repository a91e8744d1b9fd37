//! One pass over a deleted object.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt};
use tracing::{Instrument, info};

use super::context::{Context, Remembered};
use super::error::Error;
use super::pass::{Done, account, asker, carry_out, now, sources, status_of, viewpoint};
use super::place::{self, Elsewhere};
use super::{finalizer, write};
use crate::api::v1alpha1::{DeletionPolicy, SendingDomain};
use crate::api::{FORCE_RELEASE, event::EventReason, reason::Reason};
use crate::execute::Outcome;
use crate::observe;
use crate::observe::observation::{Claim, Observed};
use crate::ownership::Mark;
use crate::plan::teardown::{Ending, Patience, Release, Teardown, is_hopeless, plan_teardown};
use crate::ses::client::Caller;
use crate::stage;
use crate::status;
use crate::status::events::Note;
use crate::status::schedule::{self, Left};
use crate::telemetry::metrics::ReconcileResult;

/// Takes away what was made for the object, then lets it go; answers when to go on.
pub async fn pass(
    api: &Api<SendingDomain>,
    object: &SendingDomain,
    namespace: &str,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<Done, Error> {
    let Some(object) = still_ends(api, object).await? else { return Ok(forget(object, context)) };
    if !finalizer::is_set(&object) {
        return Ok(forget(&object, context));
    }
    write::tell(context, &object, Some(&status_of(&object)));
    let Some((teardown, outcome)) = Box::pin(take_away(api, &object, namespace, context, remembered)).await? else {
        return Ok(waiting(Duration::ZERO));
    };
    if outcome.dry_run {
        let message = rehearsed(&teardown);
        return blocked(api, &object, message, context, remembered).await;
    }
    if outcome.faults.is_empty() && !outcome.done.is_empty() {
        // What was taken away is looked for once more; what does not go in spite of that is not asked for without end.
        let busy = remembered.memory.busy();
        return Ok(waiting(schedule::next_look(Left { busy, ..Left::default() }, context.settings.pace)));
    }
    let failed = outcome.faults.iter().map(|(_, fault)| format!("{}: {}", fault.reason, fault.message));
    let why: Vec<String> = match &teardown.release {
        Release::Blocked { blockers, .. } => {
            blockers.iter().map(|b| format!("{}: {}", b.reason, b.message)).chain(failed).collect()
        }
        Release::Clean | Release::Incomplete(_) => failed.collect(),
    };
    // What was tried just now and is refused counts too: else the wait would begin anew with each try.
    let failed = outcome.faults.iter().all(|(_, fault)| is_hopeless(fault.reason));
    let hopeless = match &teardown.release {
        Release::Blocked { hopeless, .. } => *hopeless && failed,
        Release::Clean | Release::Incomplete(_) => failed && !outcome.faults.is_empty(),
    };
    remembered.hopeless_since = hopeless.then(|| remembered.hopeless_since.unwrap_or_else(|| hopeless_since(&object)));
    let stays = stays(&teardown);
    match teardown.release {
        Release::Clean if why.is_empty() => {
            write::events(context, &object, &stays);
            release(api, &object, context).await
        }
        Release::Incomplete(left) if why.is_empty() => {
            let message = format!("Clean-up is over without everything gone; left behind: {}", left.join("; "));
            let note =
                Note { warning: true, reason: EventReason::CleanupIncomplete.as_str(), action: "CleanUp", message };
            write::events(context, &object, &stays);
            write::events(context, &object, &[note]);
            release(api, &object, context).await
        }
        Release::Clean | Release::Incomplete(_) | Release::Blocked { .. } => {
            let message = format!(
                "Deletion waits for clean-up: {}. {}; the annotation {FORCE_RELEASE}=true gives up at once",
                why.join("; "),
                waits_until(remembered.hopeless_since, context.settings.cleanup_grace)
            );
            let done = blocked(api, &object, message, context, remembered).await?;
            // Before it is tried again: the refusal stands, and the wait for it is over.
            Ok(if patience(&object, context, remembered).is_over(now()) { waiting(RELEASE) } else { done })
        }
    }
}

/// How soon an object is released that was waited for long enough.
const RELEASE: Duration = Duration::from_secs(1);

fn patience(object: &SendingDomain, context: &Context, remembered: &Remembered) -> Patience {
    Patience {
        hopeless_since: remembered.hopeless_since,
        grace: SignedDuration::try_from(context.settings.cleanup_grace).unwrap_or(SignedDuration::MAX),
        forced: object.annotations().get(FORCE_RELEASE).is_some_and(|v| v == "true"),
    }
}

/// Since when only a person can mend what holds the deletion up, for a process that has not seen it begin: a restart does
/// not start the wait anew. Status can be edited by hand, and nothing was waited for before the deletion.
fn hopeless_since(object: &SendingDomain) -> Timestamp {
    let blocked = |c: &&Condition| c.reason == Reason::CleanupBlocked.as_str();
    let conditions = object.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let told = conditions.iter().filter(blocked).map(|c| c.last_transition_time.0).max();
    let deleted = object.metadata.deletion_timestamp.as_ref().map_or_else(now, |time| time.0);
    told.unwrap_or_else(now).max(deleted).min(now())
}

/// How long a deletion that is held up waits.
fn waits_until(hopeless_since: Option<Timestamp>, grace: Duration) -> String {
    let end = hopeless_since.and_then(|since| since.checked_add(SignedDuration::try_from(grace).ok()?).ok());
    match end {
        Some(end) => {
            format!("If nobody mends that, the object is released at {end} with an Event that names what is left")
        }
        None => format!(
            "That is tried again; credentials that are missing or denied are waited for {} from when nothing else is left",
            crate::api::duration::display(grace)
        ),
    }
}

/// Told of records that are left for the mail of an identity that stays.
fn stays(teardown: &Teardown) -> Vec<Note> {
    let message = format!(
        "The SES identity stays, and with it the records that its mail needs: {}. Remove them when the identity is not used any \
         more",
        teardown.kept.join(", ")
    );
    let note = Note { warning: false, reason: EventReason::RecordsKept.as_str(), action: "CleanUp", message };
    if teardown.kept.is_empty() { Vec::new() } else { vec![note] }
}

/// What would be done if this were not `--dry-run`.
fn rehearsed(teardown: &Teardown) -> String {
    let mut steps: Vec<String> = teardown.actions.iter().map(ToString::to_string).collect();
    steps.extend(stays(teardown).into_iter().map(|note| format!("tell: {}", note.message)));
    steps.push(match &teardown.release {
        Release::Clean => "let the object go".to_owned(),
        Release::Incomplete(left) => format!("let the object go, leaving behind {}", left.join("; ")),
        Release::Blocked { blockers, .. } => {
            let blockers = blockers.iter().map(|b| format!("{}: {}", b.reason, b.message));
            format!("wait, because of {}", blockers.collect::<Vec<_>>().join("; "))
        }
    });
    format!("The operator runs with --dry-run and takes nothing away. It would {}", steps.join(", then "))
}

/// `object` as it is now, if it is still the one that is being deleted. The watch may be behind, and reading the world takes
/// time: another object of this name may have been created since, whose domain must not suffer.
async fn still_ends(api: &Api<SendingDomain>, object: &SendingDomain) -> Result<Option<SendingDomain>, Error> {
    let live = api.get_opt(&object.name_any()).await?;
    Ok(live.filter(|o| o.uid() == object.uid() && o.metadata.deletion_timestamp.is_some()))
}

/// Observes, plans and executes the end; `None` if the identity is in another region than was thought.
async fn take_away(
    api: &Api<SendingDomain>,
    object: &SendingDomain,
    namespace: &str,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<Option<(Teardown, Outcome)>, Error> {
    let now = now();
    let status = status_of(object);
    let account = remembered.at_its_place(account(object, context), object);
    let mark = Mark::new(&context.settings.owner, namespace, &object.name_any());
    let uid = object.uid().unwrap_or_default();
    let ending = Ending { spec: &object.spec, uid: &uid, region: &account.region, mark: &mark };
    remembered.memory.begin_end();
    let asker = asker(object);
    let caller = Caller { account: &account, asker: &asker };
    let viewpoint = viewpoint(object, namespace, caller, &mark, false, context, now);
    let mut sight = observe::observe(&viewpoint, &sources(context), &mut remembered.memory, Claim::default())
        .instrument(stage!("observe"))
        .await;
    let is_to_go = object.spec.deletion_policy == DeletionPolicy::Delete;
    if is_to_go {
        match place::look_elsewhere(object, &sight.observation.identity, caller, &mark, context, remembered).await {
            Elsewhere::Nothing => {}
            Elsewhere::Found => return Ok(None),
            Elsewhere::Unknown(fault) => sight.observation.identity = Observed::Unavailable(fault),
        }
    }
    let patience = patience(object, context, remembered);
    let teardown = stage!("plan").in_scope(|| plan_teardown(&ending, &status, &sight.observation, patience, now));
    if context.settings.dry_run {
        return Ok(Some((teardown, Outcome { dry_run: true, ..Outcome::default() })));
    }
    if !teardown.actions.is_empty() && still_ends(api, object).await?.is_none_or(|live| !finalizer::is_set(&live)) {
        return Ok(None);
    }
    let outcome = carry_out(&teardown.actions, &sight, caller, object, context, remembered, now).await;
    write::events(context, object, &status::events::of_actions(&status, &outcome));
    Ok(Some((teardown, outcome)))
}

async fn blocked(
    api: &Api<SendingDomain>,
    object: &SendingDomain,
    message: String,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<Done, Error> {
    let old = status_of(object);
    let generation = object.metadata.generation.unwrap_or_default();
    let identity_is_gone = remembered.memory.identity().is_some_and(Option::is_none);
    let new = status::cleanup_blocked(&old, generation, &message, identity_is_gone, now());
    let first = old.conditions.iter().all(|c| c.reason != Reason::CleanupBlocked.as_str());
    if first {
        let note = Note { warning: true, reason: Reason::CleanupBlocked.as_str(), action: "CleanUp", message };
        write::events(context, object, &[note]);
    }
    write::status(api, object, &new, context, remembered).await?;
    let retry = remembered.memory.next_due(now());
    Ok(waiting(schedule::next_look(Left { retry, ..Left::default() }, context.settings.pace)))
}

async fn release(api: &Api<SendingDomain>, object: &SendingDomain, context: &Context) -> Result<Done, Error> {
    finalizer::remove(api, object).await?;
    info!("cleaned up and released");
    Ok(forget(object, context))
}

fn waiting(next: Duration) -> Done {
    Done { next, result: ReconcileResult::Waiting }
}

fn forget(object: &SendingDomain, context: &Context) -> Done {
    if let Some(uid) = object.uid() {
        context.memories.forget(&uid);
    }
    context.ses.forget(&asker(object));
    write::tell(context, object, None);
    Done { next: context.settings.pace.verified, result: ReconcileResult::Success }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_does_not_start_the_wait_of_a_deletion_anew_and_status_cannot_shorten_it() {
        let since = |deleted: &str, blocked: &[(&str, &str)]| {
            let condition = |(reason, at): &(&str, &str)| {
                serde_json::json!({ "type": "Ready", "status": "False", "reason": reason, "message": "m",
                    "lastTransitionTime": at })
            };
            let conditions: Vec<_> = blocked.iter().map(condition).collect();
            let object = serde_json::json!({
                "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain",
                "metadata": { "name": "a", "deletionTimestamp": deleted }, "spec": { "domain": "example.com" },
                "status": { "observedGeneration": 1, "conditions": conditions },
            });
            hopeless_since(&serde_json::from_value(object).unwrap())
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (deleted, later) = ("2026-01-01T10:00:00Z", "2026-01-01T10:05:00Z");
        assert_eq!(since(deleted, &[("CleanupBlocked", later)]), at(later));
        assert_eq!(
            since(deleted, &[("CleanupBlocked", "2025-01-01T10:00:00Z")]),
            at(deleted),
            "not before the deletion"
        );
        let begun = now();
        assert!(since(deleted, &[("WaitingForDNS", later)]) >= begun, "it was not held up yet");
        assert!(since(deleted, &[("CleanupBlocked", "2999-01-01T10:00:00Z")]) <= now(), "nor in the future");
    }

    #[test]
    fn a_deletion_that_is_held_up_says_until_when() {
        let since = "2026-01-01T10:00:00Z".parse().ok();
        assert!(waits_until(since, Duration::from_mins(10)).contains("released at 2026-01-01T10:10:00Z"));
        assert!(waits_until(None, Duration::from_mins(10)).contains("waited for 10m"));
    }
}
