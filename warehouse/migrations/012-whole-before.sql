-- The default is for positions that were stored before there was this column, until the feed says it itself, within
-- seconds: the transaction of the newest change stored may be visible by half, as may all that comes after it. The
-- position would not do: behind Debezium a version's upper half is where the transaction before has ended, which lies
-- below the position also when the transaction itself comes after it. Nor would 0: all of the CRM would be in motion.
ALTER TABLE cdc.positions
    ADD COLUMN IF NOT EXISTS whole_before UInt128 DEFAULT bitShiftLeft(bitShiftRight(version, 64), 64) COMMENT 'A change below it belongs to a transaction that is whole in the replicas' AFTER version;
