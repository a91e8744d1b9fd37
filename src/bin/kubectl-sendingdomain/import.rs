//! `import`: the domain identities that are at SES already, as manifests that adopt them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use aws_sdk_sesv2::types::{BehaviorOnMxFailure, DkimSigningAttributesOrigin, MailFromAttributes};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use sending_domain_operator::ownership::TAG_PREFIX;
use sending_domain_operator::plan::identity::TAG_ADOPTABLE_BY;
use sending_domain_operator::ses::error::Kind;
use sending_domain_operator::text::printable;
use serde_json::{Map, Value, json};

use crate::args::{Access, ImportArgs};
use crate::aws::{Aws, AwsError, Caller};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::screen::{Progress, emit};

/// What stands in the command where the owner id is not known.
const UNKNOWN_OWNER: &str = "OWNER-ID";
/// The variable beside the operator's --owner-id.
const OWNER_VARIABLE: &str = "SENDING_DOMAIN_OPERATOR_OWNER_ID";

pub async fn run(access: &Access, args: &ImportArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::of(access).await;
    let namespace = match (&access.namespace, &cluster) {
        (Some(namespace), _) => namespace.clone(),
        (None, Ok(cluster)) => cluster.namespace.clone(),
        (None, Err(_)) => "default".to_owned(),
    };
    let owner = match &args.owner_id {
        Some(owner) => owner.clone(),
        None => owner_id(cluster.as_ref().ok(), &args.operator_namespace).await,
    };
    let aws = Aws::load().await.map_err(Failure::new)?;
    let mut progress = Progress::new();
    let (mut names, mut count, mut unread) = (BTreeSet::new(), 0, Vec::new());
    for region in &args.region {
        progress.show("", &format!("Listing the identities of {region}"));
        let listed = async { Ok((aws.caller(region).await?, aws.domains(region, args.contains.as_deref()).await?)) };
        let (caller, domains) = match listed.await {
            Ok(listed) => listed,
            Err(error) => {
                let error: AwsError = error;
                unread.push(format!("all of {region}: {error}"));
                continue;
            }
        };
        let target = Target { namespace: &namespace, owner: &owner, region, caller: &caller };
        for (index, domain) in domains.iter().enumerate() {
            progress
                .show(&format!("[{}/{}]", index + 1, domains.len()), &format!("Reading the identities of {region}"));
            match aws.identity(region, domain).await {
                Ok(identity) => {
                    // At once: what comes later may fail, and a hundred take minutes.
                    let document = target.document(domain, &identity, &mut names)?;
                    progress.clear();
                    emit(&document)?;
                    count += 1;
                }
                // Deleted since it was listed.
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) if error.is_the_same_for_all() => {
                    unread.push(format!("{} more of {region}: {error}", domains.len() - index));
                    break;
                }
                Err(error) => unread.push(format!("{} ({region}): {error}", printable(domain, 253))),
            }
        }
    }
    progress.clear();
    if !unread.is_empty() {
        // A line for each: there may be hundreds.
        for what in &unread {
            eprintln!("not read: {what}");
        }
        return Err(Failure::new(
            "not all identities were read; what could be is printed, and the others are named above",
        ));
    }
    if count == 0 {
        eprintln!("No domain identities in {}.", args.region.join(", "));
    }
    Ok(Exit::Ok)
}

/// The operator's own, as its Deployment says it; else its default, as far as the cluster tells. Said where it is a guess.
async fn owner_id(cluster: Option<&Cluster>, namespace: &str) -> String {
    let operators = match cluster {
        Some(cluster) => cluster.operators(namespace).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let owners: BTreeSet<Owner> = operators.iter().map(owner_of).collect();
    let told = if owners.len() == 1 { owners.into_iter().next() } else { None };
    if let Some(Owner::Named(owner)) = told {
        return owner;
    }
    let uid = match cluster {
        Some(cluster) => {
            let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
            namespaces.get("kube-system").await.ok().and_then(|namespace| namespace.metadata.uid)
        }
        None => None,
    };
    match uid {
        Some(uid) if told == Some(Owner::Default) => uid,
        Some(uid) => {
            eprintln!(
                "No one Deployment of the operator in {namespace} tells its owner id: it is taken to be {uid}, which is so without \
                 --owner-id. Give --operator-namespace or --owner-id if it is another."
            );
            uid
        }
        None => {
            eprintln!(
                "Put the operator's --owner-id in place of {UNKNOWN_OWNER}; without that flag it is the UID of the namespace kube-system."
            );
            UNKNOWN_OWNER.to_owned()
        }
    }
}

/// What a Deployment tells of the owner id of its pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Named(String),
    /// Nothing is set.
    Default,
    /// It is set, and by something that does not stand here: another object, or a variable.
    Elsewhere,
}

impl Owner {
    fn of(value: &str) -> Self {
        if value.contains("$(") { Self::Elsewhere } else { Self::Named(value.to_owned()) }
    }
}

/// `--owner-id` or its environment variable, as the pods get them; the flag wins, and the last of several.
fn owner_of(deployment: &Deployment) -> Owner {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let mut told = containers.iter().map(|container| {
        let args: Vec<&String> = container.command.iter().chain(&container.args).flatten().collect();
        let mut flags = args.iter().enumerate().filter_map(|(at, arg)| match arg.strip_prefix("--owner-id")? {
            "" => args.get(at + 1).map(|value| value.as_str()),
            rest => rest.strip_prefix('='),
        });
        if let Some(flag) = flags.next_back() {
            return Owner::of(flag);
        }
        let variable = container.env.iter().flatten().rfind(|variable| variable.name == OWNER_VARIABLE);
        match variable.map(|variable| (variable.value.as_deref().unwrap_or_default(), &variable.value_from)) {
            Some((_, Some(_))) => Owner::Elsewhere,
            Some((value, None)) if !value.is_empty() => Owner::of(value),
            _ if container.env_from.as_ref().is_some_and(|from| !from.is_empty()) => Owner::Elsewhere,
            _ => Owner::Default,
        }
    });
    // A container beside it says nothing.
    told.find(|owner| *owner != Owner::Default).unwrap_or(Owner::Default)
}

/// Where the manifests go, and where the identities are.
struct Target<'a> {
    namespace: &'a str,
    owner: &'a str,
    region: &'a str,
    caller: &'a Caller,
}

impl Target<'_> {
    /// The manifest with the words above it; words alone for what cannot be adopted.
    fn document(
        &self,
        domain: &str,
        identity: &GetEmailIdentityOutput,
        names: &mut BTreeSet<String>,
    ) -> Result<String, Failure> {
        let shown = printable(domain, 253);
        let why =
            if is_plain(domain) { refused(identity) } else { Some("its name is none that a SendingDomain can have") };
        if let Some(why) = why {
            return Ok(format!("# {shown} ({}): left out, {why}\n", self.region));
        }
        let (manifest, notes) = self.manifest(domain, identity, names);
        let yaml = serde_yaml::to_string(&manifest).map_err(|error| Failure::new(error.to_string()))?;
        let mut text = String::from("---\n");
        for note in notes {
            let _ = writeln!(text, "# {note}");
        }
        let _ = writeln!(
            text,
            "# Let this namespace adopt it:\n#   aws sesv2 tag-resource --region {} --resource-arn {} \\\n#     --tags Key={TAG_ADOPTABLE_BY},Value={}/{}",
            self.region,
            self.caller.identity_arn(self.region, &shown),
            self.owner,
            self.namespace
        );
        Ok(text + &yaml)
    }

    fn manifest(
        &self,
        domain: &str,
        identity: &GetEmailIdentityOutput,
        names: &mut BTreeSet<String>,
    ) -> (Value, Vec<String>) {
        let mut ses = json!({"region": self.region, "adoptionPolicy": "Adopt"});
        if let Some(set) = identity.configuration_set_name().filter(|set| !set.is_empty()) {
            ses["configurationSet"] = json!(printable(set, 64));
        }
        let (mail_from, notes) = mail_from(domain, identity);
        let mut spec = Map::from_iter([("domain".to_owned(), json!(domain)), ("ses".to_owned(), ses)]);
        if let Some(mail_from) = mail_from {
            spec.insert("mailFrom".to_owned(), mail_from);
        }
        let manifest = json!({
            "apiVersion": "sendingdomain.dev/v1alpha1",
            "kind": "SendingDomain",
            "metadata": {"name": name(domain, self.region, names), "namespace": self.namespace},
            "spec": spec,
        });
        (manifest, notes)
    }
}

/// True for what the CRD takes as `spec.domain`: letters, digits and hyphens.
fn is_plain(domain: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    domain.len() <= 209 && domain.contains('.') && domain.split('.').all(label)
}

/// Why the identity cannot be adopted.
fn refused(identity: &GetEmailIdentityOutput) -> Option<&'static str> {
    let dkim = identity.dkim_attributes();
    if identity.tags().iter().any(|tag| tag.key().starts_with(TAG_PREFIX) && tag.key() != TAG_ADOPTABLE_BY) {
        return Some("an operator manages it already (its tags sendingdomain.dev/… say which)");
    }
    if dkim.and_then(|dkim| dkim.signing_attributes_origin()) == Some(&DkimSigningAttributesOrigin::External) {
        return Some("it brings its own DKIM key (BYODKIM), which is never changed");
    }
    if dkim.is_none_or(|dkim| dkim.tokens().len() != 3) {
        return Some("it has no three tokens of Easy DKIM");
    }
    None
}

/// `spec.mailFrom`, and what to know before it is applied.
fn mail_from(domain: &str, identity: &GetEmailIdentityOutput) -> (Option<Value>, Vec<String>) {
    let attributes = identity.mail_from_attributes();
    let current = attributes.map(|a| a.mail_from_domain().to_ascii_lowercase()).filter(|name| !name.is_empty());
    let Some(current) = current else {
        return (
            None,
            vec![format!("It has no MAIL FROM domain; it gets bounce.{domain} once its records are there.")],
        );
    };
    let label = current.strip_suffix(&format!(".{domain}")).filter(|label| !label.is_empty() && !label.contains('.'));
    let Some(label) = label else {
        let note = format!(
            "Its MAIL FROM domain {} is not one label below the domain; it becomes bounce.{domain} once its records are there.",
            printable(&current, 253)
        );
        return (None, vec![note]);
    };
    let mut spec = json!({ "subdomain": label });
    if attributes.map(MailFromAttributes::behavior_on_mx_failure) == Some(&BehaviorOnMxFailure::RejectMessage) {
        spec["onMxFailure"] = json!("RejectMessage");
    }
    (Some(spec), Vec::new())
}

/// A name for the object that no other one of this run has.
fn name(domain: &str, region: &str, names: &mut BTreeSet<String>) -> String {
    let plain = domain.replace('.', "-");
    let candidates = [plain.clone(), format!("{plain}-{region}")].into_iter();
    let mut candidates = candidates.chain((2..).map(|n| format!("{plain}-{n}")));
    candidates.find(|name| names.insert(name.clone())).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sesv2::types::{DkimAttributes, DkimStatus, MailFromDomainStatus, Tag};

    use super::*;

    fn identity(origin: DkimSigningAttributesOrigin, mail_from: &str, tag: Option<&str>) -> GetEmailIdentityOutput {
        let dkim = DkimAttributes::builder()
            .status(DkimStatus::Success)
            .signing_attributes_origin(origin)
            .set_tokens(Some(["a", "b", "c"].map(str::to_owned).to_vec()))
            .build();
        let mail_from = MailFromAttributes::builder()
            .mail_from_domain(mail_from)
            .mail_from_domain_status(MailFromDomainStatus::Success)
            .behavior_on_mx_failure(BehaviorOnMxFailure::RejectMessage)
            .build()
            .unwrap();
        let tags = tag.map(|key| Tag::builder().key(key).value("v").build().unwrap());
        GetEmailIdentityOutput::builder()
            .dkim_attributes(dkim)
            .mail_from_attributes(mail_from)
            .configuration_set_name("bulk")
            .set_tags(Some(tags.into_iter().collect()))
            .build()
    }

    fn document(domain: &str, identity: &GetEmailIdentityOutput) -> String {
        let caller =
            Caller { account: "111122223333".to_owned(), arn: "arn:aws-cn:iam::111122223333:user/x".to_owned() };
        let target = Target { namespace: "mail", owner: "my-cluster", region: "eu-west-1", caller: &caller };
        target.document(domain, identity, &mut BTreeSet::new()).unwrap()
    }

    #[test]
    fn an_identity_becomes_a_manifest_with_the_command_that_allows_it() {
        let easy = DkimSigningAttributesOrigin::AwsSes;
        insta::assert_snapshot!(document("mail.example.com", &identity(easy.clone(), "sp.mail.example.com", None)));
        let elsewhere = document("mail.example.com", &identity(easy, "sp.other.example", None));
        assert!(elsewhere.contains("# Its MAIL FROM domain sp.other.example is not one label"), "{elsewhere}");
        assert!(!elsewhere.contains("mailFrom:"), "{elsewhere}");
    }

    #[test]
    fn what_cannot_be_adopted_is_named_and_left_out() {
        let managed =
            identity(DkimSigningAttributesOrigin::AwsSes, "sp.mail.example.com", Some("sendingdomain.dev/owner"));
        let byodkim = identity(DkimSigningAttributesOrigin::External, "sp.mail.example.com", None);
        for (identity, why) in [(managed, "manages it already"), (byodkim, "BYODKIM")] {
            let text = document("mail.example.com", &identity);
            assert!(text.starts_with("# mail.example.com (eu-west-1): left out") && text.contains(why), "{text}");
            assert_eq!(text.lines().count(), 1);
        }
        let allowed = identity(DkimSigningAttributesOrigin::AwsSes, "sp.mail.example.com", Some(TAG_ADOPTABLE_BY));
        for name in ["_x.example.com", "mail.example.com\u{202e}", "localhost", "a..b"] {
            assert!(document(name, &allowed).contains("none that a SendingDomain can have"), "{name}");
        }
        assert!(document("mail.example.com", &allowed).contains("kind: SendingDomain"));
    }

    #[test]
    fn the_owner_id_is_that_of_the_deployment() {
        let of = |container: Value| {
            let containers = [container, json!({"name": "beside", "args": ["--other=x"]})];
            let deployment = json!({"spec": {"selector": {}, "template": {"spec": {"containers": containers}}}});
            owner_of(&serde_json::from_value(deployment).unwrap())
        };
        let named = |owner: &str| Owner::Named(owner.to_owned());
        let variable = json!([{"name": OWNER_VARIABLE, "value": "second"}]);
        let both = json!({"name": "o", "args": ["run", "--owner-id=first"], "env": variable});
        assert_eq!(of(both), named("first"));
        assert_eq!(of(json!({"name": "o", "args": ["run"], "env": variable})), named("second"));
        assert_eq!(of(json!({"name": "o", "args": ["--owner-id=chart", "--owner-id", "extra"]})), named("extra"));
        assert_eq!(of(json!({"name": "o", "args": ["run", "--dry-run"]})), Owner::Default);
        let reference = json!([{"name": OWNER_VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]);
        assert_eq!(of(json!({"name": "o", "env": reference})), Owner::Elsewhere);
        assert_eq!(of(json!({"name": "o", "envFrom": [{"configMapRef": {"name": "c"}}]})), Owner::Elsewhere);
        assert_eq!(of(json!({"name": "o", "args": ["--owner-id=$(CLUSTER)"]})), Owner::Elsewhere);
    }

    #[test]
    fn names_do_not_collide() {
        let mut names = BTreeSet::new();
        let made = ["a.b.example", "a-b.example", "a.b-example"].map(|domain| name(domain, "eu-west-1", &mut names));
        assert_eq!(made, ["a-b-example", "a-b-example-eu-west-1", "a-b-example-2"]);
    }
}
