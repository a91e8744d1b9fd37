//! An object that this version cannot read: the CRD in the cluster is newer and allows values that the operator does not
//! know. Its metadata can be read, so it can be told of, and at its end released; nothing else is guessed.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, Resource, ResourceExt};
use tracing::warn;

use super::context::Context;
use super::error::Error;
use super::pass::{Done, now};
use super::{Guarded, finalizer};
use crate::api::FORCE_RELEASE;
use crate::api::event::EventReason;
use crate::api::reason::Reason;
use crate::ownership::Mark;
use crate::telemetry::metrics::ReconcileResult;
use crate::text::printable;

/// How much of the reader's own error is told, in bytes: it may repeat what is in the object.
const DETAIL_LIMIT: usize = 200;

/// Tells of the object, and releases it if it is deleted and nobody else does within `--cleanup-grace`: a namespace must
/// not terminate for ever for an operator that is too old.
pub async fn pass(object: &Guarded, invalid: &InvalidObject, context: &Context) -> Result<Done, Error> {
    let detail = printable(&invalid.error, DETAIL_LIMIT);
    warn!(error = %detail, "this version cannot read the object");
    if object.meta().deletion_timestamp.is_none() {
        let note = format!(
            "This version of the operator cannot read the object and leaves everything as it is: {detail}; upgrade the operator \
             or correct the object"
        );
        publish(object, EventReason::Unreadable.as_str(), "Read", &note, context);
        return Ok(Done { next: context.settings.pace.terminal(), result: ReconcileResult::Terminal });
    }
    if !finalizer::is_set(object) || context.settings.dry_run {
        return Ok(Done { next: context.settings.pace.verified, result: ReconcileResult::Success });
    }
    if is_due(object, context).await {
        return release(object, context).await;
    }
    let note = format!(
        "Deletion waits: this version of the operator cannot read the object and so cannot clean up ({detail}); upgrade the \
         operator or correct the object. After {}, or at once with the annotation {FORCE_RELEASE}=true, it is released without \
         clean-up",
        crate::api::duration::display(context.settings.cleanup_grace)
    );
    publish(object, Reason::CleanupBlocked.as_str(), "CleanUp", &note, context);
    Ok(Done { next: context.settings.pace.pending, result: ReconcileResult::Waiting })
}

async fn is_due(object: &Guarded, context: &Context) -> bool {
    let remembered = context.memories.of(&object.uid().unwrap_or_default());
    let seen = *remembered.lock().await.hopeless_since.get_or_insert_with(now);
    let grace = SignedDuration::try_from(context.settings.cleanup_grace).unwrap_or(SignedDuration::MAX);
    let forced = object.annotations().get(FORCE_RELEASE).is_some_and(|value| value == "true");
    let deleted = object.meta().deletion_timestamp.as_ref().map_or(seen, |time| time.0);
    forced || is_over(deleted, seen, grace, now())
}

/// The wait begins with the deletion, however often this process is started; but an object that was deleted long ago is
/// first seen for a while, for a newer operator may be about to come back.
fn is_over(deleted: Timestamp, seen: Timestamp, grace: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(deleted) >= grace && now.duration_since(seen) >= grace.min(NOTICE)
}

/// How long a deleted object is told of before it is released.
const NOTICE: SignedDuration = SignedDuration::from_mins(1);

async fn release(object: &Guarded, context: &Context) -> Result<Done, Error> {
    let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
    let mark = Mark::new(&context.settings.owner, &namespace, &object.name_any());
    let note = format!(
        "Released without clean-up, since this version of the operator cannot read the object; left behind may be an SES \
         identity and records whose tags and comment say {}",
        mark.comment()
    );
    publish(object, EventReason::CleanupIncomplete.as_str(), "CleanUp", &note, context);
    finalizer::remove(&Api::namespaced(context.kube.clone(), &namespace), object).await?;
    Ok(Done { next: context.settings.pace.verified, result: ReconcileResult::Success })
}

fn publish(object: &Guarded, reason: &'static str, action: &'static str, note: &str, context: &Context) {
    context.metrics.event(reason);
    context.recorder.publish(object.object_ref(&()), true, reason, action, note);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g20_the_wait_for_an_unreadable_object_does_not_start_anew_with_the_process() {
        let after = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let grace = SignedDuration::from_mins(10);
        assert!(!is_over(after(0), after(0), grace, after(9)) && is_over(after(0), after(0), grace, after(10)));
        assert!(is_over(after(0), after(9), grace, after(10)), "seen by this process for a minute only");
        assert!(!is_over(after(0), after(100), grace, after(100)), "told of first");
        assert!(is_over(after(0), after(100), SignedDuration::ZERO, after(100)));
    }
}
