ALTER TABLE cdc.events
    ADD COLUMN IF NOT EXISTS topic LowCardinality(String) COMMENT 'Kafka topic the change came by; empty when it was read from the WAL in process',
    ADD COLUMN IF NOT EXISTS partition UInt32 COMMENT 'Its partition',
    ADD COLUMN IF NOT EXISTS offset UInt64 COMMENT 'Its offset; not the commit order';

ALTER TABLE cdc.dead_letters
    ADD COLUMN IF NOT EXISTS topic LowCardinality(String) COMMENT 'Kafka topic of the message; empty when it was read from the WAL in process',
    ADD COLUMN IF NOT EXISTS partition UInt32 COMMENT 'Its partition',
    ADD COLUMN IF NOT EXISTS offset UInt64 COMMENT 'Its offset',
    MODIFY ORDER BY (table, version, key, topic, partition, offset),
    MODIFY COLUMN encoding LowCardinality(String) COMMENT 'json: the message is the row as in cdc.events; hex: it is the undecoded replication message; kafka: it is the value of a Kafka message';

CREATE TABLE IF NOT EXISTS cdc.messages
(
    topic LowCardinality(String) COMMENT 'Kafka topic',
    partition UInt32 COMMENT 'Partition',
    offset UInt64 COMMENT 'Offset',
    key String COMMENT 'Key of the message',
    value String COMMENT 'Value of the message, or what could not be parsed',
    error String COMMENT 'Why it could not be parsed; empty otherwise'
)
ENGINE = Null
COMMENT 'Change messages from Kafka on their way to cdc.events and cdc.dead_letters, by the views of cdc/; nothing stays here';

CREATE TABLE IF NOT EXISTS cdc.registry
(
    table String COMMENT 'Source table as schema.table',
    omit_columns Array(String) COMMENT 'Columns that stay out of the warehouse',
    types Map(String, String) COMMENT 'Narrower ClickHouse types than the default, by column',
    users String COMMENT 'SELECT of the user_id that a change concerns, as in cdc/registry.ts',
    added_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was added'
)
ENGINE = ReplacingMergeTree(added_at)
ORDER BY table
COMMENT 'Tables carried beside those that cdc/registry.ts declares: npm run cdc -- add. Read with FINAL';
