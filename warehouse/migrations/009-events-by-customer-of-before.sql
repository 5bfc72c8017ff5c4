-- ClickHouse builds an added index for new parts only. Without this, queries of one customer's history would read the
-- whole column of rows of a log that was there before 008, until merges have come by.
ALTER TABLE cdc.events MATERIALIZE INDEX IF EXISTS customer;
