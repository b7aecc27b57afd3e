//! The account server: REST over the [store](crate::store), for controllers in other clusters, for chat products, and for people.
//!
//! ```text
//! TLS ─► observe ─► limits ─► access ─► handler: parse → one call of the store → answer
//!        id, log    place,    token,      │
//!        metrics    deadline  rate, scope └─ refusal: application/problem+json
//! ```
//!
//! The rules are the store's: nothing here decides about seats, owners or epochs. [`table`] lists the routes, each with who may use it
//! and how long it may take; a route that is not in it is refused. Bodies and errors are those of [`crate::backend::wire`] and
//! [`crate::backend::problem`].

mod access;
mod answer;
mod app;
mod bounds;
mod conditions;
mod described;
mod extract;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod refusal;
mod routes;
mod serve;
mod table;
mod tls;

#[cfg(test)]
mod tests;

pub use app::App;
pub use limits::Limits;
pub use openapi::document;
pub use serve::{Config, ServeError, serve};
pub use tls::{TlsError, TlsFiles};
