CREATE TABLE IF NOT EXISTS crm.`customers`
(
  `id` UUID COMMENT 'public.customers, column 1',
  `full_name` String COMMENT 'public.customers, column 2',
  `email` String COMMENT 'public.customers, column 3',
  `phone` Nullable(String) COMMENT 'public.customers, column 4',
  `date_of_birth` Date32 COMMENT 'public.customers, column 5',
  `address` String COMMENT 'public.customers, column 6',
  `locale` String COMMENT 'public.customers, column 7',
  `time_zone` String COMMENT 'public.customers, column 8',
  `created_at` DateTime64(6, 'UTC') COMMENT 'public.customers, column 9',
  `updated_at` DateTime64(6, 'UTC') COMMENT 'public.customers, column 10',
  _version UInt128 COMMENT 'Place in commit order, as in cdc.events',
  _deleted UInt8 COMMENT '1 when the row is gone'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (`id`);

CREATE TABLE IF NOT EXISTS crm.`prosthesis_models`
(
  `id` Int32 COMMENT 'public.prosthesis_models, column 1',
  `name` String COMMENT 'public.prosthesis_models, column 2',
  `kind` String COMMENT 'public.prosthesis_models, column 3',
  `generation` Int16 COMMENT 'public.prosthesis_models, column 4',
  `weight_grams` Decimal(7, 1) COMMENT 'public.prosthesis_models, column 5',
  `list_price` Decimal(10, 2) COMMENT 'public.prosthesis_models, column 6',
  `features` Array(String) COMMENT 'public.prosthesis_models, column 7',
  `released_on` Date32 COMMENT 'public.prosthesis_models, column 8',
  _version UInt128 COMMENT 'Place in commit order, as in cdc.events',
  _deleted UInt8 COMMENT '1 when the row is gone'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (`id`);

CREATE TABLE IF NOT EXISTS crm.`prostheses`
(
  `id` UUID COMMENT 'public.prostheses, column 1',
  `serial_number` String COMMENT 'public.prostheses, column 2',
  `chip_id` String COMMENT 'public.prostheses, column 3',
  `customer_id` UUID COMMENT 'public.prostheses, column 4',
  `model_id` Int32 COMMENT 'public.prostheses, column 5',
  `side` String COMMENT 'public.prostheses, column 6',
  `firmware_version` String COMMENT 'public.prostheses, column 7',
  `settings` String COMMENT 'public.prostheses, column 8',
  `issued_at` Date32 COMMENT 'public.prostheses, column 9',
  `returned_at` Nullable(Date32) COMMENT 'public.prostheses, column 10',
  _version UInt128 COMMENT 'Place in commit order, as in cdc.events',
  _deleted UInt8 COMMENT '1 when the row is gone'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (`id`);
