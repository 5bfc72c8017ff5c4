-- Whose name or e-mail address has the text in it, or whose id, or whose prosthesis's chip or serial number, given back ones
-- included, it is. The CRM's customers are read whole: some hundred thousand short rows, seldom.
SELECT
    id AS user_id,
    full_name,
    email
FROM crm.customers FINAL
WHERE positionCaseInsensitiveUTF8(full_name, {text:String}) > 0
    OR positionCaseInsensitiveUTF8(email, {text:String}) > 0
    OR toString(id) = lower({text:String})
    OR id IN (
        SELECT customer_id
        FROM crm.prostheses FINAL
        WHERE lower(chip_id) = lower({text:String})
            OR lower(serial_number) = lower({text:String})
    )
ORDER BY full_name, id
LIMIT {limit:UInt32}
SETTINGS max_memory_usage = 1000000000
