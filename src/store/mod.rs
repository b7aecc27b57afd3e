//! The account store: the rules' last word.
//!
//! One file of `SQLite`, one process that writes (rule 21), one transaction for each mutation. Every transaction takes the same steps:
//!
//! ```text
//! fence ─► receipts ─► parent ─► facts ─► domain::seats decides ─► rows + audit ─► grants ─► commit ─► wakes
//! ```
//!
//! The rules are not in SQL: a transaction loads facts and asks [`crate::domain::seats`]. Where nothing differs from what is stored,
//! nothing is written, not even to the audit table. Statements are portable to `PostgreSQL` and take a connection by the alias in
//! `db`, so that the same functions can be compiled for it.
//!
//! Invariants, after every commit: what accounts hold and have reserved is what their rows and tickets say; every ticket that is not
//! paused and whose needs are free is reserved; an organization that has a row and is not being erased has a seat holder.

mod accounts;
mod admission;
mod audit;
mod check;
mod credentials;
mod db;
mod deletion;
mod departments;
mod epochs;
mod erasure;
mod error;
mod external;
mod founding;
mod handover;
mod keys;
mod listing;
mod lock;
mod lookup;
mod mutations;
mod open;
mod operators;
mod organizations;
mod orphans;
mod quarantine;
mod queue;
mod release;
mod rows;
mod scrub;
mod settle;
mod transcripts;
mod tx;
mod usage;
mod values;
mod widgets;

#[cfg(test)]
mod tests;

pub use check::{Finding, Level};
pub use error::StoreError;
pub use open::{Reader, Store};
pub use orphans::{Orphan, OrphanState};
