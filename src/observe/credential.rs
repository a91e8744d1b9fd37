//! Why Cloudflare refuses a token: one question to Cloudflare after a refusal, remembered, and never asked before one. An
//! account-owned token is known at its account's address only, so the account is remembered from the zones it showed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::dns::cloudflare::{AccountId, ApiToken, Client, Error, Fingerprint, Kind, TokenStatus, Zone};

/// How long an explanation is good.
const AGE: Duration = Duration::from_mins(5);

/// How many tokens are remembered.
const LIMIT: usize = 1000;

/// What is known of tokens beside their zones.
#[derive(Default)]
pub struct Credentials {
    accounts: Mutex<HashMap<Fingerprint, AccountId>>,
    explained: Mutex<HashMap<Fingerprint, (Instant, Option<String>)>>,
}

impl Credentials {
    /// Remembers the account of the zones that `token` sees.
    pub fn seen(&self, token: &ApiToken, zones: &[Zone]) {
        if let Some(account) = zones.iter().find_map(|zone| zone.account_id.clone()) {
            insert(&self.accounts, token, account);
        }
    }

    /// Why `token` was refused with `error`, in words that follow the error's; nothing if nobody knows better.
    pub async fn explain(&self, client: &Client, token: &ApiToken, error: &Error) -> Option<String> {
        // A refusal that says more than "invalid" needs no question.
        if error.kind != Kind::InvalidToken || error.detail.is_some() {
            return None;
        }
        let known = lock(&self.explained).get(&token.fingerprint()).filter(|(at, _)| at.elapsed() < AGE).cloned();
        if let Some((_, words)) = known {
            return words;
        }
        let words = self.ask(client, token).await;
        insert(&self.explained, token, (Instant::now(), words.clone()));
        words
    }

    async fn ask(&self, client: &Client, token: &ApiToken) -> Option<String> {
        let account = lock(&self.accounts).get(&token.fingerprint()).cloned();
        let owned = token.is_account_owned();
        let mut unknown = false;
        if owned != Some(true) {
            match client.verify(token, None).await {
                Ok(status) => return Some(words(status)),
                Err(error) => unknown = error.kind == Kind::InvalidToken,
            }
        }
        if let Some(account) = account.filter(|_| owned != Some(false)) {
            match client.verify(token, Some(&account)).await {
                Ok(status) => return Some(words(status)),
                Err(error) => unknown = error.kind == Kind::InvalidToken,
            }
        }
        unknown.then(|| "Cloudflare does not know it: it was deleted or rolled, or was not copied whole".to_owned())
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

fn insert<T>(map: &Mutex<HashMap<Fingerprint, T>>, token: &ApiToken, value: T) {
    let mut map = lock(map);
    if map.len() >= LIMIT {
        // Tokens that were rotated away. What is forgotten costs one call.
        map.clear();
    }
    map.insert(token.fingerprint(), value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
