//! Keeps the inventory up to date, and the lines moving: the part of the client that goes on between the passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use tracing::{debug, warn};

use super::client::{Account, Caller, Client};
use super::error::{Error, Kind};
use super::inventory::{Listing, Seen};
use super::line::Asker;
use crate::error::ErrorClass;

/// How often it is looked whether a listing is due.
const TICK: Duration = Duration::from_millis(250);
/// How long a pass waits for the first listing of its account.
const FIRST_LISTING: Duration = Duration::from_secs(3);
/// How long a listing waits until it asks for its turn again.
const AGAIN: Duration = Duration::from_millis(250);
/// More pages than any quota of identities fills: an account with more of them is read identity by identity.
const PAGES: u32 = 25;

impl Client {
    /// What the last listing says of `domain`; see [`super::inventory::Inventory::look`]. Waits a moment for the first one.
    pub async fn look(&self, by: Caller<'_>, domain: &str, wants: Duration) -> Seen {
        let deadline = tokio::time::Instant::now() + FIRST_LISTING;
        loop {
            let listed = self.listed.notified();
            let seen = self.inventory().look(by.account, by.asker, domain, wants, Instant::now());
            if seen != Seen::NotYet {
                return seen;
            }
            self.wanted.notify_one();
            if tokio::time::timeout_at(deadline, listed).await.is_err() {
                return Seen::NotYet;
            }
        }
    }

    /// A pass of `asker` has ended: turns that it did not ask for are not wanted any more.
    pub fn pass_ended(&self, asker: &Asker) {
        self.budgets().values().for_each(|budget| budget.pass_ended(asker));
    }

    /// `asker` is gone, suspended or another operator's.
    pub fn forget(&self, asker: &Asker) {
        self.budgets().values().for_each(|budget| budget.forget(asker));
        self.inventory().forget(asker);
    }

    /// Lists what is due, for as long as it is polled.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let _ = tokio::time::timeout(TICK, self.wanted.notified()).await;
            self.budgets().values().for_each(|budget| budget.call_up());
            let due = self.inventory().due(Instant::now(), |account| {
                self.known_budget(account).map_or((Duration::ZERO, Duration::ZERO), |b| (b.pace(), b.backlog()))
            });
            for account in due {
                let client = self.clone();
                tokio::spawn(async move { client.refresh(&account).await });
            }
        }
    }

    async fn refresh(&self, account: &Account) {
        let told = match self.list(account).await {
            Ok(listing) => {
                debug!(region = account.region, domains = listing.entries.len(), pages = listing.pages, "listed");
                self.inventory().learn(account, listing, Instant::now())
            }
            Err(error) => {
                let refused = error.class() == ErrorClass::Terminal;
                if refused {
                    warn!(region = account.region, %error, "SES cannot be asked for a listing; every identity is read by itself");
                }
                self.inventory().failed(account, refused, Instant::now())
            }
        };
        self.listed.notify_waiters();
        for asker in told {
            self.wakes.wake(&asker);
        }
    }

    async fn list(&self, account: &Account) -> Result<Listing, Error> {
        let asker = Asker { namespace: String::new(), name: format!("{account:?}") };
        let by = Caller { account, asker: &asker };
        let (mut listing, mut token) = (Listing::begun(Timestamp::now()), None);
        loop {
            let page = match self.list_page(by, token.as_deref()).await {
                Err(error) if error.kind == Kind::NoBudget => {
                    tokio::time::sleep(AGAIN).await;
                    if listing.pages == 0 {
                        listing = Listing::begun(Timestamp::now());
                    }
                    continue;
                }
                page => page?,
            };
            listing.pages += 1;
            listing.entries.extend(page.entries);
            token = page.next;
            if token.is_none() {
                return Ok(listing);
            }
            if listing.pages >= PAGES {
                let detail = format!("the account has more than {PAGES} pages of identities");
                return Err(Error::rejected("ListEmailIdentities", detail));
            }
        }
    }
}
