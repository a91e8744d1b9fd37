//! Version v1alpha1 of the API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RecordPurpose {
    /// One of the three CNAMEs under which SES publishes the DKIM keys.
    #[serde(rename = "DKIM")]
    Dkim,
    /// The SPF policy of the MAIL FROM name.
    #[serde(rename = "SPF")]
    Spf,
    /// The MX that brings bounces of the MAIL FROM name to SES.
    #[serde(rename = "BounceMX")]
    BounceMx,
    /// The DMARC policy of the domain.
    #[serde(rename = "DMARC")]
    Dmarc,
}
