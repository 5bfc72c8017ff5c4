-- Every prosthesis that is the customer's by the newest version of its row, given back ones included. The inner
-- SELECT finds candidates without FINAL, so that FINAL merges only their granules.
SELECT
    owned.id AS prosthesis_id,
    owned.serial_number AS serial_number,
    models.name AS model,
    owned.side AS side,
    owned.firmware_version AS firmware_version,
    owned.issued_at AS issued_at,
    owned.returned_at AS returned_at
FROM
(
    SELECT id, serial_number, model_id, side, firmware_version, issued_at, returned_at
    FROM crm.prostheses FINAL
    WHERE id IN (SELECT id FROM crm.prostheses WHERE customer_id = {user_id:UUID})
        AND customer_id = {user_id:UUID}
        AND issued_at <= {date:Date32}
) AS owned
LEFT JOIN
(
    SELECT id, name
    FROM crm.prosthesis_models FINAL
) AS models ON models.id = owned.model_id
ORDER BY issued_at DESC, serial_number, prosthesis_id
SETTINGS max_memory_usage = 500000000
