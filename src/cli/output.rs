//! How results are printed: a table for people, JSON or YAML for programs. Colours only where a person looks.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::{Cell, Color, Table, presets};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;

/// Longest string of a user in a table.
const MAX_TEXT: usize = 60;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

/// The flag that says which form.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// The form of the output
    #[arg(short, long, value_enum, value_name = "table|json|yaml", hide_possible_values = true, default_value_t)]
    pub output: Format,
}

/// How a table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// The time from which ages count.
    pub now: Timestamp,
}

/// Something to print: its serialization for programs, and text for people.
pub trait Report: Serialize {
    /// For people.
    fn text(&self, style: Style) -> String;
}

/// Prints a report to standard output.
pub fn print(report: &impl Report, format: Format) -> Result<(), CliError> {
    let text = match format {
        Format::Table => report.text(Style { color: wants_color(&io::stdout()), now: Timestamp::now() }),
        Format::Json => {
            let json = serde_json::to_string_pretty(report);
            json.map_err(|error| CliError::Format { format: "JSON", message: error.to_string() })? + "\n"
        }
        Format::Yaml => serde_yaml::to_string(report).map_err(|error| CliError::Format { format: "YAML", message: error.to_string() })?,
    };
    say(&text)
}

/// Writes to standard output, where `println!` would panic when nobody reads.
pub fn say(text: &str) -> Result<(), CliError> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.map_err(|source| CliError::Io { what: "write to standard output", source })
}

/// Whether a stream shows colours: a terminal whose owner did not say no.
pub fn wants_color(stream: &impl IsTerminal) -> bool {
    let said_no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stream.is_terminal() && !said_no && !dumb
}

/// A table as kubectl draws them: a line a row, capitals above.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>, style: Style) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if style.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.trim_fmt() + "\n"
}

/// A cell in a colour.
pub fn colored(text: impl ToString, color: Color) -> Cell {
    Cell::new(text).fg(color)
}

/// A user's string, fit for a terminal.
pub fn clean(text: &str) -> String {
    crate::domain::text::display(text, MAX_TEXT)
}

/// A number that may not be known yet.
pub fn count(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// `3 operators`, `1 operator`.
pub fn plural(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// How long ago, in one unit, the way of kubectl.
pub fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    let Some(since) = since else { return "-".to_owned() };
    let seconds = (now.as_second() - since.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 120 => format!("{minutes}m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 730 => format!("{days}d"),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let shown = [5, 119, 120, 7199, 7200, 172_800, 63_072_000].map(|seconds| age(Some(at(0)), at(seconds)));
        assert_eq!(shown, ["5s", "119s", "2m", "119m", "2h", "2d", "2y"]);
        assert_eq!(age(None, at(0)), "-");
        assert_eq!(age(Some(at(10)), at(0)), "0s");
    }

    #[test]
    fn a_table_is_plain_without_colours_and_lines_end_without_space() {
        let style = |color| Style { color, now: Timestamp::UNIX_EPOCH };
        let rows = || [vec![Cell::new("acme"), colored("True", Color::Green)], vec![Cell::new("b"), Cell::new("-")]];
        assert_eq!(table(&["name", "ready"], rows(), style(false)), "NAME   READY\nacme   True\nb      -\n");
        assert!(table(&["name", "ready"], rows(), style(true)).contains("\u{1b}["));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31m\u{202e}b\n"), "a[31mb");
    }
}
