-- The user's own days, and beside each the median of the prostheses of the same model that day. Both are ranges of
-- their tables' primary keys: (user, …) and (day, model, …).
--
-- A row of model_days stays under the model it was written with; those of a prosthesis whose model the CRM has
-- corrected since then are left out.
WITH own AS
(
    SELECT
        prosthesis_id,
        day,
        model_id,
        error_rate,
        response_time_avg_ms,
        battery_avg_percent,
        active_minutes
    FROM reports.user_prosthesis_stats FINAL
    WHERE user_id = {user_id:UUID}
        AND day > {date:Date32} - {days:UInt16}
        AND day <= {date:Date32}
)
SELECT
    own.prosthesis_id AS prosthesis_id,
    own.day AS day,
    own.error_rate AS error_rate,
    medians.error_rate AS model_error_rate,
    own.response_time_avg_ms AS response_time_avg_ms,
    medians.response_time_avg_ms AS model_response_time_avg_ms,
    own.battery_avg_percent AS battery_avg_percent,
    medians.battery_avg_percent AS model_battery_avg_percent,
    own.active_minutes AS active_minutes,
    medians.active_minutes AS model_active_minutes,
    ifNull(medians.prostheses, 0) AS model_prostheses
FROM own
LEFT JOIN
(
    SELECT
        day,
        model_id,
        quantileExactInclusive(0.5)(error_rate) AS error_rate,
        quantileExactInclusiveOrNull(0.5)(response_time_avg_ms) AS response_time_avg_ms,
        quantileExactInclusiveOrNull(0.5)(battery_avg_percent) AS battery_avg_percent,
        quantileExactInclusive(0.5)(active_minutes) AS active_minutes,
        toUInt32(count()) AS prostheses
    FROM reports.model_days FINAL
    WHERE day > {date:Date32} - {days:UInt16}
        AND day <= {date:Date32}
        AND model_id IN (SELECT model_id FROM own)
        AND (prosthesis_id, model_id) IN (SELECT id, model_id FROM crm.prostheses FINAL)
    GROUP BY day, model_id
) AS medians ON medians.day = own.day AND medians.model_id = own.model_id
ORDER BY prosthesis_id, day
SETTINGS max_memory_usage = 1000000000, join_use_nulls = 1
