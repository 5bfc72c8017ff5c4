SELECT
    id,
    name
FROM crm.prosthesis_models FINAL
SETTINGS max_execution_time = 10, max_memory_usage = 100000000
