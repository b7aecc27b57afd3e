//! Transcripts on their way in and out: stored, erased with their organization, and deleted for their age.

use std::time::Instant;

use deskplane::backend::Session;
use deskplane::domain::rows::Privacy;
use deskplane::domain::transcript::{Author, Message, Transcript, Visitor};
use deskplane::store::{Store, TRANSCRIPTS_AT_ONCE};
use jiff::{SignedDuration, Timestamp};

use crate::load::Calls;
use crate::operators::close;
use crate::place::{Database, key, organization, put_organization};
use crate::served::Served;
use crate::table::{Line, Table};
use crate::{Result, said};

/// What each says.
const LENGTH: usize = 300;

/// Clients that upload.
const UPLOADERS: usize = 2;

/// Stores so many over HTTP in one organization, and as many in the store itself in another; erases the first, and finds the others too old.
pub async fn measure(table: &mut Table, column: usize, on: Database, count: u32) -> Result<()> {
    let place = on.place().await?;
    close(place.found(1).await?).await;
    let server = Served::start(&place).await;
    let at_once = u32::try_from(TRANSCRIPTS_AT_ONCE).map_err(said)?;
    let (uploads, stored) = (count / at_once, count / at_once * at_once);
    let count = f64::from(stored);
    let lines: Vec<String> = chats()?.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(said)?;
    let lines = lines.join("\n");
    let began = Instant::now();
    Calls::default().make(UPLOADERS, 0..uploads, async |_| server.upload(0, lines.clone()).await).await?;
    let mut rate = |label: &str, began: Instant, count: f64| {
        table.add(column, Line::new(format!("{label} (a second)"), 0), count / began.elapsed().as_secs_f64());
    };
    rate("transcripts stored over HTTP, 500 an upload, by two clients", began, count);
    server.stop().await;
    let store = place.open().await?;
    let session = store.begin_epoch(crate::place::OWNER).await.map_err(said)?;
    put_organization(&store, &session, 1, Privacy { retention_days: Some(1), ..Privacy::default() }).await?;
    let began = Instant::now();
    for _ in 0..uploads {
        store.add_transcripts(&key(&organization(1)).0, chats()?, None).await.map_err(said)?;
    }
    rate("transcripts stored in the store", began, count);
    let began = Instant::now();
    let slowest = erase(&store, &session, 0).await?;
    rate("transcripts erased with their organization", began, count);
    let began = Instant::now();
    let later = Timestamp::now() + SignedDuration::from_hours(24 * 3);
    if store.retain(later).await.map_err(said)? != u64::from(stored) {
        return Err("not all that were too old are gone".to_owned());
    }
    rate("transcripts deleted for their age", began, count);
    table.add(column, Line::new("the slowest batch of the erasure (ms)", 1), slowest);
    store.close().await;
    Ok(())
}

/// Erases an organization; how long the slowest batch took, in milliseconds.
pub async fn erase(store: &Store, session: &Session, number: u32) -> Result<f64> {
    let mut slowest = 0.0_f64;
    loop {
        let began = Instant::now();
        let left = store.erase(session, &key(&organization(number))).await.map_err(said)?.remaining;
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1000.0);
        if left == 0 {
            return Ok(slowest);
        }
    }
}

/// As many as one transaction stores.
fn chats() -> Result<Vec<Transcript>> {
    let at: Timestamp = "2026-11-01T10:00:00Z".parse().map_err(said)?;
    let message = Message { at, author: Author::Visitor, text: "x".repeat(LENGTH) };
    let chat = Transcript { started_at: at, visitor: Visitor::default(), messages: vec![message] };
    Ok(vec![chat; TRANSCRIPTS_AT_ONCE])
}
