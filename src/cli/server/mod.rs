//! `deskplane server`: the account server, and who may ask it.

mod check;
mod serve;
mod token;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::exit::Exit;
use super::output::say;

/// Examples of `deskplane server --help`.
pub const EXAMPLES: &str = "\
Examples:
  # On your own machine, with the accounts in a file
  deskplane server --database sqlite://accounts.db

  # A token for a controller; it is printed once
  deskplane server token create --scope admin --database sqlite://accounts.db

  # For other machines, with the accounts in PostgreSQL; any number of servers may share it
  deskplane server --database 'postgres://deskplane@db.example/deskplane?sslrootcert=/etc/db/ca.crt' --listen 0.0.0.0:8443 --tls-cert /etc/tls/tls.crt --tls-key /etc/tls/tls.key

Certificate and key are read again when they change. The interface describes itself at /openapi.json.";

const OPENAPI_EXAMPLES: &str = "\
Examples:
  deskplane server openapi";

/// Arguments of `deskplane server`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct ServerArgs {
    #[command(subcommand)]
    verb: Option<ServerVerb>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Subcommand, Debug)]
enum ServerVerb {
    /// Make, list and revoke tokens: who may ask the server, for what
    #[command(after_help = token::EXAMPLES)]
    Token(token::TokenArgs),
    /// Ask a server whether it is ready, by its certificate too
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Print the description of the interface, as in docs/openapi.json
    #[command(after_help = OPENAPI_EXAMPLES)]
    Openapi,
}

impl ServerArgs {
    /// Whether it answers many at a time, until it is stopped.
    pub fn serves(&self) -> bool {
        self.verb.is_none()
    }
}

/// Runs the verb.
pub async fn run(args: ServerArgs) -> Result<Exit, CliError> {
    match args.verb {
        None => serve::run(args.serve).await,
        Some(ServerVerb::Token(args)) => token::run(args).await,
        Some(ServerVerb::Check(args)) => check::run(args).await,
        Some(ServerVerb::Openapi) => {
            say(&crate::server::document())?;
            Ok(Exit::Ok)
        }
    }
}
