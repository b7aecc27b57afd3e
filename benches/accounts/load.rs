//! Calls by a number of clients at once, and how long they took.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};

use crate::Result;

/// Calls that were made.
#[derive(Debug, Default)]
pub struct Calls {
    times: Vec<Duration>,
    took: Duration,
}

impl Calls {
    /// Makes a call for each number, as many at a time as there are clients: each makes its next one when it has its answer.
    pub async fn make(&mut self, clients: usize, numbers: Range<u32>, call: impl AsyncFn(u32) -> Result<()>) -> Result<()> {
        let call = &call;
        let one = async |number| {
            let began = Instant::now();
            call(number).await.map(|()| began.elapsed())
        };
        let began = Instant::now();
        let times: Vec<Duration> = futures::stream::iter(numbers).map(&one).buffer_unordered(clients).try_collect().await?;
        self.took += began.elapsed();
        self.times.extend(times);
        Ok(())
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        u32::try_from(self.times.len()).map_or(f64::NAN, f64::from) / self.took.as_secs_f64()
    }

    /// The median and the 99th percentile, in milliseconds.
    pub fn percentiles(&self) -> [f64; 2] {
        percentiles(self.times.clone())
    }
}

/// The median and the 99th percentile, in milliseconds.
pub fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    [50, 99].map(|percent| at(percent).copied().unwrap_or_default().as_secs_f64() * 1000.0)
}
