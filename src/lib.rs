//! Deskplane: the control plane for customer-chat accounts.
//!
//! ```text
//!  YAML ──► API server ──► controller ──► backend ──► store (SQL)
//!                             │              │           │
//!                             └──── domain (the rules) ──┘
//!                                        │
//!                                       api (the kinds)
//! ```
//!
//! Imports point one way: `cli` → `controller` → {`backend`, `store`} → `domain` → `api`.

pub mod api;
pub mod backend;
pub mod cli;
pub mod controller;
pub mod domain;
pub mod policy;
pub mod server;
pub mod store;
