//! PUT of operators: new ones, and the same again.

use deskplane::backend::{OperatorPut, Session};
use deskplane::domain::rows::RowKind;
use deskplane::store::Store;

use crate::bare::{Bare, Statements};
use crate::load::Calls;
use crate::place::{Database, ORGANIZATIONS, Place, key, operator, organization, person, tag};
use crate::served::Served;
use crate::table::{Line, Table};
use crate::{Result, said};

/// Clients at a time.
pub const CLIENTS: [u32; 2] = [1, 8];

/// So many operators each side makes until it is the next one's turn: what else the machine does meanwhile, it does to all of them.
const SLICE: u32 = 50;

/// Who is measured.
enum Side {
    Bare(Bare),
    Writes(Bare),
    Store(Store, Session),
    Server(Served),
}

/// All sides, slice by slice; the first is what the others are compared with.
pub async fn measure(table: &mut Table, column: usize, on: Database, clients: u32, count: u32) -> Result<()> {
    let places = [on.place().await?, on.place().await?, on.place().await?, on.place().await?];
    let sides = sides(&places, on, clients, count).await?;
    for (what, again) in [("new operators", false), ("the same again", true)] {
        let mut calls: Vec<_> = sides.iter().filter(|side| !(again && side.only_writes())).map(|side| (side, Calls::default())).collect();
        for from in (0..count).step_by(SLICE as usize) {
            for (side, calls) in &mut calls {
                let numbers = from..count.min(from + SLICE);
                calls.make(clients as usize, numbers, async |number| side.put(number, again).await).await?;
            }
        }
        let bare = calls[0].1.rate();
        for (side, calls) in &calls {
            report(table, column, what, side, calls, bare);
        }
    }
    for side in sides {
        side.end().await?;
    }
    for place in &places[..2] {
        sound(&place.open().await?, count).await?;
    }
    Ok(())
}

async fn sides(places: &[Place; 4], on: Database, clients: u32, count: u32) -> Result<[Side; 4]> {
    let [bare, writes, stored, served] = places;
    let session = close(bare.found(count).await?).await;
    let bare = Bare::connect(bare, on, clients, Statements::All, session).await?;
    let session = close(writes.found(count).await?).await;
    let writes = Bare::connect(writes, on, clients, Statements::Writes, session).await?;
    let (store, session) = stored.found(count).await?;
    close(served.found(count).await?).await;
    Ok([Side::Bare(bare), Side::Writes(writes), Side::Store(store, session), Side::Server(Served::start(served).await)])
}

impl Side {
    async fn put(&self, number: u32, again: bool) -> Result<()> {
        match self {
            Self::Bare(bare) | Self::Writes(bare) if again => bare.put_again(number).await,
            Self::Bare(bare) | Self::Writes(bare) => bare.put_new(number).await,
            Self::Store(store, session) => put(store, session, number).await,
            Self::Server(server) => server.put(number).await,
        }
    }

    /// It has nothing to say to what changes nothing.
    fn only_writes(&self) -> bool {
        matches!(self, Self::Writes(_))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Bare(_) => "bare client",
            Self::Writes(_) => "the two that write alone",
            Self::Store(..) => "store",
            Self::Server(_) => "server",
        }
    }

    async fn end(self) -> Result<()> {
        match self {
            Self::Bare(bare) | Self::Writes(bare) => bare.close().await,
            Self::Store(store, _) => {
                store.close().await;
                Ok(())
            }
            Self::Server(server) => {
                server.stop().await;
                Ok(())
            }
        }
    }
}

fn report(table: &mut Table, column: usize, what: &str, side: &Side, calls: &Calls, bare: f64) {
    let line = |measured: &str, digits| Line::new(format!("{what}, {}: {measured}", side.name()), digits);
    table.add(column, line("a second", 0), calls.rate());
    match side {
        Side::Bare(_) => {}
        Side::Writes(_) | Side::Store(..) => table.add(column, line("times the bare client", 2), calls.rate() / bare),
        Side::Server(_) => table.add(column, line("times the bare client", 2).aim("0.5"), calls.rate() / bare),
    }
    let [p50, p99] = calls.percentiles();
    table.add(column, line("p50 (ms)", 2), p50);
    table.add(column, line("p99 (ms)", 2), p99);
}

/// Closes a store, so that others can have it.
pub async fn close((store, session): (Store, Session)) -> Session {
    store.close().await;
    session
}

/// What the bare client wrote is what the store would have written, as far as the store can tell.
async fn sound(store: &Store, count: u32) -> Result<()> {
    let findings = store.reader().check().await.map_err(said)?;
    let operators = store.usage(&key("acme")).await.map_err(said)?.total.operators;
    let expected = i64::from(count + ORGANIZATIONS);
    if findings.is_empty() && operators == expected { Ok(()) } else { Err(format!("{operators} operators of {expected}: {findings:?}")) }
}

/// Makes an operator in the store, or finds it unchanged.
pub async fn put(store: &Store, session: &Session, number: u32) -> Result<()> {
    let name = operator(number);
    let (tag, desired) = (tag(RowKind::Operator, &name), person(&name));
    let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
    Box::pin(store.put_operator(session, &key(&organization(number)), put)).await.map(drop).map_err(said)
}
