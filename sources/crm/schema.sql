-- The maker's CRM, as far as Tendon reads it. Everything may be run again: nothing here changes what is there.

CREATE TABLE IF NOT EXISTS customers (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  full_name     text NOT NULL CHECK (full_name <> ''),
  email         text NOT NULL UNIQUE CHECK (email LIKE '%_@_%'),
  phone         text,
  date_of_birth date NOT NULL CHECK (date_of_birth >= '1900-01-01'),
  address       jsonb NOT NULL CHECK (jsonb_typeof(address) = 'object'),
  locale        text NOT NULL,
  time_zone     text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE customers IS 'People who wear, or wore, a prosthesis of ours. A user of reports is a customer.';
COMMENT ON COLUMN customers.id IS 'The user id everywhere: claim customer_id of tokens, name of report objects, key of statistics.';
COMMENT ON COLUMN customers.full_name IS 'The name as the customer writes it, in any script.';
COMMENT ON COLUMN customers.email IS 'Where the clinic writes to; unique, and the login at the identity provider.';
COMMENT ON COLUMN customers.phone IS 'In international form, +49 30 …; absent when the customer gave none.';
COMMENT ON COLUMN customers.date_of_birth IS 'Day of birth.';
COMMENT ON COLUMN customers.address IS 'Postal address: {"line1", "line2"?, "postal_code", "city", "region"?, "country": ISO 3166-1 alpha-2}.';
COMMENT ON COLUMN customers.locale IS 'Language of reports, BCP 47 (de-AT, ja-JP).';
COMMENT ON COLUMN customers.time_zone IS 'Where the customer lives, IANA name (Europe/Vienna).';
COMMENT ON COLUMN customers.created_at IS 'When the customer was entered.';
COMMENT ON COLUMN customers.updated_at IS 'When the row last changed; kept by a trigger.';

CREATE TABLE IF NOT EXISTS prosthesis_models (
  id           integer PRIMARY KEY,
  name         text NOT NULL UNIQUE CHECK (name <> ''),
  kind         text NOT NULL CHECK (kind IN ('hand', 'arm', 'elbow', 'knee', 'foot', 'leg')),
  generation   smallint NOT NULL CHECK (generation > 0),
  weight_grams numeric(7, 1) NOT NULL CHECK (weight_grams > 0),
  list_price   numeric(10, 2) NOT NULL CHECK (list_price >= 0),
  features     text[] NOT NULL DEFAULT '{}',
  released_on  date NOT NULL
);

COMMENT ON TABLE prosthesis_models IS 'The catalogue: what we make and made.';
COMMENT ON COLUMN prosthesis_models.id IS 'Catalogue number, given by hand and never used again.';
COMMENT ON COLUMN prosthesis_models.name IS 'Name on the device and in the report.';
COMMENT ON COLUMN prosthesis_models.kind IS 'Which part of the body it stands for: hand, arm, elbow, knee, foot or leg.';
COMMENT ON COLUMN prosthesis_models.generation IS 'Generation within its line, from 1.';
COMMENT ON COLUMN prosthesis_models.weight_grams IS 'Weight in grams, battery included.';
COMMENT ON COLUMN prosthesis_models.list_price IS 'List price in EUR, without tax.';
COMMENT ON COLUMN prosthesis_models.features IS 'What it can do, as short words for the sales sheet.';
COMMENT ON COLUMN prosthesis_models.released_on IS 'First day of sale.';

CREATE TABLE IF NOT EXISTS prostheses (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  serial_number    text NOT NULL CHECK (serial_number <> ''),
  chip_id          text NOT NULL CHECK (chip_id <> ''),
  customer_id      uuid NOT NULL REFERENCES customers (id),
  model_id         integer NOT NULL REFERENCES prosthesis_models (id),
  side             text NOT NULL CHECK (side IN ('left', 'right')),
  firmware_version text NOT NULL CHECK (firmware_version ~ '^\d+\.\d+\.\d+$'),
  settings         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
  issued_at        date NOT NULL,
  returned_at      date,
  CONSTRAINT prostheses_returned_after_issued CHECK (returned_at >= issued_at),
  UNIQUE (chip_id, issued_at)
);

-- PostgreSQL does not index the referencing side of a foreign key.
CREATE INDEX IF NOT EXISTS prostheses_customer_id ON prostheses (customer_id);
-- A chip is with one customer at a time; earlier owners' rows are closed by returned_at.
CREATE UNIQUE INDEX IF NOT EXISTS prostheses_current_owner ON prostheses (chip_id) WHERE returned_at IS NULL;

COMMENT ON TABLE prostheses IS 'Who had which device when. A device passed on to somebody else is a new row with the same chip_id; the owner''s days are [issued_at, returned_at).';
COMMENT ON COLUMN prostheses.id IS 'One device in one customer''s hands.';
COMMENT ON COLUMN prostheses.serial_number IS 'On the device''s plate; stays with the device when it is passed on.';
COMMENT ON COLUMN prostheses.chip_id IS 'Id of the radio chip, by which telemetry names the device; stays with it too.';
COMMENT ON COLUMN prostheses.customer_id IS 'Who has, or had, it.';
COMMENT ON COLUMN prostheses.model_id IS 'Which model it is.';
COMMENT ON COLUMN prostheses.side IS 'left or right.';
COMMENT ON COLUMN prostheses.firmware_version IS 'Firmware on the device, major.minor.patch.';
COMMENT ON COLUMN prostheses.settings IS 'How the orthopaedist tuned it: {"grip_force_percent", "sensitivity_percent", "modes": […], …}, by kind.';
COMMENT ON COLUMN prostheses.issued_at IS 'First day with this customer, where they live.';
COMMENT ON COLUMN prostheses.returned_at IS 'First day no longer with this customer, where they live; absent while they have it.';

CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_updated_at() IS 'Keeps updated_at true whoever writes.';

CREATE OR REPLACE TRIGGER customers_set_updated_at
  BEFORE UPDATE ON customers
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at();
