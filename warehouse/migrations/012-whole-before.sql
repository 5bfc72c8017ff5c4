ALTER TABLE cdc.positions
    ADD COLUMN IF NOT EXISTS whole_before UInt128 DEFAULT bitShiftLeft(toUInt128(position), 64) + 2 COMMENT 'A change below it belongs to a transaction that is whole in the replicas' AFTER version;
