//! What each kind does in a pass, one short file a kind: observe, validate, decide, apply, report.

mod account;
mod account_backend;
mod credentials;
mod department;
mod erasure;
mod member;
mod operator;
mod organization;
mod owned;
mod plan;
mod provider;
mod widget;

pub use erasure::release_late;
pub use owned::in_use;
pub use provider::token_refused;
