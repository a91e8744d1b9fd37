//! Why Cloudflare refuses a token: one question to Cloudflare after a refusal, remembered, and never asked before one. An
//! account-owned token is known at its account's address only, so the account is remembered from the zones it showed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::dns::cloudflare::{AccountId, ApiToken, Client, Error, Fingerprint, Kind, TokenStatus, Zone};

/// How long an explanation is good.
const AGE: Duration = Duration::from_mins(5);

/// How many tokens are remembered.
const LIMIT: usize = 1000;

/// An answer, or none, and when it came. Whoever wants it while it is asked for waits for it.
type Explanation = Arc<tokio::sync::Mutex<Option<(Instant, Option<String>)>>>;

/// What is known of tokens beside their zones.
#[derive(Default)]
pub struct Credentials {
    accounts: Mutex<HashMap<Fingerprint, AccountId>>,
    explained: Mutex<HashMap<Fingerprint, Explanation>>,
}

impl Credentials {
    /// Remembers the account of the zones that `token` sees.
    pub fn seen(&self, token: &ApiToken, zones: &[Zone]) {
        if let Some(account) = zones.iter().find_map(|zone| zone.account_id.clone()) {
            let mut accounts = lock(&self.accounts);
            make_room(&mut accounts);
            accounts.insert(token.fingerprint(), account);
        }
    }

    /// Why `token` was refused with `error`, in words that follow the error's; nothing if nobody knows better.
    pub async fn explain(&self, client: &Client, token: &ApiToken, error: &Error) -> Option<String> {
        // A refusal that says more than "invalid" needs no question.
        if error.kind != Kind::InvalidToken || error.detail.is_some() {
            return None;
        }
        let explanation = {
            let mut explained = lock(&self.explained);
            make_room(&mut explained);
            Arc::clone(explained.entry(token.fingerprint()).or_default())
        };
        let mut explanation = explanation.lock().await;
        if let Some((_, words)) = explanation.as_ref().filter(|(at, _)| at.elapsed() < AGE) {
            return words.clone();
        }
        let words = self.ask(client, token).await;
        *explanation = Some((Instant::now(), words.clone()));
        words
    }

    /// Only what is unknown wherever it may belong is unknown to Cloudflare.
    async fn ask(&self, client: &Client, token: &ApiToken) -> Option<String> {
        let account = lock(&self.accounts).get(&token.fingerprint()).cloned();
        let owned = token.is_account_owned();
        let mut is_unknown = owned == Some(false) || account.is_some();
        let users = (owned != Some(true)).then_some(None);
        let accounts = account.as_ref().filter(|_| owned != Some(false)).map(Some);
        for owner in users.into_iter().chain(accounts) {
            match client.verify(token, owner).await {
                Ok(status) => return Some(words(status)),
                Err(error) => is_unknown &= error.kind == Kind::InvalidToken,
            }
        }
        is_unknown.then(|| "Cloudflare does not know it: it was deleted or rolled, or was not copied whole".to_owned())
    }
}

fn words(status: TokenStatus) -> String {
    match status {
        TokenStatus::Expired(Some(at)) => format!("it expired on {}", at.strftime("%Y-%m-%d")),
        TokenStatus::Expired(None) => "it has expired".to_owned(),
        TokenStatus::Disabled => "it is disabled at Cloudflare".to_owned(),
        TokenStatus::NotYet(at) => format!("it may not be used before {at}"),
        TokenStatus::Active | TokenStatus::Other => {
            "Cloudflare calls the token itself active, so look at its client IP address filter and its resources"
                .to_owned()
        }
    }
}

/// Keeps what is known of each token from growing without end.
pub(super) fn make_room<T>(map: &mut HashMap<Fingerprint, T>) {
    if map.len() >= LIMIT {
        // Tokens that were rotated away. What is forgotten costs one call.
        map.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
