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
    ($($(#[doc = $doc:literal])+ $name:ident => $class:ident,)+) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as conditions and events carry it.
            pub fn as_str(self) -> &'static str {
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
        }
    };
}

reasons! {
    /// The Secret or its key is not there yet.
    SecretNotFound => Waiting,
    /// The API server did not hand out the Secret.
    SecretUnavailable => Waiting,
    /// The Secret's value is empty, binary or over 4 KiB, or the Secret is of a refused type.
    SecretInvalid => Terminal,
    /// The API token is revoked, expired or malformed.
    InvalidAPIToken => Terminal,
    /// The token sees no zone for the domain, or lacks Zone Read.
    ZoneNotAccessible => Terminal,
    /// Several active zones have the name.
    ZoneAmbiguous => Terminal,
    /// The zone is not active yet.
    ZonePending => Waiting,
    /// The token lacks DNS Edit.
    RecordWriteDenied => Terminal,
    /// The zone cannot hold more records.
    ZoneRecordQuotaExceeded => Terminal,
    /// A different record of somebody else is where ours must be.
    RecordConflict => Terminal,
    /// A foreign MX, or another object's MAIL FROM name.
    MailFromConflict => Terminal,
    /// The provider refused a record for another reason.
    RecordRejected => Terminal,
    /// Somebody changes records of ours as often as they are put right.
    RecordDueling => Terminal,
    /// Another object has the domain.
    DomainConflict => Terminal,
    /// The namespace may not claim the domain.
    DomainNotAllowed => Terminal,
    /// The identity exists and is not ours.
    IdentityNotOwned => Terminal,
    /// The domain is a public suffix.
    PublicSuffix => Terminal,
    /// SES does not have the configuration set.
    ConfigurationSetNotFound => Terminal,
    /// AWS refuses the operation.
    AWSAccessDenied => Terminal,
    /// AWS refuses the request as such.
    AWSRequestRejected => Terminal,
    /// There is no SES for the account in the region.
    RegionUnavailable => Terminal,
    /// AWS has suspended the account, or paused its sending.
    AWSAccountSuspended => Terminal,
    /// The account's limit of identities is reached.
    IdentityQuotaExceeded => Terminal,
    /// The identity brings its own DKIM keys (BYODKIM), which the operator does not manage.
    UnsupportedDKIMOrigin => Terminal,
    /// The operator has no AWS credentials, or was not allowed to assume the role.
    AWSCredentialsUnavailable => Waiting,
    /// The window for verification has passed.
    VerificationFailed => Terminal,
    /// SES did not take up a verification again.
    RearmRefused => Terminal,
    /// The records are not in DNS yet.
    WaitingForDNS => Waiting,
    /// SES has not looked yet.
    WaitingForSES => Waiting,
    /// The budget of SES requests is used up for the moment.
    WaitingForSESBudget => Waiting,
    /// SES does not find the records of a verified domain any more.
    VerificationLost => Waiting,
    /// AWS cannot be reached or answers with errors.
    AWSUnavailable => Waiting,
    /// Cloudflare cannot be reached or answers with errors.
    CloudflareUnavailable => Waiting,
    /// The cluster has no ExternalDNS `DNSEndpoint` resource.
    ExternalDNSUnavailable => Waiting,
    /// An API asks to be left alone for a while.
    RateLimited => Waiting,
    /// The operator runs with `--dry-run`: what it would do is in the message.
    DryRun => Waiting,
    /// The next step is under way.
    Progressing => Waiting,
    /// Deletion cannot go on yet.
    CleanupBlocked => Waiting,
    /// It was taken away with the object.
    TakenAway => Settled,
    /// Work on the object is stopped by `spec.suspend`.
    Suspended => Settled,
    /// Look-ups are switched off by `--dns-check off`.
    CheckDisabled => Settled,
    /// It is as the spec wants it.
    Synced => Settled,
    /// It is verified: mail can be sent.
    Verified => Settled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
