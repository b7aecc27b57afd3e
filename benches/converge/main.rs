//! `make bench`: how long the controller takes until all is Ready, what it costs, and what it does at rest.
//!
//! ```text
//!  a round:  control plane ─► N operators ─► bare client: one status patch each
//!            control plane ─► N operators ─► controller: until all are Ready ─► (last round: at rest ─► restarted)
//! ```
//!
//! Both sides get a control plane of their own, the same objects, the same rights, the same number of requests in flight, and the same
//! watch that says when the last object is Ready. So the ratio of their times holds on a busy machine too; times alone do not.
//!
//! `BENCH_SIZES="1000 5000"`, `BENCH_ROUNDS=3`, `BENCH_REST_SECONDS=60`; `BENCH_BACKEND=server`: with the accounts in an account server.

mod bare;
mod controller;
mod fixture;
mod process;
mod ready;
mod report;
mod store;

#[path = "../figures.rs"]
mod figures;

/// The control plane of the tests.
#[path = "../../tests/it"]
mod it {
    pub mod controlplane;
}

use std::time::Duration;

use it::controlplane::ControlPlane;

use controller::{AtRest, Converged, Restarted};
use figures::numbers;

/// What went wrong, for people.
type Result<T> = std::result::Result<T, String>;

/// Requests in flight: the controller's workers.
const WORKERS: u16 = 32;

/// One comparison.
struct Round {
    bare: bare::Patched,
    controller: Converged,
}

/// All that was measured with one number of operators.
struct Measured {
    operators: u32,
    rounds: Vec<Round>,
    at_rest: AtRest,
    restarted: Restarted,
}

fn main() -> std::process::ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    match runtime.block_on(run()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let sizes: Vec<u32> = numbers("BENCH_SIZES", "1000 5000")?;
    let rounds = numbers("BENCH_ROUNDS", "3")?.first().copied().unwrap_or(3).max(1);
    let rest = Duration::from_secs(numbers("BENCH_REST_SECONDS", "60")?.first().copied().unwrap_or(60).into());
    let mut all = Vec::new();
    for operators in sizes {
        all.push(measure(operators, rounds, rest).await?);
    }
    report::print(&all, rest);
    let noisy: Vec<_> = all.iter().filter_map(Measured::noise).collect();
    if noisy.is_empty() { Ok(()) } else { Err(noisy.join("\n       ")) }
}

async fn measure(operators: u32, rounds: u32, rest: Duration) -> Result<Measured> {
    let mut done = Vec::new();
    loop {
        let round = done.len() + 1;
        let bare = bare_side(operators, round).await?;
        report::progress(operators, round, &format!("bare client: {:.1} s", bare.time.as_secs_f64()));
        let plane = ControlPlane::dedicated().await;
        let served = std::env::var("BENCH_BACKEND").is_ok_and(|backend| backend == "server");
        let setup = fixture::create(&plane, operators, served).await?;
        let (controller, mut running) = controller::converge(&plane, &setup).await?;
        let ratio = controller.time.as_secs_f64() / bare.time.as_secs_f64();
        report::progress(operators, round, &format!("controller: {:.1} s, {ratio:.2} times as long", controller.time.as_secs_f64()));
        done.push(Round { bare, controller });
        if round >= rounds as usize {
            report::progress(operators, round, &format!("watching {} s at rest, then a restart", rest.as_secs()));
            let at_rest = controller::rest(&plane, &running, rest).await?;
            running.stop().await?;
            let restarted = controller::restart(&plane, &setup).await?;
            return Ok(Measured { operators, rounds: done, at_rest, restarted });
        }
        running.stop().await?;
    }
}

async fn bare_side(operators: u32, round: usize) -> Result<bare::Patched> {
    let plane = ControlPlane::dedicated().await;
    report::progress(operators, round, &format!("creating {operators} operators, twice"));
    let setup = fixture::create(&plane, operators, false).await?;
    bare::patch_all(&plane, &setup).await
}

impl Measured {
    /// Writes where there must be none.
    fn noise(&self) -> Option<String> {
        let Self { operators, at_rest, restarted, .. } = self;
        let (api, store, restart) = (&at_rest.api_writes, at_rest.store_writes, &restarted.api_writes);
        (!api.is_empty() || store != 0 || !restart.is_empty()).then(|| {
            format!(
                "{operators} operators: there must be no writes at rest; API server: {api:?}, store: {store}, after a restart: {restart:?}"
            )
        })
    }
}
