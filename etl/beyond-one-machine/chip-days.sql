-- The metrics of whole days, by the cluster: metrics.ts once more, for telemetry that lies in ClickHouse. A day is that of
-- the zone {zone}. quantileExactInclusive interpolates as percentile_cont does; the mean is summed in ascending order.
SELECT
    chip_id,
    toString(toDate(recorded_at, {zone:String})) AS day,
    count() AS events,
    countIf(has_error = 1) AS errors,
    errors / events AS error_rate,
    if(empty(times), NULL, arrayFold((sum, ms) -> sum + ms, times, toFloat64(0)) / length(times)) AS response_time_avg_ms,
    if(empty(times), NULL, quantileExactInclusiveOrNull(0.95)(toFloat64(response_time_ms))) AS response_time_p95_ms,
    min(battery_percent) AS battery_min_percent,
    sumOrNull(battery_percent) / count(battery_percent) AS battery_avg_percent,
    ifNull(sum(active_ms), 0) / 60000 AS active_minutes,
    toUInt64(ifNull(sum(movement_count), 0)) AS movements,
    arraySort(groupArrayIf(toFloat64(assumeNotNull(response_time_ms)), isNotNull(response_time_ms))) AS times
FROM telemetry.events FINAL
GROUP BY chip_id, day
ORDER BY chip_id, day
