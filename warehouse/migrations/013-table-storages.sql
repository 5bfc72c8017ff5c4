CREATE TABLE IF NOT EXISTS cdc.table_storages
(
    table LowCardinality(String) COMMENT 'Source table as schema.table',
    storage String COMMENT 'JSON: the files that hold it, the last change of each column, the labels of its enums',
    noted_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was as this says'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY table
COMMENT 'How each table was stored at the source when it was last looked at: PostgreSQL rewrites values without a word in its WAL. Read with FINAL';
