//! Who else wants the same domain or the same MAIL FROM domain. The oldest object has it; age is decided by the creation
//! time, then by the uid.

use kube::ResourceExt;

use super::context::Context;
use crate::api::v1alpha1::SendingDomain;
use crate::observe::observation::Rivals;
use crate::ses::client::Account;

/// Finds the older objects that want what `object` wants.
pub fn rivals(object: &SendingDomain, account: &Account, context: &Context) -> Rivals {
    let mut rivals = Rivals::default();
    for store in &context.stores {
        for other in store.state() {
            let Ok(other) = &other.0 else { continue };
            if other.uid() == object.uid() || other.spec.domain != object.spec.domain || !is_older(other, object) {
                continue;
            }
            let theirs = super::pass::account(other, context);
            if theirs.is_same_place(account) {
                if other.namespace() == object.namespace() {
                    rivals.domain_holder_here.get_or_insert_with(|| other.name_any());
                } else {
                    rivals.domain_held_elsewhere = true;
                }
            } else if other.spec.mail_from_domain() == object.spec.mail_from_domain() {
                rivals.mail_from_taken = true;
            }
        }
    }
    rivals
}

fn is_older(other: &SendingDomain, object: &SendingDomain) -> bool {
    let age = |o: &SendingDomain| (o.creation_timestamp().map(|t| t.0), o.uid());
    age(other) < age(object)
}
