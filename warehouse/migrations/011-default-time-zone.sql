ALTER TABLE reports.etl_runs
    ADD COLUMN IF NOT EXISTS default_time_zone LowCardinality(String) DEFAULT 'UTC' COMMENT 'Zone of the days of customers for whom the CRM has none, IANA name' AFTER definition;
