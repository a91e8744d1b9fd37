//! What every pass shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store;

use super::Guarded;
use crate::api::v1alpha1::SendingDomain;
use crate::dns::cloudflare::{self, MayWrite};
use crate::dns::lookup::Resolver;
use crate::leader::Leadership;
use crate::observe::memory::Memory;
use crate::observe::zone::Zones;
use crate::recorder::Recorder;
use crate::ses;
use crate::ses::client::Account;
use crate::status::schedule::Pace;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::{Liveness, Readiness};
use crate::wake::Wakes;

/// Settings from the flags.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Settings {
    /// `--owner-id`.
    pub owner: String,
    /// `--aws-region`.
    pub region: String,
    /// `--ambient-credentials`.
    pub ambient_credentials: bool,
    /// `--require-namespace-claims`.
    pub require_namespace_claims: bool,
    /// `--allow-adoption`.
    pub allow_adoption: bool,
    /// `--pending-interval` and `--verified-interval`.
    pub pace: Pace,
    /// `--cleanup-grace`.
    pub cleanup_grace: Duration,
    /// `--dry-run`.
    pub dry_run: bool,
}

/// What every pass shares.
pub struct Context {
    /// The API server.
    pub kube: kube::Client,
    /// SES.
    pub ses: Arc<ses::client::Client>,
    /// Whom SES has something new for.
    pub wakes: Wakes,
    /// Cloudflare.
    pub cloudflare: cloudflare::Client,
    /// The zones at Cloudflare.
    pub zones: Zones,
    /// DNS; `None` with `--dns-check off`.
    pub resolver: Option<Resolver>,
    /// Settings from the flags.
    pub settings: Settings,
    /// What is remembered of each object.
    pub memories: Memories,
    /// All objects that are watched, for finding rivals.
    pub stores: Vec<Store<Guarded>>,
    /// How many caches have not listed yet: before, rivals are not known.
    pub unlisted: AtomicUsize,
    /// Ready once every cache has listed.
    pub readiness: Readiness,
    /// Alive while every controller's loop turns.
    pub liveness: Liveness,
    /// Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: Metrics,
    /// The lease, if leaders are elected: no write begins without it.
    pub leadership: Option<Arc<Leadership>>,
}

/// For how long a lease must be good before a write outside begins. A lease is renewed every two seconds and lasts
/// fifteen, so one that has less left is not being renewed. Writes that outlast it are safe to meet those of the next
/// leader: they are conditional on what was read, or refused.
const WRITE_TIMEOUT: Duration = Duration::from_secs(7);

/// The resource that is watched, for probes and metrics.
pub const SENDING_DOMAINS: &str = "sendingdomains";

impl Context {
    /// One more cache has listed for the first time.
    pub fn cache_listed(&self) {
        if self.unlisted.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.readiness.listed(SENDING_DOMAINS);
        }
    }

    /// True once every cache has listed.
    pub fn is_listed(&self) -> bool {
        self.unlisted.load(Ordering::Acquire) == 0
    }

    /// Whether this process may write to the outside, at each time that it is asked.
    pub fn may_write(&self) -> MayWrite {
        let leadership = self.leadership.clone();
        Arc::new(move || leadership.as_ref().is_none_or(|lease| lease.is_valid_for(WRITE_TIMEOUT)))
    }
}

/// What is remembered of each object, by uid. Passes of one object never run at the same time, so the locks are free.
#[derive(Default)]
pub struct Memories {
    objects: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Remembered>>>>,
}

/// What is remembered of one object.
#[derive(Default)]
pub struct Remembered {
    /// What was read and what failed.
    pub memory: Memory,
    /// The object as we wrote it last: the watch may still deliver an older one.
    pub written: Option<SendingDomain>,
    /// The region in which an identity of ours was seen.
    pub region: Option<String>,
    /// The operator's default region was looked into, while only status named another, and has no identity of ours.
    pub default_is_empty: bool,
    /// Since when nothing but what only a person can mend has held the deletion up.
    pub hopeless_since: Option<Timestamp>,
    /// How many passes ended early in a row.
    pub failures: u32,
}

impl Remembered {
    /// `account` with the region in which the identity of `object` was seen: a region in status may have been written
    /// by somebody else, and would have a second identity made there.
    pub fn at_its_place(&self, account: Account, object: &SendingDomain) -> Account {
        match &self.region {
            Some(region) if object.spec.ses.region.is_none() => Account { region: region.clone(), ..account },
            _ => account,
        }
    }
}

impl Memories {
    /// The memory of the object `uid`.
    pub fn of(&self, uid: &str) -> Arc<tokio::sync::Mutex<Remembered>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default().clone()
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Counts a pass that ended early; answers how many did before in a row.
    pub fn failed(&self, uid: Option<&str>) -> u32 {
        let Some(uid) = uid else { return 0 };
        let memory = self.of(uid);
        memory.try_lock().map_or(0, |mut remembered| {
            remembered.failures = remembered.failures.saturating_add(1);
            remembered.failures - 1
        })
    }
}
