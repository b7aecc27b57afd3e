//! `deskplane server token create`.

use clap::Args;
use secrecy::ExposeSecret;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::say;
use crate::cli::store::DatabaseArgs;
use crate::domain::access::Scope;
use crate::store::Tokens;

/// Examples of `deskplane server token create --help`.
pub const EXAMPLES: &str = "\
Examples:
  # For a controller: into a Secret, seen by nobody
  deskplane server token create --scope admin --database postgres://deskplane@db.example/deskplane | kubectl create secret generic accounts --namespace deskplane-system --from-file=token=/dev/stdin

  # For one account, and for the transcripts of one organization; the ids are in status.externalId
  deskplane server token create --scope account:acct_abc234 --description billing --database sqlite:///data/accounts.db
  deskplane server token create --scope transcripts:org_abc234 --database sqlite:///data/accounts.db

The token alone goes to standard output. It cannot be shown again: the store keeps a hash of it.";

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// What it is good for: all; reading one account; the transcripts of one organization
    #[arg(long, value_name = "admin|account:ID|transcripts:ID")]
    scope: Scope,
    /// Whose it is and what for, for whoever lists the tokens
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs the verb.
pub async fn run(args: CreateArgs) -> Result<Exit, CliError> {
    let tokens = Tokens::open(&args.database.location()?).await?;
    let (info, token) = tokens.create(&args.scope, &args.description).await.map_err(crate::store::StoreError::from)?;
    tokens.close().await;
    say(&format!("{}\n", token.expose_secret()))?;
    eprintln!("Keep it: it is not shown again. To revoke it: deskplane server token revoke {} (and the same --database)", info.id);
    Ok(Exit::Ok)
}
