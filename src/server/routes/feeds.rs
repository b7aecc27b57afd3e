//! What happens in the store, for those who wait for it: wakes, changes, and the audit log.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use futures::stream;
use serde::Deserialize;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, channel};
use tokio::time::interval;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::backend::wire::{AuditEntries, Changes, NDJSON};
use crate::backend::{Cursor, Wake};
use crate::domain::changes::ChangeCursor;
use crate::server::access::{Access, Caller};
use crate::server::app::{App, Shared};
use crate::server::bounds::{self, Bounded};
use crate::server::extract::Params;
use crate::server::limits::{Pace, Place};
use crate::server::refusal::{Answer, Refusal};
use crate::server::table::Table;
use crate::store::CHANGES_AT_ONCE;

use super::store::Owner;

/// The longest wait for a change, in seconds.
const LONGEST_WAIT: u64 = 30;

/// Whoever reads so slowly that more wakes wait is sent away: it hears what it missed when it comes again.
const MOST_WAITING: usize = 10_000;

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table
        .paced(Access::Admin, Pace::Waits, routes!(wakes))
        .paced(Access::Admin, Pace::Waits, routes!(changes))
        .route(Access::ReadQueried, routes!(audit))
}

/// An owner's wakes as they happen, one JSON value a line; an empty line every 15 seconds is a sign of life.
///
/// It opens with everything that may have been missed, and ends when the token is revoked.
#[utoipa::path(get, path = "/v1/wakes", operation_id = "streamWakes", tag = "feeds", params(Owner),
    responses((status = 200, description = "Wakes, until one side ends it.", body = String, content_type = "application/x-ndjson")))]
async fn wakes(
    State(app): State<Shared>,
    Extension(place): Extension<Place>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<Owner>,
) -> impl IntoResponse {
    let wakes = app.store().take_wakes(&query.owner);
    let (lines, told) = channel(MOST_WAITING);
    tokio::spawn(async move { tell(&app, &caller.id, wakes, lines).await });
    // The place goes with the connection, whoever ends it.
    let told =
        stream::unfold((told, place), async |(mut told, place)| told.recv().await.map(|line| (Ok::<_, Infallible>(line), (told, place))));
    ([(CONTENT_TYPE, NDJSON), (CACHE_CONTROL, "no-store")], Body::from_stream(told))
}

/// Tells wakes as lines until the server stops, the token is revoked, or whoever listens goes or reads too slowly.
pub(in crate::server) async fn tell(app: &App, token: &str, mut wakes: UnboundedReceiver<Wake>, lines: Sender<Bytes>) {
    let mut signs = interval(app.limits().sign_of_life());
    loop {
        let line = tokio::select! {
            () = app.stop().cancelled() => return,
            () = lines.closed() => return,
            wake = wakes.recv() => wake.as_ref().and_then(line),
            _ = signs.tick() => match app.store().is_in_force(token).await {
                Ok(false) => return,
                // A store that does not answer says nothing of the token.
                Ok(true) | Err(_) => Some(Bytes::from_static(b"\n")),
            },
        };
        let Some(line) = line else { return };
        if lines.try_send(line).is_err() {
            return;
        }
    }
}

fn line(wake: &Wake) -> Option<Bytes> {
    let mut line = serde_json::to_vec(wake).ok()?;
    line.push(b'\n');
    Some(line.into())
}

/// Where to follow the feed of changes from.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Following {
    /// `next` of the answer before; absent: no changes, and the end of the feed.
    #[param(value_type = Option<String>)]
    after: Option<ChangeCursor>,
    /// How many seconds to wait for a change where there is none.
    #[param(minimum = 0, maximum = 30, default = 0)]
    wait: Option<u64>,
    /// How many changes at most.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<usize>,
}

impl Bounded for Following {
    fn check(&self, _: &str) -> Answer<()> {
        let Self { after, wait, limit } = self;
        after.iter().try_for_each(|cursor| bounds::name("after", &cursor.0))?;
        if wait.is_some_and(|seconds| seconds > LONGEST_WAIT) {
            return Err(Refusal::invalid("wait", format!("must be from 0 to {LONGEST_WAIT} seconds")));
        }
        if limit.is_some_and(|limit| !(1..=CHANGES_AT_ONCE).contains(&limit)) {
            return Err(Refusal::invalid("limit", format!("must be from 1 to {CHANGES_AT_ONCE}")));
        }
        Ok(())
    }
}

/// What happened to rows, in the order of the commits: whoever takes the end first, then lists all, and then follows, misses nothing.
#[utoipa::path(get, path = "/v1/changes", operation_id = "listChanges", tag = "feeds", params(Following),
    responses((status = 200, description = "Changes, and where to go on.", body = Changes)))]
async fn changes(State(app): State<Shared>, Params(query): Params<Following>) -> Answer<Json<Changes>> {
    let Following { after, wait, limit } = query;
    let (limit, wait) = (limit.unwrap_or(CHANGES_AT_ONCE), Duration::from_secs(wait.unwrap_or_default()));
    let (changes, next) = match after {
        None => app.store().changes(None, limit).await?,
        Some(after) => tokio::select! {
            found = app.store().next_changes(&after, limit, wait) => found?,
            () = app.stop().cancelled() => (Vec::new(), after.clone()),
        },
    };
    Ok(Json(Changes { changes, next }))
}

/// Which account's audit log, and where it goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Audited {
    /// The account: its key, or its id, also when it is gone.
    #[param(max_length = 253)]
    account: String,
    /// `next` of the page before; absent: the first page.
    after: Option<String>,
}

impl Bounded for Audited {
    fn check(&self, _: &str) -> Answer<()> {
        bounds::key("account", &self.account)?;
        self.after.iter().try_for_each(|cursor| bounds::name("after", cursor))
    }
}

/// What was done in an account, by whom, in which epoch: keys and ids, never e-mails or names of people.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listAudit", tag = "feeds", params(Audited),
    responses((status = 200, description = "A page.", body = AuditEntries)))]
async fn audit(State(app): State<Shared>, Params(query): Params<Audited>) -> Answer<Json<AuditEntries>> {
    let after = query.after.map(Cursor);
    let (entries, next) = app.store().list_audit(&query.account, after.as_ref()).await?;
    Ok(Json(AuditEntries { entries, next: next.map(|cursor| cursor.0) }))
}
