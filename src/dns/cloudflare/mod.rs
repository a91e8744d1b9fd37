//! The Cloudflare API v4 adapter: reads zones and records and writes records. It takes no decision about ownership or
//! conflict; whoever calls it does.
//!
//! ```text
//! client ── headers (Retry-After, Ratelimit, cf-ray)
//!    │
//!    ├── budget (one per token) ── turns (of those who wait for it)
//!    ├── write (all changes of a zone in one batch, and whose fault it is) ── lane (one turn for all who wait)
//!    ├── paging (all pages or an error)
//!    └── wire (JSON) ── txt (quoting) ── model ── zone (which zone serves a domain)
//! ```
//!
//! Why plain reqwest and not the vendor's crate: `docs/adr/0001-cloudflare-over-reqwest.md`.

mod answer;
mod base_url;
mod budget;
mod client;
mod error;
mod headers;
mod lane;
mod model;
mod paging;
mod token;
mod turns;
mod txt;
mod wire;
mod write;
mod zone;

pub use base_url::{BaseUrl, BaseUrlError};
pub use client::{BuildError, Client, Settings};
pub use error::{Error, Kind, Operation};
pub use model::{
    AUTOMATIC_TTL, AccountId, Change, MAX_BATCH, MAX_COMMENT, NewRecord, TokenStatus, Zone, ZoneId, ZoneIdError,
    ZoneRecord, ZoneStatus, ZoneType, by_name,
};
pub use token::{ApiToken, Fingerprint, TokenError};
pub use txt::{from_content, to_content};
pub use write::{Group, MayWrite, Written};
pub use zone::{ZonePick, pick_zone};
