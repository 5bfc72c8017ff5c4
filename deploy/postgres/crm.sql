-- Run once in the new CRM database. Debezium needs no more than this: it may read, and follow the WAL. The
-- publication is made by the tables' owner (npm run cdc -- apply). The password is for loopback only.
CREATE ROLE tendon_cdc LOGIN REPLICATION PASSWORD 'tendon-on-loopback';
GRANT USAGE ON SCHEMA public TO tendon_cdc;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO tendon_cdc;
