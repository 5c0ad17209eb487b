CREATE TABLE accounts (
    id INTEGER NOT NULL,
    name VARCHAR(80),
    legacy_id INTEGER,
    kind VARCHAR(40),
    PRIMARY KEY (id)
);

CREATE TABLE contacts (
    nr INTEGER NOT NULL,
    name VARCHAR(120) NOT NULL,
    given TEXT,
    mail TEXT,
    account_id INTEGER NOT NULL,
    boss_id INTEGER,
    born DATE,
    seen TIMESTAMPTZ,
    score DOUBLE,
    paid DECIMAL(12, 2),
    long DECIMAL_TEXT(30, 4),
    rounded DECIMAL_TEXT,
    photo BLOB,
    may_call BOOLEAN,
    extra JSON_TEXT,
    ref UUID,
    emails JSON_TEXT,
    band TEXT,
    half DOUBLE,
    label TEXT,
    source TEXT,
    source_id INTEGER,
    PRIMARY KEY (nr),
    CONSTRAINT fk_contacts_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
    CONSTRAINT fk_contacts_boss_id FOREIGN KEY(boss_id) REFERENCES contacts (nr)
);

CREATE TABLE phones (
    person INTEGER NOT NULL,
    kind VARCHAR(10) NOT NULL,
    number TEXT,
    "Odd name" INTEGER,
    PRIMARY KEY (person, kind),
    CONSTRAINT "fk_phones_Odd name" FOREIGN KEY("Odd name") REFERENCES contacts (nr)
);

CREATE UNIQUE INDEX ux_accounts_legacy_id ON accounts (legacy_id);

CREATE UNIQUE INDEX ux_contacts_source_id ON contacts (source_id);
