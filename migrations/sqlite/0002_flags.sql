-- Flags are asked for as the statements ask for them on both databases: an index serves only the same words.
DROP INDEX operators_email;
DROP INDEX operators_holding;
DROP INDEX tickets_by_kind;
DROP INDEX tickets_in_line;
DROP INDEX tickets_reserved;
CREATE UNIQUE INDEX operators_email ON operators (organization, email_folded) WHERE NOT quarantined;
CREATE INDEX operators_holding ON operators (organization) WHERE NOT suspended AND NOT quarantined;
CREATE INDEX tickets_by_kind ON tickets (account, kind, number) WHERE NOT reserved AND NOT paused;
CREATE INDEX tickets_in_line ON tickets (account, missing, number) WHERE NOT reserved AND NOT paused;
CREATE INDEX tickets_reserved ON tickets (account, number) WHERE reserved;
