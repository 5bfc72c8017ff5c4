import { defineErrors } from '@tendon/platform/errors.ts'

export const cdcErrors = defineErrors('CDC', {
  sourceUnavailable: {
    number: 1,
    status: 503,
    title: 'The CRM database cannot be reached',
    help: 'Check CRM_DATABASE_URL, that PostgreSQL runs, and that the user may log in; the feed goes on by itself.',
  },
  logicalDecodingOff: {
    number: 2,
    status: 503,
    title: 'The CRM database does not offer logical replication',
    help: 'Set wal_level = logical and restart PostgreSQL, and give the user the REPLICATION attribute.',
  },
  slotBusy: {
    number: 3,
    status: 503,
    title: 'Another process reads the replication slot',
    help: 'Stop the other feed, or give this one a slot of its own; the feed waits and goes on by itself.',
  },
  slotLost: {
    number: 4,
    status: 503,
    title: 'The replication slot is gone, or lost its WAL',
    help: 'Nothing to do: a new snapshot is taken. If it happens again, raise max_slot_wal_keep_size.',
  },
  warehouseBehindSlot: {
    number: 5,
    status: 503,
    title: 'The warehouse has lost changes that were confirmed',
    help: 'Nothing to do: a new snapshot is taken. Was ClickHouse restored from a backup, or its data removed?',
  },
  sourceChanged: {
    number: 6,
    status: 503,
    title: 'The CRM database is another one, or its history went back',
    help: 'Nothing to do: a new snapshot is taken. Was PostgreSQL restored or failed over?',
  },
  tableMissing: {
    number: 7,
    status: 503,
    title: 'A table of the registry is not in the CRM database',
    help: 'Create the table, or take it out of the registry (cdc/registry.ts).',
  },
  tableWithoutKey: {
    number: 8,
    status: 503,
    title: 'A table of the registry has no key',
    help: 'Give the table a primary key, and a replica identity other than NOTHING.',
  },
  columnNotSupported: {
    number: 9,
    status: 503,
    title: 'A column cannot be replicated as the registry says',
    help: 'Change its entry in cdc/registry.ts, or rename the column.',
  },
  tableNotSnapshotted: {
    number: 10,
    status: 503,
    title: 'A table has changes that were not recorded',
    help: 'Nothing to do: a new snapshot is taken. Tables added to the registry or to the publication need one.',
  },
  schemaChanged: {
    number: 11,
    status: 503,
    title: 'A table has changed its shape',
    help: 'Nothing to do: the replica is brought to the new shape.',
  },
  changeNotApplied: {
    number: 12,
    status: 500,
    title: 'A change could not be applied',
    help: 'It is kept whole in cdc.dead_letters, with the reason.',
  },
  streamBroken: {
    number: 13,
    status: 503,
    title: 'The stream of changes ended',
    help: 'Nothing to do: the feed reconnects by itself.',
  },
  publicationRefused: {
    number: 15,
    status: 503,
    title: 'The publication cannot be made',
    help: 'Let the owner of the tables run the statement in the detail; the feed goes on by itself.',
  },
  notCaughtUp: {
    number: 14,
    status: 503,
    title: 'The feed did not catch up in time',
    help: 'See `npm run cdc -- status` for what it is waiting for.',
  },
  connectUnavailable: {
    number: 16,
    status: 503,
    title: 'Kafka Connect cannot be reached',
    help: 'Check KAFKA_CONNECT_URL and that Kafka Connect runs; the feed goes on by itself.',
  },
  connectRefused: {
    number: 17,
    status: 503,
    title: 'Kafka Connect refused what the feed asked of it',
    help: 'See the log of Kafka Connect, and `npm run cdc -- status`; the feed tries again by itself.',
  },
  connectorFailed: {
    number: 18,
    status: 503,
    title: 'The connector has failed',
    help: 'It is restarted. If it fails again: its trace is in the log and in `npm run cdc -- status`.',
  },
  kafkaUnavailable: {
    number: 19,
    status: 503,
    title: 'Kafka cannot be reached',
    help: 'Check KAFKA_BROKERS and that the brokers run; the feed goes on by itself.',
  },
})
