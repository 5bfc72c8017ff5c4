-- The prostheses of the last seven days, the worst first. A rate of very few events says little.
SELECT
    prostheses.id AS prosthesis_id,
    prostheses.serial_number AS serial_number,
    prostheses.customer_id AS user_id,
    models.name AS model,
    prostheses.firmware_version AS firmware_version,
    toFloat64(devices.events) AS events,
    toFloat64(devices.errors) AS errors,
    errors / events AS error_rate
FROM
(
    SELECT
        model_id,
        prosthesis_id,
        sum(events) AS events,
        sum(errors) AS errors
    FROM reports.model_days FINAL
    WHERE day > {date:Date32} - 7
        AND day <= {date:Date32}
    GROUP BY model_id, prosthesis_id
    HAVING events >= {fewest_events:UInt32} AND errors > 0
) AS devices
INNER JOIN
(
    SELECT id, serial_number, customer_id, model_id, firmware_version
    FROM crm.prostheses FINAL
) AS prostheses ON prostheses.id = devices.prosthesis_id AND prostheses.model_id = devices.model_id
LEFT JOIN
(
    SELECT id, name
    FROM crm.prosthesis_models FINAL
) AS models ON models.id = devices.model_id
ORDER BY error_rate DESC, errors DESC, prosthesis_id
LIMIT {limit:UInt32}
SETTINGS max_memory_usage = 4000000000
