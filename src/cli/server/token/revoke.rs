//! `deskplane server token revoke`.

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::say;
use crate::cli::store::DatabaseArgs;
use crate::store::{Store, StoreError, Tokens};

/// Examples of `deskplane server token revoke --help`.
pub const EXAMPLES: &str = "\
Examples:
  # The ID is that of `deskplane server token list`: the token without its second half
  deskplane server token revoke dpt_abc234 --database sqlite:///data/accounts.db";

#[derive(Args, Debug)]
pub struct RevokeArgs {
    /// The token, by the ID that `deskplane server token list` shows
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs the verb.
pub async fn run(args: RevokeArgs) -> Result<Exit, CliError> {
    let location = args.database.location()?;
    // Where there is no store none is made: there would be nothing to revoke in it, and a typing error would pass for done.
    Store::open_readonly(&location).await?;
    let tokens = Tokens::open(&location).await?;
    let revoked = tokens.revoke(&args.id).await.map_err(StoreError::from)?;
    tokens.close().await;
    let Some(token) = revoked else {
        // What was typed may be a whole token.
        let (what, hint) = ("a token of that ID".to_owned(), "deskplane server token list shows those there are.".to_owned());
        return Err(CliError::NotFound { what, hint });
    };
    say(&format!("{} is revoked, since {}.\n", token.id, token.revoked_at.unwrap_or_default()))?;
    Ok(Exit::Ok)
}
