//! The table.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::controller::{Converged, Counts};
use crate::{Measured, Round, WORKERS, figures};

/// Says on standard error how far it is.
pub fn progress(operators: u32, round: usize, text: &str) {
    eprintln!("  {operators} operators, round {round}: {text}");
}

/// Prints everything that was measured.
pub fn print(all: &[Measured], rest: Duration) {
    println!("\n{}\n", figures::machine());
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    let heads = all.iter().map(|measured| format!("{} operators", measured.operators));
    table.set_header([String::new()].into_iter().chain(heads).chain(["aim".to_owned()]));
    for (label, aim, value) in lines(rest) {
        table.add_row([label].into_iter().chain(all.iter().map(value)).chain([aim.to_owned()]));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    let rounds = all.first().map_or(0, |measured| measured.rounds.len());
    println!("Median over the rounds ({rounds}), the lowest and the highest in parentheses. Times are noise when others use the machine;");
    println!("their ratio within a round, CPU times and counts hold better. Aims are not judged; writes at rest are.");
    for measured in all {
        if let Some(last) = measured.rounds.last() {
            println!(
                "\nRequests of the controller until all was Ready, {} operators:\n  {}",
                measured.operators,
                listed(&last.controller.requests)
            );
        }
    }
}

type Line = (String, &'static str, Box<dyn Fn(&Measured) -> String>);

fn line(label: &str, aim: &'static str, value: impl Fn(&Measured) -> String + 'static) -> Line {
    (label.to_owned(), aim, Box::new(value))
}

fn lines(rest: Duration) -> Vec<Line> {
    let seconds = rest.as_secs_f64();
    let mut lines =
        vec![line(&format!("bare client, {WORKERS} in flight (s)"), "", |all| spread(all, 1, |round| round.bare.time.as_secs_f64()))];
    lines.extend(until_ready());
    lines.extend([
        line(&format!("at rest for {seconds} s: API writes"), "0", |all| total(&all.at_rest.api_writes)),
        line("  writes to the store", "0", |all| all.at_rest.store_writes.to_string()),
        line("  CPU (% of a core)", "2", move |all| format!("{:.1}", 100.0 * all.at_rest.cpu.as_secs_f64() / seconds)),
        line("  peak memory, resyncs included (MiB)", "60", |all| mebibytes(all.at_rest.peak_memory)),
        line("restarted: until all was looked at (s)", "", |all| format!("{:.1}", all.restarted.time.as_secs_f64())),
        line("  API writes", "0", |all| total(&all.restarted.api_writes)),
        line("  CPU an operator (ms)", "", |all| format!("{:.2}", each(all.restarted.cpu, all.operators))),
        line("  peak memory (MiB)", "60", |all| mebibytes(all.restarted.peak_memory)),
    ]);
    lines
}

fn until_ready() -> [Line; 10] {
    [
        line("controller, until all are Ready (s)", "", |all| spread(all, 1, |round| round.controller.time.as_secs_f64())),
        line("  times the bare client", "1.3", |all| spread(all, 2, Round::ratio)),
        line("  API server's CPU, bare client (ms an operator)", "", |all| {
            spread(all, 2, |round| each(round.bare.server_cpu, all.operators))
        }),
        line("  API server's CPU, controller (ms an operator)", "", |all| {
            spread(all, 2, |round| each(round.controller.server_cpu, all.operators))
        }),
        line("  own CPU (ms an operator)", "1", |all| spread(all, 2, |round| each(round.controller.cpu, all.operators))),
        line("  peak memory (MiB)", "60", |all| spread(all, 1, |round| mib(round.controller.peak_memory))),
        line("  passes an operator", "", |all| spread(all, 2, |round| f64_of(round.controller.passes) / f64::from(all.operators))),
        line("  API reads an operator", "", |all| per_operator(all, |verb| !is_write(verb))),
        line("  API writes an operator", "1", |all| per_operator(all, is_write)),
        line("  Events", "0", |all| {
            let events =
                |round: &Converged| round.requests.iter().filter(|(request, _)| request.ends_with(" events")).map(|(_, n)| n).sum();
            all.rounds.last().map_or(0_usize, |round| events(&round.controller)).to_string()
        }),
    ]
}

impl Round {
    fn ratio(&self) -> f64 {
        self.controller.time.as_secs_f64() / self.bare.time.as_secs_f64()
    }
}

/// The median over the rounds, with the lowest and the highest.
fn spread(all: &Measured, digits: usize, value: impl Fn(&Round) -> f64) -> String {
    figures::spread(&all.rounds.iter().map(value).collect::<Vec<_>>(), digits)
}

fn each(cpu: Duration, operators: u32) -> f64 {
    1000.0 * cpu.as_secs_f64() / f64::from(operators)
}

fn mib(kibibytes: u64) -> f64 {
    f64_of(kibibytes) / 1024.0
}

/// A count that fits into 32 bits, as all here do.
fn f64_of(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", mib(kibibytes))
}

fn is_write(request: &str) -> bool {
    ["create ", "patch ", "update ", "delete "].iter().any(|verb| request.starts_with(verb))
}

fn per_operator(all: &Measured, wanted: impl Fn(&str) -> bool) -> String {
    let Some(last) = all.rounds.last() else { return String::new() };
    let count: usize = last.controller.requests.iter().filter(|(request, _)| wanted(request)).map(|(_, count)| count).sum();
    format!("{:.3}", f64_of(count as u64) / f64::from(all.operators))
}

fn total(counts: &Counts) -> String {
    counts.values().sum::<usize>().to_string()
}

fn listed(counts: &Counts) -> String {
    counts.iter().map(|(request, count)| format!("{request}: {count}")).collect::<Vec<_>>().join(", ")
}
