//! The routes: each handler parses, asks the store once, and answers. Who may use it stands beside it.

pub(super) mod accounts;
pub(super) mod departments;
pub(super) mod feeds;
pub(super) mod keys;
pub(super) mod operators;
pub(super) mod organizations;
pub(super) mod probes;
pub(super) mod store;
pub(super) mod transcripts;
pub(super) mod widgets;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::backend::Cursor;

use super::bounds::{self, Bounded};
use super::refusal::Answer;
use super::table::Table;

/// All routes.
pub(super) fn table() -> Table {
    let parts = [
        probes::routes,
        store::routes,
        accounts::routes,
        organizations::routes,
        operators::routes,
        departments::routes,
        widgets::routes,
        keys::routes,
        transcripts::routes,
        feeds::routes,
    ];
    parts.into_iter().fold(Table::default(), |table, add| add(table))
}

/// Where a listing goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// `next` of the page before; absent: the first page.
    cursor: Option<String>,
}

impl Paging {
    fn after(self) -> Option<Cursor> {
        self.cursor.map(Cursor)
    }
}

impl Bounded for Paging {
    fn check(&self, _: &str) -> Answer<()> {
        self.cursor.iter().try_for_each(|cursor| bounds::name("cursor", cursor))
    }
}

/// Whose turn it is to write: what `POST /v1/epochs` gave.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by super::extract::Turn; this is what the document says of it")]
pub(super) struct TurnHeaders {
    /// The owner id in whose name is written.
    #[param(rename = "Deskplane-Owner", max_length = 253)]
    owner: String,
    /// The epoch in which is written; an older one than the owner's last is `Fenced`.
    #[param(rename = "Deskplane-Epoch")]
    epoch: i64,
    /// The id of the store that is meant; another one is `WrongStore`.
    #[param(rename = "Deskplane-Store", max_length = 253)]
    store: String,
    /// Write only if the row is still the one with this entity tag; otherwise `PreconditionFailed`.
    #[param(rename = "If-Match", required = false)]
    if_match: Option<String>,
    /// `*`: write only if there is no row of that key yet; otherwise `PreconditionFailed`.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: Option<String>,
}

/// What the client has already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by super::conditions; this is what the document says of it")]
pub(super) struct UnlessUnchanged {
    /// The entity tag of the row that the client has: 304 while it is still that one.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: Option<String>,
}

/// What a path names by the client's own key.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "read by super::extract::RowKey; this is what the document says of it")]
pub(super) struct KeyPath {
    /// The client's own key of the row: the UID of its object.
    #[param(max_length = 253, min_length = 1, pattern = "^[A-Za-z0-9._:-]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$")]
    id: String,
}

/// What a path names by either key.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "read by super::extract::Id; this is what the document says of it")]
pub(super) struct IdPath {
    /// The client's own key of the row, or the id that the store gave it (`acct_…`, `org_…`, `oper_…`, `dept_…`, `wdgt_…`).
    #[param(max_length = 253, min_length = 1, pattern = "^[A-Za-z0-9._:-]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$")]
    id: String,
}

/// Names a request, so that its repetition is answered with the same reply.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by the handlers; this is what the document says of it")]
pub(super) struct Once {
    /// Any text of the client's choice: the same one with the same request within 24 hours is answered as the first time.
    #[param(rename = "Idempotency-Key", required = false, max_length = 255)]
    key: Option<String>,
}
