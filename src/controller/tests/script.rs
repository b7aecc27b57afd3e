//! What goes wrong, and at which write: one counter over the writes to the API server and to the store.

use std::sync::{Mutex, PoisonError};

/// A fault at one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The controller dies before the write.
    DieBefore,
    /// The write is done, and the controller dies.
    DieAfter,
    /// The write is done, and the reply is lost.
    LoseReply,
    /// The write is refused with this HTTP status; at the store: it cannot be reached.
    Refuse(u16),
}

/// The plan of a run.
#[derive(Default)]
pub struct Script(Mutex<State>);

#[derive(Default)]
struct State {
    writes: Vec<String>,
    faults: Vec<(usize, Fault)>,
    dead: bool,
    /// Nothing is written to the store.
    cut_off: bool,
}

impl Script {
    /// A run with a fault at the write of that number, counted from 0.
    pub fn with(at: usize, fault: Fault) -> Self {
        Self(Mutex::new(State { faults: vec![(at, fault)], ..State::default() }))
    }

    /// A run with two faults.
    pub fn with_two(one: (usize, Fault), other: (usize, Fault)) -> Self {
        Self(Mutex::new(State { faults: vec![one, other], ..State::default() }))
    }

    /// A write is about to be done. `Some`: what goes wrong with it.
    pub fn write(&self, what: &str) -> Option<Fault> {
        let mut state = self.lock();
        if state.dead {
            return Some(Fault::DieBefore);
        }
        let number = state.writes.len();
        state.writes.push(what.to_owned());
        let fault = state.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        state.dead = matches!(fault, Some(Fault::DieBefore | Fault::DieAfter));
        fault
    }

    /// From here on the store refuses every write, until it does not.
    pub fn cut_off(&self, yes: bool) {
        self.lock().cut_off = yes;
    }

    /// A write to the store is about to be done.
    pub fn store_write(&self, what: &str) -> Option<Fault> {
        if self.lock().cut_off { Some(Fault::Refuse(503)) } else { self.write(what) }
    }

    /// The controller has died.
    pub fn dead(&self) -> bool {
        self.lock().dead
    }

    /// What was written so far.
    pub fn writes(&self) -> Vec<String> {
        self.lock().writes.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
