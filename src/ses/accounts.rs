//! The accounts in use: their clients, each with its credentials, and whose rate of requests they share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_sesv2::Client as Sdk;

/// With whose credentials, and where, an identity is managed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The AWS region.
    pub region: String,
    /// The role to assume, with its ExternalId; `None` for the operator's own credentials.
    pub role: Option<Role>,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// `<owner-id>/<namespace>`: a role can trust one namespace only.
    pub external_id: String,
}

impl Account {
    /// True if both manage identities of the same AWS account and region, as far as the spec tells.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.principal(None) == other.principal(None)
    }

    /// Whose limit of requests is used: the AWS account and the region. `home` is the account of the operator's own
    /// credentials, where it is known: a role in it shares its limit.
    pub(super) fn principal(&self, home: Option<&str>) -> String {
        let account = self.role.as_ref().and_then(|role| role.arn.split(':').nth(4)).filter(|id| Some(*id) != home);
        format!("{}/{}", account.unwrap_or("ambient"), self.region)
    }
}

/// So many clients are kept: each has a cache of credentials and connections of its own, and tenants choose the roles.
const CLIENTS: usize = 256;

/// How long a session is used at least: whoever is denied for good does not have the role assumed with every request.
const SESSION: Duration = Duration::from_secs(10);

struct Kept {
    client: Sdk,
    made: Instant,
    used: u64,
}

/// The clients of the accounts in use. Credentials are cached per client, so there is one client per account and never
/// one per pass; the one that was not used for longest goes when there are too many.
#[derive(Default)]
pub(super) struct Clients {
    clients: HashMap<Account, Kept>,
    uses: u64,
}

impl Clients {
    /// The client of `account`, if there is one.
    pub(super) fn get(&mut self, account: &Account) -> Option<Sdk> {
        self.uses += 1;
        let kept = self.clients.get_mut(account)?;
        kept.used = self.uses;
        Some(kept.client.clone())
    }

    /// Keeps the client of `account`.
    pub(super) fn insert(&mut self, account: Account, client: Sdk) {
        if self.clients.len() >= CLIENTS
            && let Some(idle) = self.clients.iter().min_by_key(|(_, kept)| kept.used).map(|(idle, _)| idle.clone())
        {
            self.clients.remove(&idle);
        }
        self.uses += 1;
        self.clients.insert(account, Kept { client, made: Instant::now(), used: self.uses });
    }

    /// Lets go of the session of `account`, which AWS has refused: it may have been revoked, and the SDK would use it until it
    /// expires. The role is assumed anew with the next request.
    pub(super) fn refused(&mut self, account: &Account, now: Instant) {
        let is_old = |kept: &Kept| now.saturating_duration_since(kept.made) >= SESSION;
        if account.role.is_some() && self.clients.get(account).is_some_and(is_old) {
            self.clients.remove(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(role: Option<&str>) -> Account {
        let role = role.map(|arn| Role { arn: arn.to_owned(), external_id: "o/n".to_owned() });
        Account { region: "eu-west-1".to_owned(), role }
    }

    #[test]
    fn a_role_in_the_operators_own_account_shares_its_limit() {
        let (own, role) = (account(None), account(Some("arn:aws:iam::111122223333:role/mail")));
        assert_eq!(role.principal(Some("111122223333")), own.principal(Some("111122223333")));
        assert_ne!(role.principal(Some("444455556666")), own.principal(Some("444455556666")));
        assert_ne!(role.principal(None), own.principal(None));
        assert_eq!(role.principal(None), account(Some("arn:aws:iam::111122223333:role/other")).principal(None));
    }

    #[test]
    fn the_client_that_was_not_used_for_longest_goes() {
        let mut clients = Clients::default();
        let of = |n: usize| Account { region: format!("region-{n}"), role: None };
        let config = aws_sdk_sesv2::Config::builder().behavior_version_latest().build();
        for n in 0..CLIENTS {
            clients.insert(of(n), Sdk::from_conf(config.clone()));
        }
        assert!(clients.get(&of(0)).is_some());
        clients.insert(of(CLIENTS), Sdk::from_conf(config));
        assert!(clients.get(&of(1)).is_none());
        assert!(clients.get(&of(0)).is_some() && clients.get(&of(CLIENTS)).is_some());
    }

    #[test]
    fn a_refused_session_is_not_used_again_and_not_renewed_with_every_request() {
        let mut clients = Clients::default();
        let (own, role) = (account(None), account(Some("arn:aws:iam::111122223333:role/mail")));
        let config = aws_sdk_sesv2::Config::builder().behavior_version_latest().build();
        for account in [&own, &role] {
            clients.insert(account.clone(), Sdk::from_conf(config.clone()));
        }
        clients.refused(&role, Instant::now());
        assert!(clients.get(&role).is_some(), "just made");
        for account in [&own, &role] {
            clients.refused(account, Instant::now() + SESSION);
        }
        assert!(clients.get(&role).is_none());
        assert!(clients.get(&own).is_some(), "the operator's own are renewed by the SDK");
    }
}
