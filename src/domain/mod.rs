//! The rules of Deskplane. Pure: no Kubernetes client, no async, no I/O; every decision here is a function of its arguments.
//!
//! - [`access`]: what a token of an account server may do.
//! - [`rows`]: what the backend is asked to hold, and what it answers.
//! - [`seats`]: limits, tickets and reservations.
//! - [`diff`]: what differs between the desired and the observed row.
//! - [`changes`], [`etag`]: what was done to rows, and the versions they come in.
//! - [`confirmation`], [`holding`]: when something may be erased.
//! - [`hash`]: what is kept of a generated secret.
//! - [`identity`]: whether a store is the one we know.
//! - [`json`]: objects that are written as objects.
//! - [`availability`]: whether a widget's visitors can reach anybody.
//! - [`switching`]: who may enter which organization of an account.
//! - [`text`]: strings from users.
//! - [`transcript`]: the form of transcripts, and what privacy settings let be written and kept.
//! - [`waiting`]: what an object that waits for a place is told.

pub mod access;
pub mod availability;
pub mod changes;
pub mod confirmation;
pub mod diff;
pub mod etag;
pub mod hash;
pub mod holding;
pub mod identity;
pub mod json;
pub mod rows;
pub mod seats;
pub mod switching;
pub mod text;
pub mod transcript;
pub mod waiting;
