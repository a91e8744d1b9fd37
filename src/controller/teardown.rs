//! One pass over a deleted object.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use kube::{Api, ResourceExt};
use tracing::info;

use super::context::{Context, Remembered};
use super::error::Error;
use super::pass::{Done, account, asker, carry_out, now, sources, status_of, viewpoint};
use super::{finalizer, write};
use crate::api::v1alpha1::SendingDomain;
use crate::api::{FORCE_RELEASE, event::EventReason, reason::Reason};
use crate::execute::Outcome;
use crate::observe;
use crate::observe::observation::Claim;
use crate::ownership::Mark;
use crate::plan::teardown::{Ending, Patience, Release, Teardown, plan_teardown};
use crate::ses::client::Caller;
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
    // The watch may be behind: another object of this name may have been created since, whose domain must not suffer.
    let live = api.get_opt(&object.name_any()).await?;
    let Some(object) = live.filter(|o| o.uid() == object.uid() && o.metadata.deletion_timestamp.is_some()) else {
        return Ok(forget(object, context));
    };
    if !finalizer::is_set(&object) {
        return Ok(forget(&object, context));
    }
    write::tell(context, &object, Some(&status_of(&object)));
    let (teardown, outcome) = Box::pin(take_away(&object, namespace, context, remembered)).await;
    if outcome.dry_run {
        let message = rehearsed(&teardown);
        return blocked(api, &object, message, context, remembered).await;
    }
    if outcome.faults.is_empty() && !outcome.done.is_empty() {
        // What was taken away is looked for once more.
        return Ok(waiting(Duration::ZERO));
    }
    let failed = outcome.faults.iter().map(|(_, fault)| format!("{}: {}", fault.reason, fault.message));
    let why: Vec<String> = match &teardown.release {
        Release::Blocked { blockers, .. } => {
            blockers.iter().map(|b| format!("{}: {}", b.reason, b.message)).chain(failed).collect()
        }
        Release::Clean | Release::Incomplete(_) => failed.collect(),
    };
    let hopeless = matches!(teardown.release, Release::Blocked { hopeless: true, .. });
    remembered.hopeless_since = hopeless.then(|| remembered.hopeless_since.unwrap_or_else(now));
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
            let grace = crate::api::duration::display(context.settings.cleanup_grace);
            let message = format!(
                "Deletion waits for clean-up: {}. Missing or denied credentials are waited for {grace} from the deletion; the \
                 annotation {FORCE_RELEASE}=true gives up at once",
                why.join("; ")
            );
            blocked(api, &object, message, context, remembered).await
        }
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

/// Observes, plans and executes the end.
async fn take_away(
    object: &SendingDomain,
    namespace: &str,
    context: &Context,
    remembered: &mut Remembered,
) -> (Teardown, Outcome) {
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
    let sight = observe::observe(&viewpoint, &sources(context), &mut remembered.memory, Claim::default()).await;
    let patience = Patience {
        hopeless_since: remembered.hopeless_since,
        grace: SignedDuration::try_from(context.settings.cleanup_grace).unwrap_or(SignedDuration::MAX),
        forced: object.annotations().get(FORCE_RELEASE).is_some_and(|v| v == "true"),
    };
    let teardown = plan_teardown(&ending, &status, &sight.observation, patience, now);
    if context.settings.dry_run {
        return (teardown, Outcome { dry_run: true, ..Outcome::default() });
    }
    let outcome = carry_out(&teardown.actions, &sight, caller, object, context, remembered, now).await;
    write::events(context, object, &status::events::between(&status, &status, &outcome));
    (teardown, outcome)
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
