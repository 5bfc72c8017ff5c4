ALTER TABLE cdc.events ADD INDEX IF NOT EXISTS customer simpleJSONExtractString(row, 'customer_id') TYPE bloom_filter GRANULARITY 1;
