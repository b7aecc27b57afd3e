//! The controller: one generic runner, and one short file a kind under `kinds/`.
//!
//! ```text
//!  watch ──► cache ──► mapping ──► queue ──► runner ──► kinds/* ──► context.write ──► backend
//!                                   ▲          │                         │
//!                 wakes, sweep, usage          └──► report (status, Events)   observed ◄┘
//! ```
//!
//! Everything runs on one thread, so that requests for places reach the store in the order in which the queue gave them out.

mod cache;
mod cleanup;
mod connection;
mod connections;
mod context;
mod failure;
mod guard;
mod http;
mod kinds;
mod lease;
mod lineage;
mod locate;
mod mapping;
mod metrics;
pub mod object;
mod observed;
mod quarantine;
mod queue;
mod released;
mod report;
mod run;
mod runner;
mod secrets;
mod sweep;
#[cfg(test)]
mod tests;
mod unreadable;
mod usage;
mod watch;

pub use connections::{Connect, Connections, Servers};
pub use run::{Config, LeaseConfig, RunError, cluster_id, run};
