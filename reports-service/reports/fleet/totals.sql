SELECT
    toUInt32(uniqExact(prosthesis_id)) AS prostheses,
    toFloat64(sum(events)) AS events,
    toFloat64(sum(errors)) AS errors,
    if(events = 0, NULL, errors / events) AS error_rate
FROM reports.model_days FINAL
WHERE day > {date:Date32} - 7
    AND day <= {date:Date32}
    AND (prosthesis_id, model_id) IN (SELECT id, model_id FROM crm.prostheses FINAL)
SETTINGS max_memory_usage = 4000000000
