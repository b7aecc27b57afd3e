//! The exit codes of the program: the only list of them.

use std::process::ExitCode;

/// How a run ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed: the message says what.
    Error = 1,
    /// The arguments are wrong. Nothing was done.
    Usage = 2,
    /// An object, or one of our kinds, does not exist.
    NotFound = 3,
    /// The API server refuses it: a right is missing.
    Forbidden = 4,
    /// Done, but not everything: something remains, or a check found something.
    Remains = 5,
    /// A person did not confirm. Nothing was changed.
    NotConfirmed = 6,
}

/// The same for people, below `deskplane --help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  something failed
  2  wrong arguments
  3  an object does not exist, or the cluster lacks Deskplane's kinds
  4  forbidden: a right is missing
  5  something remains to be done, or a check found something
  6  not confirmed: nothing was changed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        let all = [Exit::Ok, Exit::Error, Exit::Usage, Exit::NotFound, Exit::Forbidden, Exit::Remains, Exit::NotConfirmed];
        let listed: Vec<u8> = HELP.lines().skip(1).map(|line| line.trim_start()[..1].parse().unwrap()).collect();
        assert_eq!(listed, all.map(|exit| exit as u8));
    }
}
