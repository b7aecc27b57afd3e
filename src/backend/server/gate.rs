//! Who may ask the server now: nobody once it has refused the token, and nobody faster than agreed.
//!
//! ```text
//! refused? ─► CredentialsInvalid        its turn later than PATIENCE? ─► Throttled        otherwise: wait for the turn, and ask
//! ```
//!
//! Turns are given out in the order in which they were asked for. A server that asks for a pause gets it from all calls at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::backend::{BackendError, MAX_WAIT, Result};

use super::RateLimit;

/// The longest time that a call waits for its turn: it needs what is left of its deadline for itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Opens to one call at a time, or to none.
pub(super) struct Gate {
    pace: Option<Pace>,
    state: Mutex<State>,
}

/// A rate limit, as the time from one turn to the next.
struct Pace {
    interval: Duration,
    /// How far turns may run ahead: the burst, less the one that is always allowed.
    ahead: Duration,
}

struct State {
    /// The server refuses the token, for good: another token comes with another gate.
    refused: bool,
    paused_until: Instant,
    /// When the turns given out so far would end, one after the other at the agreed pace.
    booked_until: Instant,
}

impl Gate {
    /// A gate that is open.
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        let pace = limit.map(|RateLimit { requests_per_second, burst }| {
            let interval = Duration::from_secs(1) / requests_per_second.max(1);
            Pace { interval, ahead: interval * (burst.max(1) - 1) }
        });
        let now = Instant::now();
        Self { pace, state: Mutex::new(State { refused: false, paused_until: now, booked_until: now }) }
    }

    /// Waits for a turn. Where there is none within [`PATIENCE`], and when the token was refused, nothing may be sent.
    pub(super) async fn pass(&self) -> Result<()> {
        let turn = self.book()?;
        sleep_until(turn).await;
        // Both may have changed meanwhile.
        let state = self.lock();
        state.check()?;
        let now = Instant::now();
        if state.paused_until > now { Err(throttled(state.paused_until - now)) } else { Ok(()) }
    }

    fn book(&self) -> Result<Instant> {
        let mut state = self.lock();
        state.check()?;
        let now = Instant::now();
        let mut turn = state.paused_until.max(now);
        if let Some(pace) = &self.pace {
            turn = turn.max(state.booked_until.checked_sub(pace.ahead).unwrap_or(now));
        }
        if turn - now > PATIENCE {
            return Err(throttled(turn - now));
        }
        if let Some(pace) = &self.pace {
            state.booked_until = state.booked_until.max(turn) + pace.interval;
        }
        Ok(turn)
    }

    /// The server asks for a pause of this length.
    pub(super) fn pause(&self, length: Duration) {
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Instant::now() + length.min(MAX_WAIT));
    }

    /// The server refuses the token: closes for good. True: just now.
    pub(super) fn refuse(&self) -> bool {
        !std::mem::replace(&mut self.lock().refused, true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self) -> Result<()> {
        if self.refused { Err(BackendError::CredentialsInvalid) } else { Ok(()) }
    }
}

fn throttled(after: Duration) -> BackendError {
    BackendError::Throttled { after: after.min(MAX_WAIT) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;

    use super::*;

    fn gate(requests_per_second: u32, burst: u32) -> Gate {
        Gate::new(Some(RateLimit { requests_per_second, burst }))
    }

    /// When each of so many calls that come at once passes, in milliseconds from now.
    async fn passes(gate: &Gate, calls: usize) -> Vec<Option<u128>> {
        let start = Instant::now();
        let pass = async || gate.pass().await.ok().map(|()| start.elapsed().as_millis());
        join_all((0..calls).map(|_| pass())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_pace_in_order() {
        let gate = gate(10, 3);
        let expected = [0, 0, 0, 100, 200, 300, 400].map(Some);
        assert_eq!(passes(&gate, 7).await, expected);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(passes(&gate, 7).await, expected, "a rest earns one burst, however long it was");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(passes(&gate, 3).await, [0, 0, 100].map(Some), "a short one earns a part of it");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        assert_eq!(passes(&Gate::new(None), 10_000).await, vec![Some(0); 10_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told_when_to_come_back_and_takes_no_turn() {
        let gate = gate(2, 1);
        let passed = passes(&gate, 100).await;
        assert_eq!(passed.iter().flatten().count(), 11, "at once, and in each half second of five");
        assert_eq!(passed.iter().flatten().max(), Some(&5000));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let mut calls = join_all((0..12).map(|_| gate.pass())).await;
        assert_eq!(calls.pop(), Some(Err(BackendError::Throttled { after: Duration::from_millis(5500) })));
        assert_eq!(calls, vec![Ok(()); 11]);
        assert_eq!(gate.pass().await, Ok(()), "whoever was refused has left no mark");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_and_no_longer_than_the_cap() {
        let gate = gate(10, 2);
        gate.pause(Duration::from_secs(2));
        assert_eq!(passes(&gate, 4).await, [2000, 2000, 2100, 2200].map(Some), "and then the pace is kept");
        gate.pause(Duration::from_hours(24));
        assert_eq!(gate.pass().await, Err(BackendError::Throttled { after: MAX_WAIT }));
        tokio::time::sleep(MAX_WAIT).await;
        assert_eq!(gate.pass().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_pause_ends_no_longer_one() {
        let gate = Gate::new(None);
        gate.pause(Duration::from_secs(20));
        gate.pause(Duration::from_secs(1));
        assert_eq!(gate.pass().await, Err(BackendError::Throttled { after: Duration::from_secs(20) }));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_when_a_pause_begins_does_not_ask_in_it() {
        let gate = Arc::new(gate(1, 1));
        gate.pass().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        gate.pause(Duration::from_secs(30));
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error, BackendError::Throttled { after: Duration::from_millis(29_500) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_closes_it_for_good_also_to_those_who_wait() {
        let gate = Arc::new(gate(1, 1));
        gate.pass().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        tokio::task::yield_now().await;
        assert!(gate.refuse() && !gate.refuse());
        assert_eq!(waiting.await.unwrap(), Err(BackendError::CredentialsInvalid));
        tokio::time::sleep(Duration::from_hours(1000)).await;
        assert_eq!(gate.pass().await, Err(BackendError::CredentialsInvalid));
    }
}
