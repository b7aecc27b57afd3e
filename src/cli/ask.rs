//! Asking a person to type a name before something cannot be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use super::error::CliError;

/// Goes on when the person types the name, or has said yes beforehand.
pub fn confirm(question: &str, name: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let message = format!("{name}: not confirmed, and there is no terminal to ask on: add --yes. Nothing was changed.");
        return Err(CliError::NotConfirmed(message));
    }
    ask(question, name, &mut io::stdin().lock(), &mut io::stderr())
}

fn ask(question: &str, name: &str, input: &mut impl BufRead, output: &mut impl Write) -> Result<(), CliError> {
    let failed = |source| CliError::Io { what: "ask on the terminal", source };
    write!(output, "{question}").and_then(|()| output.flush()).map_err(failed)?;
    let mut typed = String::new();
    input.read_line(&mut typed).map_err(failed)?;
    if typed.trim() == name {
        return Ok(());
    }
    Err(CliError::NotConfirmed(format!("'{}' is not '{name}'. Nothing was changed.", crate::domain::text::display(typed.trim(), 60))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_confirms() {
        let answer = |typed: &str| ask("Name: ", "acme", &mut typed.as_bytes(), &mut Vec::new());
        assert!(answer("acme\n").is_ok() && answer(" acme \r\n").is_ok());
        for typed in ["", "y\n", "acme-germany\n", "Acme\n"] {
            assert_eq!(answer(typed).unwrap_err().exit(), crate::cli::exit::Exit::NotConfirmed, "{typed:?}");
        }
    }

    #[test]
    fn the_question_is_shown() {
        let mut shown = Vec::new();
        ask("Name: ", "acme", &mut "acme\n".as_bytes(), &mut shown).unwrap();
        assert_eq!(shown, b"Name: ");
    }
}
