-- The same CRM on SQLite: lists are JSON texts, and the trigger is SQLite's.
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE
);
INSERT INTO users (first_name, last_name, email) VALUES
  ('Jane', 'Doe', 'jane@crm.example'), ('Desk', 'Team', 'desk@crm.example'), ('Ola', 'Nordmann', 'ola@crm.example');

CREATE TABLE companies (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  sector TEXT,
  address TEXT,
  city TEXT,
  state_abbr VARCHAR(10),
  country CHAR(2),
  revenue DECIMAL(14, 2),
  description TEXT,
  created_at TIMESTAMPTZ,
  sales_id INTEGER REFERENCES users (id),
  legacy_id TEXT NOT NULL UNIQUE
);
INSERT INTO companies (name, city, legacy_id) VALUES ('Our own works', 'Leeds', 'own:1');

CREATE TABLE tags (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  color TEXT NOT NULL DEFAULT '#eddcd2'
);
INSERT INTO tags (name, color) VALUES ('vip', '#c5dedd'), ('partner', '#fff1e6');

CREATE TABLE contacts (
  id INTEGER PRIMARY KEY,
  first_name TEXT,
  last_name TEXT NOT NULL,
  gender TEXT CHECK (gender IN ('female', 'male', 'nonbinary')),
  title TEXT,
  status TEXT NOT NULL DEFAULT 'cold' CHECK (status IN ('cold', 'warm', 'hot', 'in-contract')),
  emails JSON NOT NULL DEFAULT '[]',
  phones JSON NOT NULL DEFAULT '[]',
  tags JSON NOT NULL DEFAULT '[]',
  merged_ids JSON NOT NULL DEFAULT '[]',
  has_newsletter BOOLEAN NOT NULL DEFAULT 0,
  first_seen TIMESTAMPTZ NOT NULL,
  last_seen TIMESTAMPTZ,
  company_id INTEGER REFERENCES companies (id),
  sales_id INTEGER NOT NULL REFERENCES users (id),
  legacy_id TEXT NOT NULL UNIQUE
);
CREATE INDEX contacts_company ON contacts (company_id);
CREATE INDEX contacts_sales ON contacts (sales_id);

CREATE TABLE contact_notes (
  id INTEGER PRIMARY KEY,
  contact_id INTEGER NOT NULL REFERENCES contacts (id),
  text TEXT NOT NULL,
  date TIMESTAMPTZ NOT NULL,
  sales_id INTEGER REFERENCES users (id)
);
CREATE INDEX contact_notes_contact ON contact_notes (contact_id);
CREATE TRIGGER seen AFTER INSERT ON contact_notes BEGIN
  UPDATE contacts SET last_seen = max(coalesce(last_seen, NEW.date), NEW.date) WHERE id = NEW.contact_id;
END;

CREATE TABLE deals (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  stage TEXT NOT NULL,
  amount DECIMAL(14, 2),
  sales_id INTEGER NOT NULL REFERENCES users (id),
  created_at TIMESTAMPTZ NOT NULL,
  legacy_id TEXT NOT NULL UNIQUE
);
