-- One row always; full_name is NULL when there is no such customer.
-- Their zone is that by which the ETL job cuts their days: the CRM's, where it has one that is known, or the job's default;
-- before its first run UTC.
WITH
    (SELECT groupArray(time_zone) FROM system.time_zones) AS zones,
    (
        SELECT argMax(default_time_zone, run_seq)
        FROM reports.succeeded_runs
        WHERE kind = 'run'
    ) AS default_zone
SELECT
    anyOrNull(customers.full_name) AS full_name,
    coalesce(
        nullIf(arrayFirst(zone -> lower(zone) = lower(any(customers.time_zone)), zones), ''),
        nullIf(default_zone, ''),
        'UTC'
    ) AS time_zone
FROM crm.customers FINAL
WHERE id = {user_id:UUID}
SETTINGS max_memory_usage = 100000000
