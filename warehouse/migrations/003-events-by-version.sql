ALTER TABLE cdc.events ADD INDEX IF NOT EXISTS version_range version TYPE minmax GRANULARITY 1;
