SELECT
    id,
    name
FROM crm.prosthesis_models FINAL
SETTINGS max_memory_usage = 100000000
