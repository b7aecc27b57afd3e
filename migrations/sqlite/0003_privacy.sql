-- What an organization wants done with transcripts (NULL: never said), and how many it has: kept by the triggers below, so that those
-- that others write count too, and nobody has to count a million of them.
ALTER TABLE organizations ADD COLUMN store_transcripts INTEGER CHECK (store_transcripts IN (0, 1));
ALTER TABLE organizations ADD COLUMN transcript_retention_days INTEGER CHECK (transcript_retention_days > 0);
ALTER TABLE organizations ADD COLUMN anonymize_visitors INTEGER CHECK (anonymize_visitors IN (0, 1));
ALTER TABLE organizations ADD COLUMN transcripts INTEGER NOT NULL DEFAULT 0;
CREATE INDEX organizations_retaining ON organizations (transcript_retention_days, id) WHERE transcript_retention_days IS NOT NULL;

-- May enter every organization of the account (rule 5).
ALTER TABLE operators ADD COLUMN switch_organizations INTEGER NOT NULL DEFAULT 0 CHECK (switch_organizations IN (0, 1));

-- Transcripts get an id for people, and a time that can be compared: milliseconds since 1970, from when on their age counts. The content is
-- a line of JSON. Numbers are never used again, so that who reads on from one misses nothing. No index on the external id: random as it is,
-- each row of a batch would touch a page of its own. No version before this one wrote a transcript; what others wrote becomes its text.
ALTER TABLE transcripts RENAME TO former_transcripts;
CREATE TABLE transcripts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    external_id TEXT NOT NULL,
    organization INTEGER NOT NULL REFERENCES organizations (id),
    started_at INTEGER NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (organization, id)
) STRICT;
INSERT INTO transcripts (id, external_id, organization, started_at, content)
    SELECT id, 'tscr_' || lower(hex(randomblob(16))), organization, at * 1000, json_object('startedAt', strftime('%Y-%m-%dT%H:%M:%SZ', at,
        'unixepoch'), 'messages', json_array(json_object('at', strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'), 'author', 'System', 'text', content)))
    FROM (SELECT id, organization, content, COALESCE(unixepoch(started_at), unixepoch()) AS at FROM former_transcripts);
DROP TABLE former_transcripts;
UPDATE organizations SET transcripts = (SELECT COUNT(*) FROM transcripts t WHERE t.organization = organizations.id);
CREATE INDEX transcripts_by_age ON transcripts (organization, started_at);

CREATE TRIGGER transcripts_added AFTER INSERT ON transcripts BEGIN
    UPDATE organizations SET transcripts = transcripts + 1 WHERE id = NEW.organization;
END;
CREATE TRIGGER transcripts_erased AFTER DELETE ON transcripts BEGIN
    UPDATE organizations SET transcripts = transcripts - 1, remaining = remaining - erasing WHERE id = OLD.organization;
    UPDATE accounts SET remaining = remaining - 1
        WHERE id = (SELECT account FROM organizations WHERE id = OLD.organization) AND erasing = 1;
END;
