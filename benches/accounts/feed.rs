//! The feed of changes: from the answer of a PUT until the change is with whoever waits for it in a long poll.

use std::time::{Duration, Instant};

use crate::Result;
use crate::load::percentiles;
use crate::operators::close;
use crate::place::{Database, operator, person};
use crate::served::Served;
use crate::table::{Line, Table};

/// Until the next change: the poll waits by then.
const PAUSE: Duration = Duration::from_millis(5);

/// Changes one operator so many times, and follows.
pub async fn measure(table: &mut Table, column: usize, on: Database, count: u32) -> Result<()> {
    let place = on.place().await?;
    close(place.found(1).await?).await;
    let server = Served::start(&place).await;
    server.put(0).await?;
    let mut after = server.changes(None).await?.next;
    let (mut from_answer, mut from_start) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut desired = person(&operator(0));
        desired.position = i32::try_from(number).ok();
        let change = async {
            tokio::time::sleep(PAUSE).await;
            let began = Instant::now();
            server.put_desired(0, desired).await.map(|()| (began, Instant::now()))
        };
        let arrival = async { server.changes(Some(&after)).await.map(|found| (found, Instant::now())) };
        let (changed, arrived) = tokio::join!(change, arrival);
        let ((began, answered), (found, arrived)) = (changed?, arrived?);
        if found.changes.len() != 1 {
            return Err(format!("{} changes instead of one", found.changes.len()));
        }
        after = found.next;
        // It may be there before the answer.
        from_answer.push(arrived.saturating_duration_since(answered));
        from_start.push(arrived - began);
    }
    server.stop().await;
    for (since, times) in [("its PUT's answer", from_answer), ("the PUT", from_start)] {
        let [p50, p99] = percentiles(times);
        table.add(column, Line::new(format!("a change at a long poll after {since}: p50 (ms)"), 2), p50);
        table.add(column, Line::new(format!("a change at a long poll after {since}: p99 (ms)"), 2), p99);
    }
    Ok(())
}
