//! The requests about the Lease. Each change carries the resourceVersion of what was read, so of two only one succeeds.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;

use super::Settings;
use super::transition::{Observation, first_taken, freed, holder, renewed, taken};

/// How often a release that met somebody else's edit of the Lease is tried again.
const RELEASE_TRIES: u32 = 3;

/// What became of a renewal.
pub(super) enum Renewal {
    /// The Lease as it is now.
    Renewed(Box<Lease>),
    /// It has another holder; empty if it has none.
    TakenBy(String),
}

/// A candidate's or a leader's access to the Lease.
pub(super) struct Claim {
    api: Api<Lease>,
    settings: Settings,
}

impl Claim {
    pub(super) fn new(client: Client, settings: Settings) -> Self {
        Self { api: Api::namespaced(client, &settings.namespace), settings }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the Lease if it is free, and says nothing if it is not, or if somebody else was faster.
    pub(super) async fn take(&self, observation: &mut Observation) -> Result<Option<Lease>, kube::Error> {
        let found = self.api.get_opt(&self.settings.name).await?;
        let now = Instant::now();
        observation.note(found.as_ref().map(spec).as_ref(), now);
        if !observation.is_free_for(&self.settings.identity, self.settings.timing.lease_duration(), now) {
            return Ok(None);
        }
        let won = match found {
            None => self.create().await,
            Some(lease) => {
                let spec = taken(spec(&lease), &self.settings.identity, self.seconds(), wall_clock());
                self.replace(lease, spec).await
            }
        };
        match won {
            // 404 is no race here: the namespace is missing, and somebody should hear of it.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            won => won.map(Some),
        }
    }

    /// Renews the Lease as last seen; should it have changed meanwhile, looks who holds it now.
    pub(super) async fn renew(&self, lease: Lease) -> Result<Renewal, kube::Error> {
        let spec_now = renewed(spec(&lease), self.seconds(), wall_clock());
        match self.replace(lease, spec_now).await {
            Err(error) if is_race(&error) => {}
            renewed => return renewed.map(kept),
        }
        match self.api.get_opt(&self.settings.name).await? {
            // Deleted: candidates wait for as long as it would have lasted, so it is still ours to bring back.
            None => self.create().await.map(kept),
            Some(lease) if holder(&spec(&lease)) == self.settings.identity => {
                let spec = renewed(spec(&lease), self.seconds(), wall_clock());
                self.replace(lease, spec).await.map(kept)
            }
            Some(lease) => Ok(Renewal::TakenBy(holder(&spec(&lease)).to_owned())),
        }
    }

    /// Hands the Lease back if it is ours; false if somebody kept changing it.
    pub(super) async fn release(&self) -> Result<bool, kube::Error> {
        for _ in 0..RELEASE_TRIES {
            let Some(lease) = self.api.get_opt(&self.settings.name).await? else {
                return Ok(true);
            };
            if holder(&spec(&lease)) != self.settings.identity {
                return Ok(true);
            }
            let spec = freed(spec(&lease), wall_clock());
            match self.replace(lease, spec).await {
                Ok(_) => return Ok(true),
                Err(error) if is_race(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    async fn create(&self) -> Result<Lease, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() },
            spec: Some(first_taken(&self.settings.identity, self.seconds(), wall_clock())),
        };
        self.api.create(&PostParams::default(), &lease).await
    }

    async fn replace(&self, lease: Lease, spec: LeaseSpec) -> Result<Lease, kube::Error> {
        let lease = Lease { spec: Some(spec), ..lease };
        self.api.replace(&self.settings.name, &PostParams::default(), &lease).await
    }

    fn seconds(&self) -> i32 {
        self.settings.timing.lease_seconds()
    }
}

fn kept(lease: Lease) -> Renewal {
    Renewal::Renewed(Box::new(lease))
}

fn spec(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().unwrap_or_default()
}

/// For the eyes of people: nothing here reads it back.
fn wall_clock() -> MicroTime {
    MicroTime(Timestamp::now())
}

/// Somebody else created, changed or deleted it in between.
fn is_race(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}
