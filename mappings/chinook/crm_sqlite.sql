-- The CRM of a record company that chinook.yaml loads into: no artists and albums of their own, e-mails as JSON, playlists as arrays.
CREATE TABLE staff (
  id INTEGER PRIMARY KEY,
  name varchar(60) NOT NULL,
  title varchar(30),
  email varchar(60) NOT NULL UNIQUE,
  born_on date,
  hired_on date,
  reports_to integer REFERENCES staff (id)
);

CREATE TABLE customers (
  id UUID PRIMARY KEY,
  name varchar(80) NOT NULL,
  kind varchar(10) NOT NULL CHECK (kind IN ('person', 'company')),
  emails JSON NOT NULL DEFAULT '[]',
  phones JSON NOT NULL DEFAULT '[]',
  street varchar(70),
  city varchar(40),
  region varchar(40),
  postal_code varchar(10),
  country char(2) NOT NULL,
  rep_id integer REFERENCES staff (id)
);

CREATE TABLE tracks (
  id INTEGER PRIMARY KEY,
  name varchar(200) NOT NULL,
  album varchar(160),
  artist varchar(120),
  composers JSON NOT NULL DEFAULT '[]',
  genre varchar(40) NOT NULL,
  medium varchar(40) NOT NULL,
  seconds DECIMAL(9, 3) NOT NULL CHECK (seconds > 0),
  length varchar(6) NOT NULL,
  price DECIMAL(10, 2) NOT NULL
);

CREATE TABLE playlists (
  id INTEGER PRIMARY KEY,
  name varchar(120) NOT NULL,
  track_ids JSON NOT NULL DEFAULT '[]'
);

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id UUID NOT NULL REFERENCES customers (id),
  ordered_on date NOT NULL,
  total DECIMAL(10, 2) NOT NULL,
  country char(2) NOT NULL
);

CREATE TABLE order_lines (
  order_id integer NOT NULL REFERENCES orders (id),
  track_id integer NOT NULL REFERENCES tracks (id),
  price DECIMAL(10, 2) NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, track_id)
);

CREATE TABLE playlist_tracks (
  playlist_id integer NOT NULL REFERENCES playlists (id) ON DELETE CASCADE,
  track_id integer NOT NULL REFERENCES tracks (id),
  PRIMARY KEY (playlist_id, track_id)
);
