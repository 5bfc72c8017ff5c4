-- Twelve weeks that end with the report's day: one range of the primary key (day, model, …). A prosthesis is summed up
-- before it is joined, so that the join sees each once a week. Rows under a model that the CRM has corrected since
-- they were written find no partner.
SELECT
    models.name AS model,
    if(weeks.firmware_version = '', prostheses.firmware_version, weeks.firmware_version) AS firmware_version,
    weeks.week AS week,
    toUInt32(uniqExact(weeks.prosthesis_id)) AS prostheses,
    toFloat64(sum(weeks.events)) AS events,
    toFloat64(sum(weeks.errors)) AS errors,
    errors / events AS error_rate
FROM
(
    SELECT
        model_id,
        prosthesis_id,
        firmware_version,
        toMonday(day) AS week,
        sum(events) AS events,
        sum(errors) AS errors
    FROM reports.model_days FINAL
    WHERE day >= {from:Date32}
        AND day <= {date:Date32}
    GROUP BY model_id, prosthesis_id, firmware_version, week
    HAVING events > 0
) AS weeks
INNER JOIN
(
    SELECT id, model_id, firmware_version
    FROM crm.prostheses FINAL
) AS prostheses ON prostheses.id = weeks.prosthesis_id AND prostheses.model_id = weeks.model_id
LEFT JOIN
(
    SELECT id, name
    FROM crm.prosthesis_models FINAL
) AS models ON models.id = weeks.model_id
GROUP BY model, firmware_version, week
ORDER BY week, model, firmware_version
SETTINGS max_memory_usage = 4000000000
