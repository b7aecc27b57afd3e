//! The account store: the rules' last word.
//!
//! A file of `SQLite`, which one process writes (rule 21), or a database of `PostgreSQL`, which any number of them write. Each mutation is
//! one transaction, alone with the accounts it is about: by the one writer there, by locks here ([`db::postgres`] says which and why
//! they suffice). Every transaction takes the same steps:
//!
//! ```text
//! locks ─► fence ─► receipts ─► parent ─► facts ─► domain::seats decides ─► rows + audit ─► grants ─► commit ─► wakes
//! ```
//!
//! The fence lets in who writes to this store, in the epoch in force of its owner, to what is that owner's or nobody's; then who asked
//! before gets its answer again, and who read another version than there is now is refused ([`write`]).
//!
//! The rules are not in SQL: a transaction loads facts and asks [`crate::domain::seats`]. Where nothing differs from what is stored,
//! nothing is written, not even to the audit table. Every statement is written once and understood by both databases; what only one of
//! them has is in [`db`].
//!
//! Invariants, after every commit: what accounts hold and have reserved is what their rows and tickets say; every ticket that is not
//! paused and whose needs are free is reserved; an organization that has a row and is not being erased has a seat holder.

mod accounts;
mod admission;
mod announcements;
mod audit;
mod backup;
mod changes;
mod check;
mod credentials;
mod db;
mod deletion;
mod departments;
mod epochs;
mod erasure;
mod error;
mod external;
mod find;
mod founding;
mod handover;
mod keys;
mod listing;
mod lists;
mod lookup;
mod mutations;
mod open;
mod operators;
mod organizations;
mod orphans;
mod quarantine;
mod queue;
mod release;
mod replies;
pub mod retention;
mod rows;
mod settle;
mod switching;
mod tokens;
mod transcripts;
mod tx;
mod usage;
mod values;
mod wakes;
mod widgets;
mod write;

#[cfg(test)]
mod tests;

pub use backup::Restored;
pub use changes::CHANGES_AT_ONCE;
pub use check::{Finding, Level};
pub use db::Location;
pub use error::StoreError;
pub use find::Place;
pub use open::{Reader, Store};
pub use orphans::{Contents, Orphan, OrphanState};
pub use tokens::{TokenInfo, Tokens};
pub use transcripts::{TRANSCRIPTS_AT_ONCE, TranscriptPage};
pub use write::{Once, Write};
