-- The CRM that mappings/npsp.yaml loads into, for SQLite. crm_postgresql.sql is the same for PostgreSQL.
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  email VARCHAR(120) NOT NULL UNIQUE,
  name VARCHAR(80) NOT NULL
);
CREATE TABLE accounts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name VARCHAR(120) NOT NULL CHECK (length(trim(name)) > 0),
  kind VARCHAR(20) NOT NULL CHECK (kind IN ('household', 'organisation')),
  street VARCHAR(120),
  city VARCHAR(60),
  state VARCHAR(60),
  postal_code VARCHAR(20),
  country VARCHAR(60),
  owner_id INTEGER NOT NULL REFERENCES users (id),
  legacy_id INTEGER UNIQUE,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE contacts (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  employer_id INTEGER REFERENCES accounts (id),
  salutation VARCHAR(10) CHECK (salutation IN ('Mr', 'Mrs', 'Ms', 'Dr', 'Rev', 'Hon')),
  first_name VARCHAR(60),
  last_name VARCHAR(60) NOT NULL,
  email VARCHAR(120) CHECK (email LIKE '%_@_%'),
  phone VARCHAR(20),
  job_title VARCHAR(80),
  legacy_id INTEGER NOT NULL UNIQUE
);
CREATE INDEX contacts_account ON contacts (account_id);
CREATE INDEX contacts_employer ON contacts (employer_id);
CREATE TABLE campaigns (
  id UUID PRIMARY KEY NOT NULL,
  name VARCHAR(80) NOT NULL UNIQUE
);
CREATE TABLE campaign_members (
  campaign_id UUID NOT NULL REFERENCES campaigns (id),
  contact_id INTEGER NOT NULL REFERENCES contacts (id),
  status VARCHAR(20) NOT NULL CHECK (status IN ('sent', 'responded')),
  PRIMARY KEY (campaign_id, contact_id)
) WITHOUT ROWID;
CREATE INDEX campaign_members_contact ON campaign_members (contact_id);
CREATE TABLE recurring_gifts (
  id UUID PRIMARY KEY NOT NULL,
  contact_id INTEGER NOT NULL REFERENCES contacts (id),
  name VARCHAR(120) NOT NULL,
  amount DECIMAL(12,2) NOT NULL CHECK (amount > 0),
  period VARCHAR(20) NOT NULL CHECK (period IN ('monthly', 'quarterly', 'yearly')),
  day_of_month SMALLINT CHECK (day_of_month BETWEEN 1 AND 31),
  established_on DATE NOT NULL,
  starts_on DATE NOT NULL,
  active BOOLEAN NOT NULL
);
CREATE INDEX recurring_gifts_contact ON recurring_gifts (contact_id);
CREATE TABLE deals (
  id INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  contact_id INTEGER REFERENCES contacts (id),
  recurring_gift_id UUID REFERENCES recurring_gifts (id),
  name VARCHAR(120) NOT NULL,
  stage VARCHAR(20) NOT NULL CHECK (stage IN ('pledged', 'won', 'lost')),
  amount DECIMAL(12,2) NOT NULL CHECK (amount >= 0),
  closed_on DATE NOT NULL,
  creates_payments BOOLEAN NOT NULL,
  legacy_id INTEGER NOT NULL UNIQUE
);
CREATE INDEX deals_account ON deals (account_id);
CREATE INDEX deals_contact ON deals (contact_id);
CREATE INDEX deals_recurring_gift ON deals (recurring_gift_id);
CREATE TABLE deal_contacts (
  deal_id INTEGER NOT NULL REFERENCES deals (id),
  contact_id INTEGER NOT NULL REFERENCES contacts (id),
  role VARCHAR(20) NOT NULL CHECK (role IN ('donor', 'soft credit', 'influencer', 'household member')),
  is_primary BOOLEAN NOT NULL DEFAULT 0,
  PRIMARY KEY (deal_id, contact_id, role)
);
CREATE INDEX deal_contacts_contact ON deal_contacts (contact_id);
CREATE TABLE payments (
  id UUID PRIMARY KEY NOT NULL,
  deal_id INTEGER NOT NULL REFERENCES deals (id),
  amount DECIMAL(12,2) NOT NULL CHECK (amount >= 0),
  paid_on DATE,
  paid BOOLEAN NOT NULL,
  written_off BOOLEAN NOT NULL,
  CHECK (NOT (paid AND written_off))
);
CREATE INDEX payments_deal ON payments (deal_id);

-- What is there before the take-over: a service desk, and what a pilot brought a year ago.
INSERT INTO users (id, email, name) VALUES (1, 'ada@crm.example', 'Ada'), (2, 'desk@crm.example', 'Service desk');
INSERT INTO accounts (name, kind, country, owner_id, legacy_id) VALUES
  ('Own foundation', 'organisation', 'Germany', 1, NULL),
  ('Porter', 'household', 'United States', 1, 2),
  ('Abatz Incorporated', 'organisation', NULL, 1, 514);
INSERT INTO contacts (account_id, last_name, email, legacy_id) VALUES (1, 'Own', 'own@crm.example', 900001);
