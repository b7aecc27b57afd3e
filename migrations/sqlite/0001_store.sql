-- The account store. Rows of all kinds open with the same seven columns: an id of ours, an opaque id for people, the key
-- (the UID of the object; NULL: made by others, or let go), the owner tag, and whether the object vanished (rule 18).

CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    store_id TEXT NOT NULL
) STRICT;

CREATE TABLE epochs (
    owner TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL CHECK (epoch > 0)
) STRICT;

-- Limits are copied from the plan (rule 4). What is held and reserved is kept by the triggers below, so that rows others write count too.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    owner TEXT,
    owner_namespace TEXT,
    owner_name TEXT,
    quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    erasing INTEGER NOT NULL DEFAULT 0 CHECK (erasing IN (0, 1)),
    remaining INTEGER NOT NULL DEFAULT 0,
    owner_email TEXT NOT NULL,
    owner_display_name TEXT,
    seats_limit INTEGER NOT NULL,
    organizations_limit INTEGER,
    widgets_limit INTEGER,
    seats_held INTEGER NOT NULL DEFAULT 0,
    organizations_held INTEGER NOT NULL DEFAULT 0,
    widgets_held INTEGER NOT NULL DEFAULT 0,
    seats_reserved INTEGER NOT NULL DEFAULT 0,
    organizations_reserved INTEGER NOT NULL DEFAULT 0,
    widgets_reserved INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX accounts_of_owner ON accounts (owner, id);

CREATE TABLE organizations (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    owner TEXT,
    owner_namespace TEXT,
    owner_name TEXT,
    quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    account INTEGER NOT NULL REFERENCES accounts (id),
    erasing INTEGER NOT NULL DEFAULT 0 CHECK (erasing IN (0, 1)),
    remaining INTEGER NOT NULL DEFAULT 0,
    starter_made INTEGER NOT NULL DEFAULT 0 CHECK (starter_made IN (0, 1)),
    display_name TEXT,
    language TEXT,
    country TEXT,
    time_zone TEXT,
    UNIQUE (account, id)
) STRICT;

CREATE TABLE operators (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    owner TEXT,
    owner_namespace TEXT,
    owner_name TEXT,
    quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    organization INTEGER NOT NULL,
    account INTEGER NOT NULL,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    display_name TEXT,
    nickname TEXT,
    role TEXT NOT NULL CHECK (role IN ('Manager', 'Supervisor', 'Agent')),
    suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    position INTEGER,
    leaving TEXT CHECK (leaving IN ('delete', 'suspend')),
    FOREIGN KEY (account, organization) REFERENCES organizations (account, id),
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX operators_of_account ON operators (account, organization, id);
CREATE UNIQUE INDEX operators_email ON operators (organization, email_folded) WHERE quarantined = 0;
CREATE INDEX operators_holding ON operators (organization) WHERE suspended = 0 AND quarantined = 0;
CREATE INDEX operators_leaving ON operators (organization) WHERE leaving IS NOT NULL;

CREATE TABLE credentials (
    operator INTEGER PRIMARY KEY REFERENCES operators (id) ON DELETE CASCADE,
    secret_name TEXT NOT NULL,
    hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intended', 'active'))
) STRICT;

CREATE TABLE departments (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    owner TEXT,
    owner_namespace TEXT,
    owner_name TEXT,
    quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    organization INTEGER NOT NULL,
    account INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    position INTEGER,
    FOREIGN KEY (account, organization) REFERENCES organizations (account, id),
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX departments_of_account ON departments (account, organization, id);

-- The organization is part of both references: a department has operators of its own organization only (rule 8).
CREATE TABLE department_members (
    department INTEGER NOT NULL,
    operator INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    PRIMARY KEY (department, operator),
    FOREIGN KEY (organization, department) REFERENCES departments (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, operator) REFERENCES operators (organization, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX department_members_of_operator ON department_members (operator);

CREATE TABLE widgets (
    id INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    owner TEXT,
    owner_namespace TEXT,
    owner_name TEXT,
    quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    organization INTEGER NOT NULL,
    account INTEGER NOT NULL,
    public_key TEXT NOT NULL UNIQUE,
    display_name TEXT,
    language TEXT,
    allowed_origins TEXT NOT NULL,
    select_department INTEGER CHECK (select_department IN (0, 1)),
    select_operator INTEGER CHECK (select_operator IN (0, 1)),
    color TEXT,
    FOREIGN KEY (account, organization) REFERENCES organizations (account, id),
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX widgets_of_account ON widgets (account, organization, id);

CREATE TABLE transcripts (
    id INTEGER PRIMARY KEY,
    organization INTEGER NOT NULL REFERENCES organizations (id),
    started_at TEXT NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (organization, id)
) STRICT;

-- The queue (rule 2). Numbers are never used again, so that a new ticket is always the last. `position` is the place in line that
-- the object was told: kept for the first ten of each line.
CREATE TABLE tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('Organization', 'Operator', 'Widget')),
    owner TEXT NOT NULL,
    owner_namespace TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id),
    organization INTEGER REFERENCES organizations (id),
    needs_seats INTEGER NOT NULL,
    needs_organizations INTEGER NOT NULL,
    needs_widgets INTEGER NOT NULL,
    missing TEXT NOT NULL CHECK (missing IN ('Seat', 'Organization', 'Widget')),
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved IN (0, 1)),
    position INTEGER,
    CHECK (paused = 0 OR reserved = 0)
) STRICT;
CREATE INDEX tickets_of_account ON tickets (account, number);
CREATE INDEX tickets_of_owner ON tickets (owner, number);
CREATE INDEX tickets_of_organization ON tickets (organization, kind, number);
CREATE INDEX tickets_by_kind ON tickets (account, kind, number) WHERE reserved = 0 AND paused = 0;
CREATE INDEX tickets_in_line ON tickets (account, missing, number) WHERE reserved = 0 AND paused = 0;
CREATE INDEX tickets_told ON tickets (account, missing, number) WHERE position IS NOT NULL;
CREATE INDEX tickets_reserved ON tickets (account, number) WHERE reserved = 1;

-- Keys whose row is gone (rule 13): kept for ever, so that nothing is made for them again.
CREATE TABLE receipts (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('erased', 'released')),
    owner TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

-- What was done, by keys: never an e-mail, never a person's name (rule 12).
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    external_id TEXT NOT NULL,
    account TEXT,
    seats_held INTEGER,
    seats_limit INTEGER
) STRICT;

CREATE TRIGGER operators_seat_taken AFTER INSERT ON operators WHEN NEW.suspended = 0 BEGIN
    UPDATE accounts SET seats_held = seats_held + 1 WHERE id = NEW.account;
END;
CREATE TRIGGER operators_seat_left AFTER DELETE ON operators WHEN OLD.suspended = 0 BEGIN
    UPDATE accounts SET seats_held = seats_held - 1 WHERE id = OLD.account;
END;
CREATE TRIGGER operators_seat_changed AFTER UPDATE OF suspended, account ON operators
WHEN OLD.suspended <> NEW.suspended OR OLD.account <> NEW.account BEGIN
    UPDATE accounts SET seats_held = seats_held - (1 - OLD.suspended) WHERE id = OLD.account;
    UPDATE accounts SET seats_held = seats_held + (1 - NEW.suspended) WHERE id = NEW.account;
END;

CREATE TRIGGER organizations_place_taken AFTER INSERT ON organizations BEGIN
    UPDATE accounts SET organizations_held = organizations_held + 1 WHERE id = NEW.account;
END;
CREATE TRIGGER organizations_place_left AFTER DELETE ON organizations BEGIN
    UPDATE accounts SET organizations_held = organizations_held - 1 WHERE id = OLD.account;
END;
CREATE TRIGGER organizations_place_moved AFTER UPDATE OF account ON organizations WHEN OLD.account <> NEW.account BEGIN
    UPDATE accounts SET organizations_held = organizations_held - 1 WHERE id = OLD.account;
    UPDATE accounts SET organizations_held = organizations_held + 1 WHERE id = NEW.account;
END;

CREATE TRIGGER widgets_place_taken AFTER INSERT ON widgets BEGIN
    UPDATE accounts SET widgets_held = widgets_held + 1 WHERE id = NEW.account;
END;
CREATE TRIGGER widgets_place_left AFTER DELETE ON widgets BEGIN
    UPDATE accounts SET widgets_held = widgets_held - 1 WHERE id = OLD.account;
END;
CREATE TRIGGER widgets_place_moved AFTER UPDATE OF account ON widgets WHEN OLD.account <> NEW.account BEGIN
    UPDATE accounts SET widgets_held = widgets_held - 1 WHERE id = OLD.account;
    UPDATE accounts SET widgets_held = widgets_held + 1 WHERE id = NEW.account;
END;

CREATE TRIGGER tickets_reservation_made AFTER UPDATE OF reserved ON tickets WHEN OLD.reserved = 0 AND NEW.reserved = 1 BEGIN
    UPDATE accounts SET seats_reserved = seats_reserved + NEW.needs_seats,
        organizations_reserved = organizations_reserved + NEW.needs_organizations,
        widgets_reserved = widgets_reserved + NEW.needs_widgets WHERE id = NEW.account;
END;
CREATE TRIGGER tickets_reservation_revoked AFTER UPDATE OF reserved ON tickets WHEN OLD.reserved = 1 AND NEW.reserved = 0 BEGIN
    UPDATE accounts SET seats_reserved = seats_reserved - OLD.needs_seats,
        organizations_reserved = organizations_reserved - OLD.needs_organizations,
        widgets_reserved = widgets_reserved - OLD.needs_widgets WHERE id = OLD.account;
END;
CREATE TRIGGER tickets_reservation_dropped AFTER DELETE ON tickets WHEN OLD.reserved = 1 BEGIN
    UPDATE accounts SET seats_reserved = seats_reserved - OLD.needs_seats,
        organizations_reserved = organizations_reserved - OLD.needs_organizations,
        widgets_reserved = widgets_reserved - OLD.needs_widgets WHERE id = OLD.account;
END;

-- How much of an erasure is left, whoever erases: the organization's rows and itself; the account's over all its organizations.
CREATE TRIGGER operators_erased AFTER DELETE ON operators BEGIN
    UPDATE organizations SET remaining = remaining - 1 WHERE id = OLD.organization AND erasing = 1;
    UPDATE accounts SET remaining = remaining - 1 WHERE id = OLD.account AND erasing = 1;
END;
CREATE TRIGGER departments_erased AFTER DELETE ON departments BEGIN
    UPDATE organizations SET remaining = remaining - 1 WHERE id = OLD.organization AND erasing = 1;
    UPDATE accounts SET remaining = remaining - 1 WHERE id = OLD.account AND erasing = 1;
END;
CREATE TRIGGER widgets_erased AFTER DELETE ON widgets BEGIN
    UPDATE organizations SET remaining = remaining - 1 WHERE id = OLD.organization AND erasing = 1;
    UPDATE accounts SET remaining = remaining - 1 WHERE id = OLD.account AND erasing = 1;
END;
CREATE TRIGGER transcripts_erased AFTER DELETE ON transcripts BEGIN
    UPDATE organizations SET remaining = remaining - 1 WHERE id = OLD.organization AND erasing = 1;
    UPDATE accounts SET remaining = remaining - 1
        WHERE id = (SELECT account FROM organizations WHERE id = OLD.organization) AND erasing = 1;
END;
CREATE TRIGGER organizations_erased AFTER DELETE ON organizations BEGIN
    UPDATE accounts SET remaining = remaining - 1 WHERE id = OLD.account AND erasing = 1;
END;
