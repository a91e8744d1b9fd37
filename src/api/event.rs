//! The reasons of Events that are not reasons of a condition: what the operator has done, and what has befallen an object.

macro_rules! event_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $kind:ident,)+) => {
        /// Why an Event is sent, besides the reasons of conditions ([`super::reason::Reason`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as Events carry it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// Whether its Events are of the type Warning: somebody should look.
            pub fn is_warning(self) -> bool {
                match self {
                    $(Self::$name => matches!(Kind::$kind, Kind::Warning),)+
                }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

/// The type of an Event.
enum Kind {
    Normal,
    Warning,
}

event_reasons! {
    /// The SES identity was created.
    IdentityCreated => Normal,
    /// An existing SES identity was adopted.
    IdentityAdopted => Normal,
    /// Somebody deleted the SES identity, so another was created: its tokens are new, and sending stops until they are verified.
    IdentityLost => Warning,
    /// The SES identity was deleted.
    IdentityDeleted => Normal,
    /// Tags of the SES identity were set or removed.
    TagsChanged => Normal,
    /// The configuration set of the SES identity was set or removed.
    ConfigurationSetChanged => Normal,
    /// SES made DKIM keys of another length, with new tokens.
    DKIMKeysChanged => Normal,
    /// DKIM signing, which somebody had switched off, was switched on.
    SigningEnabled => Normal,
    /// SES was asked to look for the DKIM records again.
    VerificationRearmed => Normal,
    /// The MAIL FROM domain was set at SES.
    MailFromSet => Normal,
    /// Three quarters of `spec.verificationTimeout` have passed; the message says what is missing.
    DeadlineNear => Warning,
    /// Records were created, corrected or removed at Cloudflare.
    RecordsWritten => Normal,
    /// The records were handed to ExternalDNS.
    RecordsHandedOver => Normal,
    /// Records were removed from a zone that the spec has left.
    OldRecordsRemoved => Normal,
    /// Records cannot be removed from a place that the spec has left; the message lists them.
    RecordsLeftBehind => Warning,
    /// The `DNSEndpoint` of the object was deleted.
    EndpointRemoved => Normal,
    /// The `DNSEndpoint` stays without the object.
    EndpointRetained => Normal,
    /// The object is gone, and the records that the mail of a remaining identity needs stay.
    RecordsKept => Normal,
    /// The object is gone, and something of it is left behind; the message lists it.
    CleanupIncomplete => Warning,
    /// This version of the operator cannot read the object, and leaves everything as it is.
    Unreadable => Warning,
}
