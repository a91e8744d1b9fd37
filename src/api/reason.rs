//! The reasons that conditions and events carry, each with its class: who has to move next.

use std::fmt;

/// Who has to move next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// It is expected to pass by itself: kstatus Reconciling.
    Waiting,
    /// A person has to act: kstatus Stalled. It is still tried again, slowly, and at once when its cause changes.
    Terminal,
    /// Nothing is left to do.
    Settled,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $class:ident, $advice:literal;)+) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as conditions and events carry it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// Who has to move next.
            pub fn class(self) -> ReasonClass {
                match self {
                    $(Self::$name => ReasonClass::$class,)+
                }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// What a person can do about it, in one sentence. `docs/troubleshooting.md` says it at length.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)+
                }
            }
        }
    };
}

reasons! {
    /// The Secret or its key is not there yet.
    SecretNotFound => Waiting, "Create the Secret and its key in the namespace of the object.";
    /// The API server did not hand out the Secret.
    SecretUnavailable => Waiting, "Look whether the operator may `get` Secrets in the namespace, and whether the API server is well.";
    /// The Secret's value is empty, binary or over 4 KiB, or the Secret is of a refused type.
    SecretInvalid => Terminal, "Put an API token into the Secret; the message says what is there instead.";
    /// The API token is revoked, expired or malformed.
    InvalidAPIToken => Terminal, "Put a valid token into the Secret, or enable or renew it at Cloudflare.";
    /// The token sees no zone for the domain, or lacks Zone Read.
    ZoneNotAccessible => Terminal, "Give the token Zone Read on the zone, or add the zone at Cloudflare.";
    /// Several active zones have the name.
    ZoneAmbiguous => Terminal, "Name the zone in `spec.dns.cloudflare.zoneID`.";
    /// The zone is not active yet.
    ZonePending => Waiting, "Set the name servers that Cloudflare assigns at the domain's registrar.";
    /// The token lacks DNS Edit.
    RecordWriteDenied => Terminal, "Give the token DNS Edit on the zone.";
    /// The zone cannot hold more records.
    ZoneRecordQuotaExceeded => Terminal, "Remove records that are not needed, or use a larger plan.";
    /// A different record of somebody else is where ours must be.
    RecordConflict => Terminal, "Remove the record that the message names, or set `conflictPolicy: Overwrite` if it is a CNAME.";
    /// A foreign MX, or another object's MAIL FROM name.
    MailFromConflict => Terminal, "Choose another `spec.mailFrom.subdomain`, or remove the record or object that has the name.";
    /// The provider refused a record for another reason.
    RecordRejected => Terminal, "Look the code of the message up in docs/cloudflare.md.";
    /// Somebody changes records of ours as often as they are put right.
    RecordDueling => Terminal, "Find who else writes the record, and stop one of the two.";
    /// Another object has the domain.
    DomainConflict => Terminal, "Delete one of the objects.";
    /// The namespace may not claim the domain.
    DomainNotAllowed => Terminal, "Ask an administrator to add the domain to the annotations of the namespace.";
    /// The identity exists and is not ours.
    IdentityNotOwned => Terminal, "Set `adoptionPolicy: Adopt` and allow the adoption, or choose another domain.";
    /// The domain is a public suffix.
    PublicSuffix => Terminal, "Choose a domain that you have registered.";
    /// SES does not have the configuration set.
    ConfigurationSetNotFound => Terminal, "Create the configuration set in that account and region, or correct its name.";
    /// AWS refuses the operation.
    AWSAccessDenied => Terminal, "Allow the action of the message in the IAM policy, or the operator in the trust policy of the role.";
    /// AWS refuses the request as such.
    AWSRequestRejected => Terminal, "Correct what the message of AWS complains of.";
    /// There is no SES for the account in the region.
    RegionUnavailable => Terminal, "Enable the region for the account, or create the object anew with another.";
    /// AWS has suspended the account, or paused its sending.
    AWSAccountSuspended => Terminal, "Answer the case that AWS has opened for the account.";
    /// The account's limit of identities is reached.
    IdentityQuotaExceeded => Terminal, "Delete identities that are not needed, or ask AWS for more.";
    /// The identity brings its own DKIM keys (BYODKIM), which the operator does not manage.
    UnsupportedDKIMOrigin => Terminal, "Switch the identity to Easy DKIM at SES, or manage it elsewhere.";
    /// The operator has no AWS credentials, or was not allowed to assume the role.
    AWSCredentialsUnavailable => Waiting, "Give the operator's service account a role, or its pod keys; the message names what AWS refuses.";
    /// The window for verification has passed.
    VerificationFailed => Terminal, "Put the records of `.status.records` right; the verification then begins again by itself.";
    /// SES did not take up a verification again.
    RearmRefused => Terminal, "Open a case with AWS, or ask for fresh tokens by the annotation `sendingdomain.dev/recreate-at`.";
    /// The records are not in DNS yet.
    WaitingForDNS => Waiting, "Add the records of `.status.records`; if they are there, wait.";
    /// SES has not looked yet.
    WaitingForSES => Waiting, "Nothing: SES looks by itself.";
    /// The budget of SES requests is used up for the moment.
    WaitingForSESBudget => Waiting, "Nothing; with other users of the same account, raise or lower `--ses-requests-per-second`.";
    /// SES does not find the records of a verified domain any more.
    VerificationLost => Waiting, "Put the records of `.status.records` back; SES looks again by itself.";
    /// AWS cannot be reached or answers with errors.
    AWSUnavailable => Waiting, "Nothing, unless it lasts: then look at AWS's status and at the way there.";
    /// Cloudflare cannot be reached or answers with errors.
    CloudflareUnavailable => Waiting, "Nothing, unless it lasts: then look at Cloudflare's status and at the way there.";
    /// The cluster has no ExternalDNS `DNSEndpoint` resource.
    ExternalDNSUnavailable => Waiting, "Install the CRD of ExternalDNS, and let the operator write `DNSEndpoint` objects.";
    /// An API asks to be left alone for a while.
    RateLimited => Waiting, "Nothing; fewer other users of the same account or token.";
    /// The operator runs with `--dry-run`: what it would do is in the message.
    DryRun => Waiting, "Start the operator without `--dry-run` to have it done.";
    /// The next step is under way.
    Progressing => Waiting, "Nothing.";
    /// Deletion cannot go on yet.
    CleanupBlocked => Waiting, "Mend what the message names, or give up by the annotation `sendingdomain.dev/force-release=true`.";
    /// It was taken away with the object.
    TakenAway => Settled, "Nothing: the object is being deleted.";
    /// Work on the object is stopped by `spec.suspend`.
    Suspended => Settled, "Set `spec.suspend` to false to go on.";
    /// Look-ups are switched off by `--dns-check off`.
    CheckDisabled => Settled, "Nothing; SES alone judges.";
    /// It is as the spec wants it.
    Synced => Settled, "Nothing.";
    /// It is verified: mail can be sent.
    Verified => Settled, "Nothing.";
}

impl Reason {
    /// True of what every domain waits for on its way: that Ready has it for its reason is no news.
    pub fn is_routine(self) -> bool {
        matches!(self, Self::Progressing | Self::DryRun | Self::WaitingForSES | Self::WaitingForSESBudget)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
