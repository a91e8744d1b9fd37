//! One pass over one object: observe → plan → execute → status.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Api, Resource, ResourceExt};
use tracing::{Instrument, debug, info};

use super::context::{Context, Remembered};
use super::error::Error;
use super::place::{self, Elsewhere};
use super::{claim, finalizer, teardown, write};
use crate::api::condition::{ConditionType, is_true};
use crate::api::v1alpha1::{DnsProvider, SendingDomain, SendingDomainStatus};
use crate::api::{RECONCILE_AT, RECREATE_AT, duration, handled_as};
use crate::execute::{self, Outcome, Ports};
use crate::observe::memory::Memory;
use crate::observe::observation::Claim;
use crate::observe::{self, Sight, Sources, Viewpoint};
use crate::ownership::Mark;
use crate::plan::{self, Action, Blocker, Plan, Step, Subject};
use crate::ses::client::{Account, Caller, Role};
use crate::ses::line::Asker;
use crate::stage;
use crate::status::schedule::{self, Left};
use crate::status::{self, Report};
use crate::telemetry::metrics::ReconcileResult;

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// When the next pass is due, if nothing wakes the object before.
    pub next: Duration,
    /// For the metrics.
    pub result: ReconcileResult,
}

/// Runs one pass.
pub async fn pass(object: &SendingDomain, context: &Context) -> Result<Done, Error> {
    let uid = object.uid().ok_or(Error::Incomplete("uid"))?;
    let remembered = context.memories.of(&uid);
    let mut remembered = remembered.lock().await;
    let object = newest(object, remembered.written.as_ref()).clone();
    let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api: Api<SendingDomain> = Api::namespaced(context.kube.clone(), &namespace);

    let done = if object.metadata.deletion_timestamp.is_some() {
        Box::pin(teardown::pass(&api, &object, &namespace, context, &mut remembered)).await?
    } else if object.spec.suspend {
        context.ses.forget(&asker(&object));
        let old = status_of(&object);
        let status = status::suspended(&old, generation(&object), now());
        write::status(&api, &object, &status, context, &mut remembered).await?;
        Done { next: context.settings.pace.verified, result: ReconcileResult::Success }
    } else {
        Box::pin(live(&api, object.clone(), &namespace, context, &mut remembered)).await?
    };
    remembered.failures = 0;
    context.ses.pass_ended(&asker(&object));
    Ok(Done { next: schedule::jittered(done.next, rand::random()), ..done })
}

/// A pass over an object that is neither deleted nor suspended.
async fn live(
    api: &Api<SendingDomain>,
    mut object: SendingDomain,
    namespace: &str,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<Done, Error> {
    let now = now();
    if !context.settings.dry_run && !finalizer::is_set(&object) {
        // Before the first write outside, so that nothing is ever made that nobody takes away.
        object = finalizer::add(api, &object).await?;
    }
    let created = object.creation_timestamp().map_or(now, |created| created.0);
    let old = plan::rearm::believed(status_of(&object), created, timeout(&object), now);
    let account = remembered.at_its_place(account(&object, context), &object);
    let mark = Mark::new(&context.settings.owner, namespace, &object.name_any());
    let adopter = adopter(context, namespace);
    let reconcile_at = request(&object);
    let reconcile_at = reconcile_at.as_deref();
    let reconcile_requested = reconcile_at.is_some() && reconcile_at != old.last_handled_reconcile_at.as_deref();
    remembered.memory.request(reconcile_at.filter(|_| reconcile_requested));
    let uid = object.uid().unwrap_or_default();
    let subject = Subject {
        spec: &object.spec,
        uid: &uid,
        region: &account.region,
        mark: &mark,
        adopter: &adopter,
        allow_adoption: context.settings.allow_adoption,
        recreate_at: object.annotations().get(RECREATE_AT).map(String::as_str),
        reconcile_requested,
        // That of an identity that is gone says nothing of the next.
        verification: old.verification.as_ref().filter(|_| old.has_identity()),
    };

    let asker = asker(&object);
    let caller = Caller { account: &account, asker: &asker };
    let viewpoint = viewpoint(&object, namespace, caller, &mark, status::was_ready(&old), context, now);
    let Some((sight, plan)) = Box::pin(decide(&subject, &old, &viewpoint, context, remembered)).await? else {
        return Ok(Done { next: Duration::ZERO, result: ReconcileResult::Waiting });
    };
    let nothing = Outcome { dry_run: context.settings.dry_run, ..Outcome::default() };
    let mut report = Report {
        subject: &subject,
        generation: generation(&object),
        reconcile_at,
        seen: &sight.observation,
        plan: &plan,
        outcome: &nothing,
        timeout: timeout(&object),
        now,
    };
    let mut written = None;
    if let Some(ahead) = status::ahead(&old, &report).filter(|_| !context.settings.dry_run) {
        write::status(api, &object, &ahead, context, remembered).await?;
        written.clone_from(&remembered.written);
    }
    // With a CustomResourceDefinition that drops the word of it, the object would come first again, and again.
    let is_forgotten = plan.gives_way && !written.as_ref().unwrap_or(&object).status.as_ref().is_some_and(has_yielded);
    let outcome = if context.settings.dry_run || is_forgotten {
        nothing.clone()
    } else {
        carry_out(&plan.actions, &sight, viewpoint.caller(), &object, context, remembered, now).await
    };
    report.outcome = &outcome;

    let new = status::compute(&old, &report);
    write::events(context, &object, &status::events::of_actions(&old, &outcome));
    write::status(api, written.as_ref().unwrap_or(&object), &new, context, remembered).await?;
    write::events(context, &object, &status::events::between(&old, &new, &outcome));
    write::progress(context, &old, &new);
    Ok(done(&object, &new, context, remembered, now))
}

/// What is seen, and what is to be done; `None` if the identity is in another region than was thought.
async fn decide(
    subject: &Subject<'_>,
    old: &SendingDomainStatus,
    viewpoint: &Viewpoint<'_>,
    context: &Context,
    remembered: &mut Remembered,
) -> Result<Option<(Sight, Plan)>, Error> {
    let object = viewpoint.object;
    let claim = claim::claim(object, viewpoint.account, context, viewpoint.now).await?;
    let (mut sight, mut plan) = Box::pin(see_and_plan(subject, viewpoint, claim.clone(), context, remembered)).await;
    let (identity, caller) = (&sight.observation.identity, viewpoint.caller());
    match place::look_elsewhere(object, identity, caller, viewpoint.mark, context, remembered).await {
        Elsewhere::Nothing => {}
        Elsewhere::Found => return Ok(None),
        // Whatever the plan would make here may be there already.
        Elsewhere::Unknown(fault) => {
            let blockers = vec![Blocker::from_fault(ConditionType::IdentityReady, &fault)];
            plan = Plan { blockers, ..Plan::default() };
        }
    }
    if plan.gives_way && remembered.memory.identity_is_fresh() {
        (sight, plan) = Box::pin(give_way(subject, old, viewpoint, claim, context, remembered)).await;
    }
    debug!(plan = %plan, "planned");
    Ok(Some((sight, plan)))
}

/// How an identity names the objects of a namespace that may take it over.
pub(super) fn adopter(context: &Context, namespace: &str) -> String {
    format!("{}/{namespace}", context.settings.owner)
}

fn has_yielded(status: &SendingDomainStatus) -> bool {
    status.verification.as_ref().is_some_and(|attempt| attempt.yielded_at.is_some())
}

/// The annotation `reconcile-at`, as far as status can keep it.
fn request(object: &SendingDomain) -> Option<String> {
    object.annotations().get(RECONCILE_AT).map(|value| handled_as(value))
}

fn done(
    object: &SendingDomain,
    status: &SendingDomainStatus,
    context: &Context,
    remembered: &Remembered,
    now: Timestamp,
) -> Done {
    let ready = status::was_ready(status);
    let left = Left {
        ready,
        reads_secret: matches!(object.spec.dns_provider(), DnsProvider::Cloudflare(_)),
        busy: remembered.memory.busy(),
        owes_look: remembered.memory.owes_look(),
        retry: remembered.memory.next_due(now),
        identity: remembered.memory.identity_due_in(ready, now, context.settings.pace),
    };
    Done { next: schedule::next_look(left, context.settings.pace), result: result(status) }
}

fn result(status: &SendingDomainStatus) -> ReconcileResult {
    if status::was_ready(status) {
        ReconcileResult::Success
    } else if is_true(&status.conditions, ConditionType::Stalled) {
        ReconcileResult::Terminal
    } else {
        ReconcileResult::Waiting
    }
}

/// Observes and plans. What is written outside is only ever written by a plan that was made from a reading of this very
/// pass: what was remembered may have changed hands.
async fn see_and_plan(
    subject: &Subject<'_>,
    viewpoint: &Viewpoint<'_>,
    claim: Claim,
    context: &Context,
    remembered: &mut Remembered,
) -> (Sight, Plan) {
    let sources = sources(context);
    let memory = &mut remembered.memory;
    let sight = observe::observe(viewpoint, &sources, memory, claim.clone()).instrument(stage!("observe")).await;
    let plan = stage!("plan").in_scope(|| plan::plan(subject, &sight.observation, viewpoint.now));
    // What goes elsewhere goes because the records are here.
    let writes_records = |a: &Action| matches!(a.step(), Step::Records | Step::Left(_) | Step::Endpoint);
    let writes_records = plan.actions.iter().any(writes_records) && sight.token.is_some();
    let may_give_way = !plan.gives_way || memory.identity_is_fresh();
    let ses_is_old = !may_give_way || plan.actions.iter().any(|a| !is_fresh_for(a, memory, viewpoint));
    let zone_is_old = writes_records && !memory.zone_is_fresh();
    if !ses_is_old && !zone_is_old {
        return (sight, plan);
    }
    if ses_is_old {
        memory.identity_changed();
    }
    if zone_is_old {
        memory.zone_changed();
    }
    let sight = observe::observe(viewpoint, &sources, memory, claim).instrument(stage!("observe")).await;
    let mut plan = stage!("plan").in_scope(|| plan::plan(subject, &sight.observation, viewpoint.now));
    // The reading itself may have to wait for its turn.
    plan.put_off(|a| is_fresh_for(a, memory, viewpoint));
    (sight, plan)
}

/// Observes and plans once more for an object that leaves its domain to another: as at its end, every place where records
/// of it may be is looked at.
async fn give_way(
    subject: &Subject<'_>,
    status: &SendingDomainStatus,
    viewpoint: &Viewpoint<'_>,
    claim: Claim,
    context: &Context,
    remembered: &mut Remembered,
) -> (Sight, Plan) {
    let viewpoint = Viewpoint { gives_way: true, ..*viewpoint };
    // SES may have verified the domain meanwhile: it is read last before anything goes.
    remembered.memory.identity_changed();
    remembered.memory.zone_changed();
    let sight = observe::observe(&viewpoint, &sources(context), &mut remembered.memory, claim)
        .instrument(stage!("observe"))
        .await;
    let mut plan = plan::giving_way::plan_giving_way(subject, status, &sight.observation, viewpoint.now);
    plan.put_off(|a| is_fresh_for(a, &remembered.memory, &viewpoint));
    (sight, plan)
}

/// True unless `action` writes to SES and the identity has to be read before.
fn is_fresh_for(action: &Action, memory: &Memory, viewpoint: &Viewpoint<'_>) -> bool {
    let is_at_ses = matches!(action.step(), Step::Identity | Step::Attributes | Step::Keys | Step::MailFrom);
    !is_at_ses || memory.identity_is_fresh_for(action, viewpoint.now)
}

/// Executes `actions`, if this process still leads, and remembers what failed.
pub(super) async fn carry_out(
    actions: &[Action],
    sight: &Sight,
    caller: Caller<'_>,
    object: &SendingDomain,
    context: &Context,
    remembered: &mut Remembered,
    now: Timestamp,
) -> Outcome {
    let namespace = object.namespace().unwrap_or_default();
    // Nothing of it may hold the deletion of the object up, which also needs no right to set finalizers.
    let owner = object.controller_owner_ref(&()).unwrap_or_default();
    let owner = OwnerReference { block_owner_deletion: None, ..owner };
    let ports = Ports {
        kube: &context.kube,
        namespace: &namespace,
        owner: &owner,
        ses: &context.ses,
        caller,
        domain: &object.spec.domain,
        cloudflare: &context.cloudflare,
        token: sight.token.as_ref(),
        left_tokens: &sight.left_tokens,
        may_write: context.may_write(),
        metrics: &context.metrics,
    };
    let outcome = execute::execute(actions, &ports, &mut remembered.memory, now).instrument(stage!("execute")).await;
    for (step, fault) in &outcome.faults {
        info!(?step, reason = fault.reason.as_str(), "a write failed: {}", fault.message);
    }
    let done: Vec<Step> = outcome.done.iter().map(Action::step).collect();
    remembered.memory.wrote(&done, &outcome.faults, sight.cause, now, context.settings.pace);
    outcome
}

/// Where the world is read.
pub(super) fn sources(context: &Context) -> Sources<'_> {
    Sources {
        kube: &context.kube,
        ses: &context.ses,
        cloudflare: &context.cloudflare,
        zones: &context.zones,
        resolver: context.resolver.as_ref(),
    }
}

/// Whom the world is read for.
pub(super) fn viewpoint<'a>(
    object: &'a SendingDomain,
    namespace: &'a str,
    caller: Caller<'a>,
    mark: &'a Mark,
    ready: bool,
    context: &Context,
    now: Timestamp,
) -> Viewpoint<'a> {
    Viewpoint {
        object,
        namespace,
        account: caller.account,
        asker: caller.asker,
        fleet: claim::fleet(object, context),
        mark,
        ready,
        gives_way: false,
        generation: generation(object),
        pace: context.settings.pace,
        now,
    }
}

/// The object as it stands in the line before SES.
pub(super) fn asker(object: &impl ResourceExt) -> Asker {
    Asker { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

/// With whose credentials, and where, the identity of `object` is managed. The region of an identity that was made stays
/// when the operator's default changes.
pub(super) fn account(object: &SendingDomain, context: &Context) -> Account {
    let pinned = object.status.as_ref().and_then(|s| s.identity.as_ref()).and_then(|i| i.region.clone());
    let region = object.spec.ses.region.clone().or(pinned.filter(|r| is_region(r)));
    let namespace = object.namespace().unwrap_or_default();
    let role = object
        .spec
        .ses
        .role_arn
        .as_ref()
        .map(|arn| Role { arn: arn.clone(), external_id: format!("{}/{namespace}", context.settings.owner) });
    Account { region: region.unwrap_or_else(|| context.settings.region.clone()), role }
}

/// Status can be edited by hand, and a region becomes part of a host name.
fn is_region(text: &str) -> bool {
    (5..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The version that is newer: the watch may deliver an object that is older than what we wrote ourselves.
fn newest<'a>(watched: &'a SendingDomain, written: Option<&'a SendingDomain>) -> &'a SendingDomain {
    let version = |o: &SendingDomain| o.resource_version().and_then(|v| v.parse::<u64>().ok());
    match written {
        Some(ours) if version(ours) > version(watched) => ours,
        _ => watched,
    }
}

fn generation(object: &SendingDomain) -> i64 {
    object.metadata.generation.unwrap_or_default()
}

/// The schema admits 1h to 72h; an object that was stored before the schema falls back to what SES itself does.
fn timeout(object: &SendingDomain) -> SignedDuration {
    let parsed = duration::parse(&object.spec.verification_timeout).ok();
    parsed.and_then(|d| SignedDuration::try_from(d).ok()).unwrap_or(SignedDuration::from_hours(72))
}

/// Now, to the second: that is what status shows.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The status that `object` has, or that of one that was never looked at.
pub(super) fn status_of(object: &SendingDomain) -> SendingDomainStatus {
    object.status.clone().unwrap_or_default()
}
