//! The SendingDomain operator: makes domains ready to send mail through Amazon SES.
//!
//! ```text
//! Kubernetes ─┐
//! SES v2 ─────┼─► observe ─► Observation ─► plan ─► Plan ─► execute ─► Outcome ─► status ─► .status, Events
//! Cloudflare ─┤   (reads)                  (pure)           (writes)             (pure)      and when to look again
//! DNS ────────┘
//! ```

pub mod api;
pub mod cli;
pub mod controller;
pub mod dns;
pub mod error;
pub mod execute;
pub mod leader;
pub mod observe;
pub mod ownership;
pub mod plan;
pub mod recorder;
pub mod run;
pub mod ses;
pub mod status;
pub mod telemetry;
pub mod text;
pub mod wake;
