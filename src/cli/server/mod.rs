//! `deskplane server`: the account server, and who may ask it.

mod token;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::exit::Exit;

/// Examples of `deskplane server --help`.
pub const EXAMPLES: &str = "\
Examples:
  # A token for a controller; it is printed once
  deskplane server token create --scope admin --database sqlite:///data/accounts.db";

/// Arguments of `deskplane server`.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct ServerArgs {
    #[command(subcommand)]
    verb: ServerVerb,
}

#[derive(Subcommand, Debug)]
enum ServerVerb {
    /// Make, list and revoke tokens: who may ask the server, for what
    #[command(after_help = token::EXAMPLES)]
    Token(token::TokenArgs),
}

/// Runs the verb.
pub async fn run(args: ServerArgs) -> Result<Exit, CliError> {
    match args.verb {
        ServerVerb::Token(args) => token::run(args).await,
    }
}
