//! What a big account asks of the store besides: its queue, its listing, its usage, and its end.

use std::time::Instant;

use deskplane::backend::BackendError;
use deskplane::backend::{OperatorPut, Session};
use deskplane::domain::rows::RowKind;
use deskplane::store::Store;

use crate::operators::put;
use crate::place::{Database, key, operator, organization, person, put_account, tag};
use crate::table::{Line, Table};
use crate::transcripts::erase;
use crate::{Result, said};

/// How often usage is asked for.
const ASKED: u32 = 20;

/// Fills an account with so many operators, and refuses half as many more, who then get their seats at once.
pub async fn measure(table: &mut Table, column: usize, on: Database, count: u32) -> Result<()> {
    let place = on.place().await?;
    let (store, session) = place.found(count).await?;
    for number in 0..count {
        put(&store, &session, number).await?;
    }
    let waiting = count / 2;
    let mut rate = |label: &str, began: Instant, count: u32| {
        table.add(column, Line::new(format!("{label} (a second)"), 0), f64::from(count) / began.elapsed().as_secs_f64());
    };
    let began = Instant::now();
    for number in count..count + waiting {
        wait(&store, &session, number).await?;
    }
    rate("operators refused with a ticket", began, waiting);
    let began = Instant::now();
    put_account(&store, &session, count + waiting + crate::place::ORGANIZATIONS).await?;
    rate("seats granted by a raised plan", began, waiting);
    let began = Instant::now();
    let rows = list(&store).await?;
    rate("rows and tickets listed", began, rows);
    let began = Instant::now();
    for _ in 0..ASKED {
        store.usage(&key("acme")).await.map_err(said)?;
    }
    rate("usage of the account", began, ASKED);
    for number in (count..count + waiting).filter(|number| organization(*number) == organization(0)) {
        put(&store, &session, number).await?;
    }
    let operators = u32::try_from((0..count + waiting).filter(|number| organization(*number) == organization(0)).count()).map_err(said)?;
    let began = Instant::now();
    erase(&store, &session, 0).await?;
    rate("operators erased with their organization", began, operators);
    store.close().await;
    Ok(())
}

async fn wait(store: &Store, session: &Session, number: u32) -> Result<()> {
    let name = operator(number);
    let (tag, desired) = (tag(RowKind::Operator, &name), person(&name));
    let put = OperatorPut { tag: &tag, desired: &desired, intent: None };
    match Box::pin(store.put_operator(session, &key(&organization(number)), put)).await {
        Err(BackendError::LimitExceeded { .. }) => Ok(()),
        other => Err(format!("{name} does not wait: {other:?}")),
    }
}

/// How many rows and tickets there are.
async fn list(store: &Store) -> Result<u32> {
    let (mut count, mut next) = (0, None);
    loop {
        let page = store.page(&key("acme"), next.as_ref()).await.map_err(said)?;
        count += page.rows.len() + page.tickets.len();
        next = page.next;
        if next.is_none() {
            return u32::try_from(count).map_err(said);
        }
    }
}
