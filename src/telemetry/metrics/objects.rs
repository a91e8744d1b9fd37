//! Gauges of each object's own state, made anew for each scrape from what is known then: nothing can be left behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::api::condition::{ConditionStatus, ConditionType, find};
use crate::api::reason::Reason;
use crate::api::status::Phase;
use crate::api::v1alpha1::SendingDomainStatus;

/// The reason of an object that has none, or one that this version does not know.
const NO_REASON: &str = "None";

/// What is told of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectState {
    /// `.status.phase`.
    pub phase: Phase,
    /// The reason of the condition `Ready`, if it is one of ours.
    pub reason: Option<Reason>,
    /// The reason of the condition `RecordsSynced`, if the object has it and the reason is one of ours.
    pub records: Option<Reason>,
    /// The conditions that the object has. Each makes three series.
    pub conditions: Vec<(ConditionType, ConditionStatus)>,
    /// When SES had it verified: in the attempt at hand, else first. It stays while the verification is lost.
    pub verified_at: Option<Timestamp>,
    /// Since when it has been on its way to Verified, if it is: the loss of Ready, else the start of verification, else the
    /// creation.
    pub pending_since: Option<Timestamp>,
    /// Since when its deletion has been asked for.
    pub deleted_since: Option<Timestamp>,
}

impl ObjectState {
    /// The same with what the object's own metadata say.
    #[must_use]
    pub fn of(mut self, metadata: &ObjectMeta) -> Self {
        self.deleted_since = metadata.deletion_timestamp.as_ref().map(|at| at.0);
        if self.deleted_since.is_some() {
            self.pending_since = None;
        } else if self.is_on_its_way() {
            self.pending_since = self.pending_since.or(metadata.creation_timestamp.as_ref().map(|at| at.0));
        }
        self
    }

    fn is_on_its_way(&self) -> bool {
        self.phase == Phase::Pending && self.reason != Some(Reason::Suspended)
    }
}

impl From<&SendingDomainStatus> for ObjectState {
    fn from(status: &SendingDomainStatus) -> Self {
        let ready = find(&status.conditions, ConditionType::Ready);
        let attempt = status.verification.as_ref();
        let conditions = ConditionType::ALL.into_iter().filter_map(|kind| {
            let stated = &find(&status.conditions, kind)?.status;
            Some((kind, STATUSES.into_iter().find(|known| known.as_str() == stated)?))
        });
        let mut state = Self {
            phase: status.phase.unwrap_or(Phase::Pending),
            reason: ready.and_then(reason_of),
            records: find(&status.conditions, ConditionType::RecordsSynced).and_then(reason_of),
            verified_at: attempt
                .and_then(|attempt| attempt.verified_at.as_ref().or(attempt.first_verified_at.as_ref()))
                .map(|at| at.0),
            conditions: conditions.collect(),
            pending_since: None,
            deleted_since: None,
        };
        if state.is_on_its_way() {
            // What was verified has not been waiting since that attempt began, which may be years ago.
            let lost = ready.filter(|_| attempt.is_some_and(|attempt| attempt.verified_at.is_some()));
            state.pending_since = match lost {
                Some(ready) => Some(ready.last_transition_time.0),
                None => attempt.map(|attempt| attempt.started_at.0),
            };
        }
        state
    }
}

fn reason_of(condition: &Condition) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|known| known.as_str() == condition.reason)
}

const STATUSES: [ConditionStatus; 3] = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown];

#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<BTreeMap<(String, String), ObjectState>>);

impl Objects {
    pub(super) fn set(&self, namespace: &str, name: &str, state: Option<ObjectState>) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut objects = self.lock();
        match state {
            Some(state) => objects.insert(key, state),
            None => objects.remove(&key),
        };
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), ObjectState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A copy: an encoder that takes its time must not hold a pass up.
        let objects = self.lock().clone();
        encode_conditions(&objects, &mut encoder)?;
        encode_totals(&objects, &mut encoder)?;
        encode_info(&objects, &mut encoder)?;
        let help = "When SES had each SendingDomain verified, as Unix time; none for one that never was.";
        encode_times(&objects, &mut encoder, "verified_timestamp", help, |state| state.verified_at)?;
        let help = "Since when each SendingDomain that is on its way to Verified has been so, as Unix time.";
        encode_times(&objects, &mut encoder, "pending_since_timestamp", help, |state| state.pending_since)?;
        let now = Timestamp::now();
        let help =
            "For how long the oldest SendingDomain that is on its way to Verified has been so; 0 if there is none.";
        let age = age(objects.values().filter_map(|state| state.pending_since), now);
        let gauge = encoder.encode_descriptor("oldest_pending", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(age).encode(gauge)?;
        let help = "For how long the oldest deleted SendingDomain has waited for its clean-up; 0 if there is none.";
        let age = self::age(objects.values().filter_map(|state| state.deleted_since), now);
        let gauge = encoder.encode_descriptor("cleanup_pending", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(age).encode(gauge)
    }
}

fn age(since: impl Iterator<Item = Timestamp>, now: Timestamp) -> f64 {
    since.min().map_or(0.0, |oldest| now.duration_since(oldest).as_secs_f64().max(0.0))
}

fn encode_conditions(
    objects: &BTreeMap<(String, String), ObjectState>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let help = "Conditions of each SendingDomain: 1 for the status that holds, 0 for the two others.";
    let mut family = encoder.encode_descriptor("status_condition", help, None, MetricType::Gauge)?;
    for ((namespace, name), state) in objects {
        for (kind, holds) in &state.conditions {
            for status in STATUSES {
                let labels = [
                    ("namespace", namespace.as_str()),
                    ("name", name),
                    ("type", kind.as_str()),
                    ("status", status.as_str()),
                ];
                gauge(&mut family, &labels, i64::from(status == *holds))?;
            }
        }
    }
    Ok(())
}

fn encode_totals(
    objects: &BTreeMap<(String, String), ObjectState>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut totals: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for state in objects.values() {
        let reason = state.reason.map_or(NO_REASON, Reason::as_str);
        *totals.entry((phase(state.phase), reason)).or_default() += 1;
    }
    let help = "SendingDomains by phase and by the reason of their condition Ready.";
    let mut family = encoder.encode_descriptor("domains", help, None, MetricType::Gauge)?;
    for ((phase, reason), total) in totals {
        gauge(&mut family, &[("phase", phase), ("reason", reason)], total)?;
    }
    Ok(())
}

fn encode_info(objects: &BTreeMap<(String, String), ObjectState>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Always 1, with the phase of each SendingDomain and the reasons of its Ready and RecordsSynced.";
    let mut family = encoder.encode_descriptor("info", help, None, MetricType::Gauge)?;
    let word = |reason: Option<Reason>| reason.map_or(NO_REASON, Reason::as_str);
    for ((namespace, name), state) in objects {
        let labels = [
            ("namespace", namespace.as_str()),
            ("name", name),
            ("phase", phase(state.phase)),
            ("reason", word(state.reason)),
            ("records", word(state.records)),
        ];
        gauge(&mut family, &labels, 1)?;
    }
    Ok(())
}

fn encode_times(
    objects: &BTreeMap<(String, String), ObjectState>,
    encoder: &mut DescriptorEncoder<'_>,
    what: &str,
    help: &str,
    time: impl Fn(&ObjectState) -> Option<Timestamp>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(what, help, Some(&Unit::Seconds), MetricType::Gauge)?;
    for ((namespace, name), state) in objects {
        if let Some(time) = time(state) {
            let labels = [("namespace", namespace.as_str()), ("name", name)];
            gauge(&mut family, &labels, time.as_second())?;
        }
    }
    Ok(())
}

fn gauge<const N: usize>(family: &mut MetricEncoder<'_>, labels: &[(&str, &str); N], value: i64) -> fmt::Result {
    ConstGauge::new(value).encode(family.encode_family(labels)?)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Verified => "Verified",
        Phase::Failed => "Failed",
    }
}
