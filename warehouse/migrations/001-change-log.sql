CREATE DATABASE IF NOT EXISTS cdc ENGINE = Atomic COMMENT 'The log of every change of the CRM, and how far it has been read';

CREATE DATABASE IF NOT EXISTS crm ENGINE = Atomic COMMENT 'Replicas of the CRM tables; cdc/ derives them from the registry and the source catalog';

CREATE TABLE IF NOT EXISTS cdc.events
(
    table LowCardinality(String) COMMENT 'Source table as schema.table',
    key String COMMENT 'Key columns as JSON, in key order; empty for a truncate',
    version UInt128 COMMENT 'Place in commit order: commit LSN << 64 | index in the transaction',
    lsn UInt64 COMMENT 'LSN of the change itself, for the audit; it is not the commit order',
    op LowCardinality(String) COMMENT 'r read by a snapshot, c created, u updated, d deleted, t truncated',
    deleted UInt8 COMMENT '1 when the row is gone after this change',
    row String COMMENT 'The row after the change, as Debezium writes it unwrapped (JSON)',
    tx_id UInt64 COMMENT 'Source transaction; 0 for a snapshot',
    committed_at DateTime64(6, 'UTC') COMMENT 'When the source committed it, by the source clock',
    ingested_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was stored here'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(committed_at)
ORDER BY (table, key, version)
TTL toDateTime(committed_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Every change of the CRM in commit order. Storing a change twice changes nothing: read with FINAL';

CREATE TABLE IF NOT EXISTS cdc.dead_letters
(
    table LowCardinality(String) COMMENT 'Source table as schema.table',
    key String COMMENT 'Key columns as JSON; empty when they could not be read',
    version UInt128 COMMENT 'Place in commit order, as in cdc.events',
    lsn UInt64 COMMENT 'LSN of the change itself',
    op LowCardinality(String) COMMENT 'As in cdc.events',
    reason String COMMENT 'Why it could not be applied',
    encoding LowCardinality(String) COMMENT 'json: the message is the row as in cdc.events; hex: it is the undecoded replication message',
    message String COMMENT 'The whole message',
    committed_at DateTime64(6, 'UTC') COMMENT 'When the source committed it',
    failed_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was put here'
)
ENGINE = ReplacingMergeTree
ORDER BY (table, version, key)
COMMENT 'Changes that could not be applied, kept whole; the feed goes on without them';

CREATE TABLE IF NOT EXISTS cdc.positions
(
    feed LowCardinality(String) COMMENT 'Replication slot of the feed',
    position UInt64 COMMENT 'lsn + version_offset: rises for ever, also over a change of the source history',
    lsn UInt64 COMMENT 'Everything committed below it is stored, and the users concerned are invalidated',
    version UInt128 COMMENT 'Newest change stored',
    committed_at DateTime64(6, 'UTC') COMMENT 'When the source committed the newest change stored',
    system_identifier String COMMENT 'Source cluster, as IDENTIFY_SYSTEM names it',
    timeline UInt32 COMMENT 'Timeline of the source',
    version_offset UInt64 COMMENT 'Added to LSNs in versions; above 0 once the source history has gone back',
    stored_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When this was written'
)
ENGINE = ReplacingMergeTree(position)
ORDER BY feed
COMMENT 'How far each feed has come, written before PostgreSQL is told. Read with FINAL';

CREATE TABLE IF NOT EXISTS cdc.snapshots
(
    table LowCardinality(String) COMMENT 'Source table as schema.table',
    version UInt128 COMMENT 'Version of the rows of the snapshot: consistent point << 64 | 1',
    membership String COMMENT 'Identity of the table in the publication; another one means that changes may be missing since',
    rows UInt64 COMMENT 'Rows read',
    finished_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When all of them were stored'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY table
COMMENT 'The last finished snapshot of each table. A table without one has never been read whole';
