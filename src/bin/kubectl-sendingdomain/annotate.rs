//! `reconcile` and `recreate`: the annotations by which a person asks the operator for something.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use sending_domain_operator::api::v1alpha1::{DnsProvider, IdentityOrigin, SendingDomain};
use sending_domain_operator::api::{RECONCILE_AT, RECREATE_AT};
use sending_domain_operator::text::printable;
use serde_json::json;

use crate::args::{Access, NameArgs, RecreateArgs};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::screen::emit;

/// Who has set a field, in `managedFields`.
const FIELD_MANAGER: &str = "kubectl-sendingdomain";

pub async fn reconcile(access: &Access, args: &NameArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::of(access).await?;
    let object = annotate(&cluster, &args.name, &[RECONCILE_AT], None).await?;
    emit(&format!("{} will be looked at now\n", args.name))?;
    warn_if_suspended(&object);
    Ok(Exit::Ok)
}

pub async fn recreate(access: &Access, args: &RecreateArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::of(access).await?;
    let object = cluster.get(&args.name).await?;
    let origin = object.status.as_ref().and_then(|status| status.identity.as_ref()?.origin);
    if origin == Some(IdentityOrigin::Adopted) {
        return Err(Failure::new(
            "the identity was adopted, and the operator never deletes those; give it new keys at SES, or delete it there",
        ));
    }
    if !args.yes && !confirmed(&object)? {
        eprintln!("Nothing was changed.");
        return Ok(Exit::Declined);
    }
    // Only the object that was shown: one of the same name that somebody has made since has not been agreed to.
    // Asked to look as well, so that `wait` knows when it was heeded.
    let object = annotate(&cluster, &args.name, &[RECREATE_AT, RECONCILE_AT], object.metadata.uid.as_deref()).await?;
    emit(&format!("{} gets a new identity; its mail is refused until the new records are verified\n", args.name))?;
    warn_if_suspended(&object);
    if matches!(object.spec.dns_provider(), DnsProvider::Manual) {
        eprintln!(
            "The DKIM records have to be replaced by hand: `kubectl sendingdomain records {}` shows the new ones once SES has made them.",
            args.name
        );
    }
    Ok(Exit::Ok)
}

async fn annotate(
    cluster: &Cluster,
    name: &str,
    annotations: &[&str],
    uid: Option<&str>,
) -> Result<SendingDomain, Failure> {
    let now = Timestamp::now().to_string();
    let annotations: BTreeMap<&str, &str> = annotations.iter().map(|key| (*key, now.as_str())).collect();
    let mut metadata = json!({ "annotations": annotations });
    if let Some(uid) = uid {
        metadata["uid"] = json!(uid);
    }
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    cluster.domains().patch(name, &params, &patch).await.map_err(|error| cluster.failure("patch", name, &error))
}

fn warn_if_suspended(object: &SendingDomain) {
    if object.spec.suspend {
        eprintln!("It is suspended: nothing happens until spec.suspend is false.");
    }
}

/// Asks on the terminal. Without one nobody can agree.
fn confirmed(object: &SendingDomain) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked without a terminal: give --yes if sending may stop"));
    }
    let domain = printable(&object.spec.domain, 253);
    eprint!(
        "This deletes the SES identity of {domain} and makes a new one with other DKIM tokens.\n\
         Mail from {domain} is refused until the new records are in DNS and SES has verified them.\n\
         Type the domain to go on: "
    );
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == object.spec.domain)
}
