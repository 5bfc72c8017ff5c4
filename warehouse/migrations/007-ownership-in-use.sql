CREATE TABLE IF NOT EXISTS reports.etl_ownership_in_use
(
    run_seq UInt64 COMMENT 'Run or part of a backfill that measured by it',
    prosthesis_id UUID COMMENT 'Prosthesis',
    user_id UUID COMMENT 'Customer who had it',
    chip_id String COMMENT 'Its chip',
    model_id Int32 COMMENT 'Its model',
    issued_day Int32 COMMENT 'First day with the customer, in days since 1970-01-01',
    returned_day Nullable(Int32) COMMENT 'First day no longer with them; null while they had it',
    time_zone String COMMENT 'Where the customer lived, IANA name; empty when it was not known',
    is_gone UInt8 COMMENT '1 when the CRM had it no longer',
    noted_at DateTime DEFAULT now() COMMENT 'When it was written down'
)
ENGINE = MergeTree
ORDER BY (run_seq, prosthesis_id)
TTL noted_at + INTERVAL 400 DAY
COMMENT 'What a run sees otherwise than etl_ownership has it, written before it loads: should it die, or be a backfill, rows of these owners may stand. Counts until the next run that succeeds';
