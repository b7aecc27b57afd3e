//! `deskplane server token list`.

use clap::Args;
use comfy_table::{Cell, Color};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{OutputArgs, Report, Style, age, clean, colored, print, table};
use crate::cli::store::DatabaseArgs;
use crate::store::{Store, StoreError, TokenInfo};

/// Examples of `deskplane server token list --help`.
pub const EXAMPLES: &str = "\
Examples:
  deskplane server token list --database sqlite:///data/accounts.db

  # For a program
  deskplane server token list --database postgres://deskplane@db.example/deskplane -o json";

#[derive(Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tokens, without their secret halves.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Tokens(Vec<Token>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    id: String,
    scope: String,
    description: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl From<TokenInfo> for Token {
    fn from(token: TokenInfo) -> Self {
        let TokenInfo { id, scope, description, created_at, revoked_at } = token;
        Self { id, scope: scope.to_string(), description, created_at, revoked_at }
    }
}

impl Report for Tokens {
    fn text(&self, style: Style) -> String {
        if self.0.is_empty() {
            return "There are no tokens: deskplane server token create\n".to_owned();
        }
        let rows = self.0.iter().map(|token| {
            let state = if token.revoked_at.is_some() { colored("Revoked", Color::Red) } else { colored("Active", Color::Green) };
            let description = if token.description.is_empty() { "-".to_owned() } else { clean(&token.description) };
            let made = age(token.created_at.parse().ok(), style.now);
            vec![Cell::new(&token.id), Cell::new(&token.scope), state, Cell::new(made), Cell::new(description)]
        });
        table(&["ID", "Scope", "State", "Age", "Description"], rows, style)
    }
}

/// Runs the verb.
pub async fn run(args: ListArgs) -> Result<Exit, CliError> {
    let store = Store::open_readonly(&args.database.location()?).await?;
    let tokens = store.list_tokens().await.map_err(StoreError::from)?;
    print(&Tokens(tokens.into_iter().map(Token::from).collect()), args.output.output)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::domain::access::Scope;

    #[test]
    fn tokens_are_listed_with_what_they_are_good_for() {
        let token = |id: &str, scope, description: &str, revoked_at: Option<&str>| TokenInfo {
            id: id.to_owned(),
            scope,
            description: description.to_owned(),
            created_at: "1970-01-01T00:00:00Z".to_owned(),
            revoked_at: revoked_at.map(str::to_owned),
        };
        let tokens = [
            token("dpt_a", Scope::Admin, "", None),
            token("dpt_b", Scope::Transcripts("org_1".to_owned()), "website\u{1b}[31m", Some("1970-01-01T01:00:00Z")),
        ];
        let tokens = Tokens(tokens.into_iter().map(Token::from).collect());
        let style = Style { color: false, now: Timestamp::from_second(7200).unwrap() };
        insta::assert_snapshot!(tokens.text(style), @"
        ID      SCOPE               STATE     AGE   DESCRIPTION
        dpt_a   admin               Active    2h    -
        dpt_b   transcripts:org_1   Revoked   2h    website[31m
        ");
        let json = serde_json::to_value(&tokens).unwrap();
        assert_eq!((&json[0]["revokedAt"], &json[1]["scope"]), (&serde_json::Value::Null, &"transcripts:org_1".into()));
        assert!(Tokens(vec![]).text(style).starts_with("There are no tokens"));
    }
}
