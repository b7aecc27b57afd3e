//! `make bench-store`, and part of `make bench`: how fast accounts are written and read, on both databases.
//!
//! ```text
//!  a round:  N clients ─► bare client: the store's own statements, by hand ─► database
//!            N clients ─► the store, in this process ───────────────────────► database
//!            N clients ─► HTTP ─► account server, a process ────────────────► database
//! ```
//!
//! Each side gets a new store with the same account, and makes the same operators, then repeats them unchanged: some at a time, in turns
//! with the others. So the ratio of two sides holds on a busy machine too; times alone do not. Then: how long a change takes to whoever follows the feed, transcripts stored
//! and erased, and what else a big account asks of the store. Databases, server and clients share one machine and one disk, for which both
//! databases wait at every commit.
//!
//! `BENCH_OPERATORS=1000`, `BENCH_CHANGES=300`, `BENCH_TRANSCRIPTS=20000` (of 300 characters), `BENCH_ACCOUNT_ROUNDS=3`.

mod bare;
mod feed;
#[path = "../figures.rs"]
mod figures;
mod load;
mod operators;
mod place;
mod queue;
mod served;
mod table;
mod transcripts;

/// The servers of the tests.
#[path = "../../tests/it"]
mod it {
    pub mod account_server;
    pub mod controlplane;
    pub mod postgres;
}

use std::fmt::Display;

use operators::CLIENTS;
use place::Database;
use table::Table;

/// What went wrong, for people.
type Result<T, E = String> = std::result::Result<T, E>;

/// An error in its words.
fn said(error: impl Display) -> String {
    error.to_string()
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
    let one = |variable: &str, default: &str| figures::numbers(variable, default)?.first().copied().ok_or(format!("{variable} is empty"));
    let operators = one("BENCH_OPERATORS", "1000")?;
    let changes = one("BENCH_CHANGES", "300")?;
    let transcripts = one("BENCH_TRANSCRIPTS", "20000")?;
    let rounds = one("BENCH_ACCOUNT_ROUNDS", "3")?;
    let columns = Database::ALL.into_iter().flat_map(|on| CLIENTS.map(|clients| (on, clients)));
    let mut puts = Table::new(columns.clone().map(|(on, clients)| format!("{}, {clients} at a time", on.name())));
    let mut others = Table::new(Database::ALL.map(|on| on.name().to_owned()));
    for round in 1..=rounds {
        for (column, (on, clients)) in columns.clone().enumerate() {
            eprintln!("  round {round}: {operators} operators, {}, {clients} at a time", on.name());
            Box::pin(operators::measure(&mut puts, column, on, clients, operators)).await?;
        }
        for (column, on) in Database::ALL.into_iter().enumerate() {
            eprintln!("  round {round}: the feed, transcripts, a big account, {}", on.name());
            feed::measure(&mut others, column, on, changes).await?;
            Box::pin(transcripts::measure(&mut others, column, on, transcripts)).await?;
            queue::measure(&mut others, column, on, operators).await?;
        }
    }
    println!("\n{}\n", figures::machine());
    println!("PUT of an operator, {operators} of them, over {} organizations of one account:", place::ORGANIZATIONS);
    puts.print();
    others.print();
    println!("Median over the rounds ({rounds}), the lowest and the highest in parentheses. Times are noise when others use the machine;");
    println!("ratios within a round hold better. The aim is not judged.");
    Ok(())
}
