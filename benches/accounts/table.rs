//! The tables.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table as Drawn};

use crate::figures;

/// What is measured: a line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    label: String,
    digits: usize,
    aim: &'static str,
}

impl Line {
    /// A line without an aim.
    pub fn new(label: impl Into<String>, digits: usize) -> Self {
        Self { label: label.into(), digits, aim: "" }
    }

    /// With an aim.
    pub fn aim(self, aim: &'static str) -> Self {
        Self { aim, ..self }
    }
}

/// Values by line and column, one for each round.
pub struct Table {
    columns: Vec<String>,
    lines: Vec<(Line, Vec<Vec<f64>>)>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self { columns: columns.into_iter().collect(), lines: Vec::new() }
    }

    /// Adds what a round has measured. A line is where it was first added to.
    pub fn add(&mut self, column: usize, line: Line, value: f64) {
        let place = self.lines.iter().position(|(known, _)| *known == line).unwrap_or_else(|| {
            self.lines.push((line, vec![Vec::new(); self.columns.len()]));
            self.lines.len() - 1
        });
        self.lines[place].1[column].push(value);
    }

    /// Prints it: medians over the rounds, with the lowest and the highest.
    pub fn print(&self) {
        let mut drawn = Drawn::new();
        drawn.load_preset(UTF8_BORDERS_ONLY);
        let heads = self.columns.iter().cloned().chain(["aim".to_owned()]);
        drawn.set_header([String::new()].into_iter().chain(heads));
        for (Line { label, digits, aim }, columns) in &self.lines {
            let values = columns.iter().map(|values| figures::spread(values, *digits));
            drawn.add_row([label.clone()].into_iter().chain(values).chain([(*aim).to_owned()]));
        }
        for column in drawn.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{drawn}");
    }
}
