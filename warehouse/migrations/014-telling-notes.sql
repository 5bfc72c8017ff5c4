CREATE TABLE IF NOT EXISTS cdc.telling_notes
(
    feed LowCardinality(String) COMMENT 'Name of its replication slot',
    worker UUID COMMENT 'Process of the feed that has noted it, in one of its lives',
    table LowCardinality(String) COMMENT 'Source table as schema.table whose ids are meant, empty for what the worker waits for',
    code LowCardinality(String) COMMENT 'What is wrong, as in docs/errors.md, empty once it is over',
    detail String COMMENT 'The same in words',
    noted_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was so'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (feed, worker, table)
TTL toDateTime(noted_at) + INTERVAL 2 DAY
COMMENT 'Why nobody is told whose reports have changed, and ids that are no users, for who asks from outside. Read with FINAL';
