-- The prostheses that a customer had on a day: ownership is the half-open interval [issued_at, returned_at). With
-- `given_back`, those given back before it too.
--
-- FINAL merges whatever it reads, so it is given ids and reads only their granules by the primary key. The
-- inner SELECT finds them without FINAL, in two columns: all that were ever this customer's in any version of
-- their rows, of which the outer conditions keep those that are so in the newest.
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
        AND ({given_back:Bool} OR returned_at IS NULL OR returned_at > {date:Date32})
) AS owned
LEFT JOIN
(
    SELECT id, name
    FROM crm.prosthesis_models FINAL
) AS models ON models.id = owned.model_id
ORDER BY serial_number, prosthesis_id
SETTINGS max_memory_usage = 500000000
