//! The levers of the simulator, for tests and for the admin interface.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::auth::{Role, named_user};
use super::create::{remove, valid_name};
use super::fault::Failure;
use super::identity::Identity;
use super::machine::{Process, Status};
use super::operation::Operation;
use super::schedule::Shared;
use super::settings::Settings;
use super::state::{Call, DEFAULT_ACCOUNT, Place};
use super::view::IdentityView;

/// Everything one can do to the simulator behind its clients' backs.
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

impl Control {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The virtual clock.
    pub fn now(&self) -> Timestamp {
        self.0.state().clock.now()
    }

    /// Moves the clock on and makes all the looks that fall due on the way.
    pub async fn advance(&self, step: Duration) {
        self.0.advance(step).await;
    }

    /// Looks at once at every identity that is looked at at all.
    pub async fn look_now(&self) {
        self.0.look_now().await;
    }

    /// How fast the clock runs: 1 is real time, 0 stops it (then only [`Control::advance`] moves it).
    pub fn set_clock_rate(&self, rate: f64) {
        self.0.state().clock.set_rate(rate);
    }

    /// How fast the clock runs.
    pub fn clock_rate(&self) -> f64 {
        self.0.state().clock.rate()
    }

    /// The settings as they are.
    pub fn settings(&self) -> Settings {
        self.0.state().settings.clone()
    }

    /// Changes settings. A shorter check interval holds at once, also for looks that were planned for later.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        let mut state = self.0.state();
        change(&mut state.settings);
        state.hasten_looks();
    }

    /// What [`DEFAULT_ACCOUNT`] has in a region.
    pub fn region(&self, region: &str) -> Region {
        self.account_region(DEFAULT_ACCOUNT, region)
    }

    /// What an account has in a region.
    pub fn account_region(&self, account: &str, region: &str) -> Region {
        let place = Place { account: account.to_owned(), region: region.to_owned() };
        Region { shared: Arc::clone(&self.0), place }
    }

    /// An identity of [`DEFAULT_ACCOUNT`].
    pub fn identity(&self, region: &str, name: &str) -> Option<IdentityView> {
        self.region(region).identity(name)
    }

    /// All identities, of all accounts and regions.
    pub fn identities(&self) -> Vec<IdentityView> {
        let state = self.0.state();
        let stores = state.stores.iter();
        let each = stores.flat_map(|(place, store)| store.identities.values().map(move |identity| (place, identity)));
        each.map(|(place, identity)| IdentityView::of(identity, place, &state.settings)).collect()
    }

    /// The next `count` requests fail.
    pub fn fail_next(&self, count: u32, failure: Failure) {
        self.0.state().faults.add(None, count, failure);
    }

    /// The next `count` requests for one operation fail.
    pub fn fail_next_for(&self, operation: Operation, count: u32, failure: Failure) {
        self.0.state().faults.add(Some(operation), count, failure);
    }

    /// No more failures than those that have happened.
    pub fn clear_failures(&self) {
        self.0.state().faults.clear();
    }

    /// Nobody may do this any more; of [`Operation::TagResource`] also tags at creation.
    pub fn deny(&self, operation: Operation) {
        self.0.state().denied.insert(operation);
    }

    /// Takes back [`Control::deny`].
    pub fn allow(&self, operation: Operation) {
        self.0.state().denied.remove(&operation);
    }

    /// A role that can be assumed; with an external id only by who names it.
    pub fn add_role(&self, arn: &str, external_id: Option<&str>) {
        let role = Role { arn: arn.to_owned(), external_id: external_id.map(str::to_owned) };
        self.0.state().roles.insert(role.arn.clone(), role);
    }

    /// A role that can no longer be assumed.
    pub fn remove_role(&self, arn: &str) {
        self.0.state().roles.remove(arn);
    }

    /// Makes an access key belong to another account than [`DEFAULT_ACCOUNT`].
    pub fn add_access_key(&self, access_key: &str, account: &str) {
        self.0.state().principals.insert(access_key.to_owned(), named_user(access_key, account));
    }

    /// An access key that is refused from now on.
    pub fn revoke_access_key(&self, access_key: &str) {
        self.0.state().revoked_keys.insert(access_key.to_owned());
    }

    /// All role sessions handed out so far are over.
    pub fn expire_sessions(&self) {
        for principal in self.0.state().principals.values_mut() {
            if let Some((_, expires)) = &mut principal.session {
                *expires = Timestamp::UNIX_EPOCH;
            }
        }
    }

    /// The requests so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.0.state().calls.clone()
    }

    /// Forgets the requests so far.
    pub fn reset_calls(&self) {
        self.0.state().calls.clear();
    }
}

/// One account in one region.
#[derive(Debug, Clone)]
pub struct Region {
    shared: Arc<Shared>,
    place: Place,
}

impl Region {
    /// The identity, if there is one.
    pub fn identity(&self, name: &str) -> Option<IdentityView> {
        let state = self.shared.state();
        let identity = state.stores.get(&self.place)?.identities.get(&name.to_ascii_lowercase())?;
        Some(IdentityView::of(identity, &self.place, &state.settings))
    }

    /// An identity that somebody else has made; `None` if the name is none. A verified one is left alone by the looks
    /// until a put restarts it or [`Region::set_pinned`] lets go of it.
    pub fn put_foreign_identity(
        &self,
        name: &str,
        tags: &BTreeMap<String, String>,
        verified: bool,
    ) -> Option<IdentityView> {
        let name = valid_name(name).ok()?;
        {
            let mut state = self.shared.state();
            let (now, interval) = (state.clock.now(), state.settings.check_interval);
            let mut identity = Identity::new(&name, now, interval);
            identity.tags.clone_from(tags);
            if verified {
                identity.force_dkim(Status::Success, now);
                identity.pinned = true;
            }
            state.store(&self.place).identities.insert(name.clone(), identity);
        }
        self.identity(&name)
    }

    /// Deletes an identity behind everybody's back; whether there was one.
    pub fn delete_identity(&self, name: &str) -> bool {
        remove(&mut self.shared.state(), &self.place, name)
    }

    /// Sets the DKIM status and with it that of the verification; whether there is such an identity.
    pub fn set_dkim_status(&self, name: &str, status: Status) -> bool {
        self.change(name, |identity, now| identity.force_dkim(status, now))
    }

    /// Sets the MAIL FROM status; whether there is such an identity with a MAIL FROM domain.
    pub fn set_mail_from_status(&self, name: &str, status: Status) -> bool {
        let mut set = false;
        self.change(name, |identity, now| {
            if let Some(mail_from) = &mut identity.mail_from {
                mail_from.process = Process::at(status, now);
                set = true;
            }
        });
        set
    }

    /// Replaces the tags; whether there is such an identity.
    pub fn set_tags(&self, name: &str, tags: &BTreeMap<String, String>) -> bool {
        self.change(name, |identity, _| identity.tags.clone_from(tags))
    }

    /// Whether the looks leave the identity as it is; whether there is such an identity.
    pub fn set_pinned(&self, name: &str, pinned: bool) -> bool {
        self.change(name, |identity, _| identity.pinned = pinned)
    }

    /// Makes a configuration set.
    pub fn create_configuration_set(&self, name: &str) {
        self.shared.state().store(&self.place).configuration_sets.entry(name.to_owned()).or_default();
    }

    /// Deletes a configuration set; whether there was one.
    pub fn delete_configuration_set(&self, name: &str) -> bool {
        self.shared.state().store(&self.place).configuration_sets.remove(name).is_some()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Identity, Timestamp)) -> bool {
        let mut state = self.shared.state();
        let now = state.clock.now();
        let identity = state.identity(&self.place, name);
        identity.map(|identity| change(identity, now)).is_some()
    }
}
