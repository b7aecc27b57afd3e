-- What an organization wants done with transcripts (NULL: never said), and how many it has: kept by the triggers below, so that those
-- that others write count too, and nobody has to count a million of them.
ALTER TABLE organizations ADD COLUMN store_transcripts BOOLEAN;
ALTER TABLE organizations ADD COLUMN transcript_retention_days BIGINT CHECK (transcript_retention_days > 0);
ALTER TABLE organizations ADD COLUMN anonymize_visitors BOOLEAN;
ALTER TABLE organizations ADD COLUMN transcripts BIGINT NOT NULL DEFAULT 0;
CREATE INDEX organizations_retaining ON organizations (transcript_retention_days, id) WHERE transcript_retention_days IS NOT NULL;

-- May enter every organization of the account (rule 5).
ALTER TABLE operators ADD COLUMN switch_organizations BOOLEAN NOT NULL DEFAULT FALSE;

-- Transcripts get an id for people, and a time that can be compared: milliseconds since 1970, from when on their age counts. The content is
-- a line of JSON. No index on the external id: random as it is, each row of a batch would touch a page of its own. No version before this
-- one wrote a transcript; what others wrote becomes its text, dated now where its time is none.
ALTER TABLE transcripts ADD COLUMN external_id TEXT;
UPDATE transcripts SET external_id = 'tscr_' || replace(CAST(gen_random_uuid() AS TEXT), '-', '');
ALTER TABLE transcripts ALTER COLUMN external_id SET NOT NULL;
CREATE FUNCTION pg_temp.moment(written TEXT) RETURNS TIMESTAMPTZ LANGUAGE plpgsql AS $$ BEGIN
    RETURN CAST(written AS TIMESTAMPTZ);
EXCEPTION WHEN OTHERS THEN
    RETURN now();
END $$;
UPDATE transcripts SET started_at = to_char(pg_temp.moment(started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
UPDATE transcripts SET content = json_build_object('startedAt', started_at,
    'messages', json_build_array(json_build_object('at', started_at, 'author', 'System', 'text', content)))::text;
ALTER TABLE transcripts ALTER COLUMN started_at TYPE BIGINT
    USING CAST(EXTRACT(EPOCH FROM CAST(started_at AS TIMESTAMPTZ)) * 1000 AS BIGINT);
UPDATE organizations o SET transcripts = (SELECT COUNT(*) FROM transcripts t WHERE t.organization = o.id);
CREATE INDEX transcripts_by_age ON transcripts (organization, started_at);

CREATE FUNCTION transcripts_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE organizations o SET transcripts = o.transcripts + g.total
        FROM (SELECT organization, COUNT(*) AS total FROM added GROUP BY organization) g WHERE o.id = g.organization;
    RETURN NULL;
END $$;
CREATE TRIGGER transcripts_added AFTER INSERT ON transcripts REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION transcripts_added();

CREATE OR REPLACE FUNCTION transcripts_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    UPDATE accounts a SET remaining = a.remaining - g.total
        FROM (SELECT o.account, COUNT(*) AS total FROM gone t JOIN organizations o ON o.id = t.organization GROUP BY o.account) g
        WHERE a.id = g.account AND a.erasing;
    UPDATE organizations o SET transcripts = o.transcripts - g.total, remaining = o.remaining - CASE WHEN o.erasing THEN g.total ELSE 0 END
        FROM (SELECT organization, COUNT(*) AS total FROM gone GROUP BY organization) g WHERE o.id = g.organization;
    RETURN NULL;
END $$;
