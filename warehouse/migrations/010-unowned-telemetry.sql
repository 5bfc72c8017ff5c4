CREATE TABLE IF NOT EXISTS reports.etl_unowned
(
    chip_id String COMMENT 'Chip that sent the telemetry',
    day Date COMMENT 'Day of the telemetry in the default time zone',
    rows UInt32 COMMENT 'Telemetry rows of that day that are nobody’s',
    is_known UInt8 COMMENT '1 when the CRM has a prosthesis with this chip, which nobody had then',
    _version UInt64 COMMENT 'Run that wrote the row',
    _deleted UInt8 COMMENT '1 when the telemetry is somebody’s now, or gone'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (chip_id, day)
COMMENT 'Telemetry that belongs to nobody, by chip and day: no number is made from it until the CRM says who had the chip. Read with FINAL';
