//! `deskplane server token`: who may ask the server, for what. Works on the store itself, also while a server has it.

mod create;
mod list;
mod revoke;

use clap::{Args, Subcommand};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Examples of `deskplane server token --help`.
pub const EXAMPLES: &str = "\
Examples:
  # For a controller
  deskplane server token create --scope admin --database sqlite:///data/accounts.db

  # For a chat product: the transcripts of one organization
  deskplane server token create --scope transcripts:org_abc234 --description website --database sqlite:///data/accounts.db

  # Which there are, and one that leaked
  deskplane server token list --database sqlite:///data/accounts.db
  deskplane server token revoke dpt_abc234 --database sqlite:///data/accounts.db

All of it works while the server runs; a revoked token is refused from the next request on.";

/// Arguments of `deskplane server token`.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct TokenArgs {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Subcommand, Debug)]
enum TokenVerb {
    /// Make a token, and print it: once
    #[command(after_help = create::EXAMPLES)]
    Create(create::CreateArgs),
    /// List the tokens, without what they are secret of
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Revoke a token: it is refused from the next request on
    #[command(after_help = revoke::EXAMPLES)]
    Revoke(revoke::RevokeArgs),
}

/// Runs the verb.
pub async fn run(args: TokenArgs) -> Result<Exit, CliError> {
    match args.verb {
        TokenVerb::Create(args) => create::run(args).await,
        TokenVerb::List(args) => list::run(args).await,
        TokenVerb::Revoke(args) => revoke::run(args).await,
    }
}
