-- $1 customers with values as they occur in a CRM: names beyond ASCII, JSON, dates, some nulls.
INSERT INTO customers (full_name, email, phone, date_of_birth, address, locale, time_zone)
SELECT
  'Müller Söhne ' || i,
  'customer-' || i || '@example.org',
  CASE WHEN i % 10 <> 0 THEN '+49 30 ' || 1000000 + i END,
  DATE '1940-01-01' + i % 25000,
  jsonb_build_object('line1', 'Unter den Linden ' || i % 150, 'postal_code', '10117', 'city', 'Berlin', 'country', 'DE'),
  'de-DE',
  'Europe/Berlin'
FROM generate_series(1, $1::integer) AS i
