import { readFileSync, rmSync } from 'node:fs'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { createReplicaSql, deriveReplica } from './derive-table.ts'
import { deriveViews } from './derive-view.ts'
rmSync('/tmp/w/perf', { recursive: true, force: true })
const ch = await startChdbServer({ dataPath: '/tmp/w/perf' })
const w = createWarehouse(ch)
await applyMigrations(w)
const cpu = () => { const f = readFileSync(`/proc/${ch.pid()}/stat`, 'utf8').split(') ')[1]!.split(' '); return (Number(f[11]) + Number(f[12])) / 100 }
const t = async (what: string, run: () => Promise<unknown>) => { const c = cpu(), s = performance.now(); await run(); console.log(what, 'cpu', (cpu() - c).toFixed(2), 'wall', ((performance.now() - s) / 1000).toFixed(2)) }
const text = (name: string, number: number, type = 'text', notNull = true) => ({ name, number, typeOid: 25, type: { name: type }, notNull })
const source = { entry: { name: 'public.customers', users: '' }, qualifiedName: 'public.customers', schema: 'public', name: 'customers', key: ['id'], columns: [text('id', 1, 'uuid'), text('full_name', 2), text('email', 3), text('phone', 4, 'text', false), text('date_of_birth', 5, 'date'), text('address', 6, 'jsonb'), text('locale', 7), text('time_zone', 8), text('created_at', 9, 'timestamptz'), text('updated_at', 10, 'timestamptz')] }
const replica = deriveReplica(source)
await w.command(createReplicaSql(replica))
await w.command(`create table default.src (table String, key String, version UInt128, lsn UInt64, op String, deleted UInt8, row String, tx_id UInt64, committed_at DateTime64(6,'UTC')) engine=Memory`)
await w.command(`insert into default.src with concat('{"id":"', toString(generateUUIDv4(number)), '"') as k select 'public.customers', concat(k, '}'), number, number, 'u', 0, concat(k, ',"full_name":"n', toString(number), '","email":"e', toString(number), '@x.y","phone":null,"date_of_birth":"1980-01-01Z","address":"{\\\\"a\\\\": \\\\"b\\\\", \\\\"city\\\\": \\\\"Berlin\\\\"}","locale":"de","time_zone":"Europe/Berlin","created_at":"2026-11-21T13:25:07.506112Z","updated_at":"2026-11-21T13:25:09.696069Z","__op":"u","__deleted":"false","__source_lsn":30193528,"__source_ts_ms":1795267509701,"__source_table":"customers","__source_txId":33}'), 5, now64(6) from numbers(200000)`)
const ins = (target: string) => w.command(`insert into ${target} (table,key,version,lsn,op,deleted,row,tx_id,committed_at) select * from default.src settings max_block_size=20000`)
await w.command('create table default.plain as cdc.events engine=MergeTree order by (table,key,version)')
await w.command('create table default.zst as cdc.events engine=Null')
await t('null', () => ins('default.zst'))
await t('plain MergeTree', () => ins('default.plain'))
await t('events without views', () => ins('cdc.events'))
const [view] = deriveViews(replica)
const sel = view!.sql.slice(view!.sql.indexOf(' AS ') + 4).replaceAll('cdc.events', 'default.src')
await t('select of view only', () => w.command(`insert into function null('${'x String'}') select toString(cityHash64(*)) from (${sel})`))
await t('raw parse only', () => w.command(`insert into function null('x UInt64') select cityHash64(JSONExtract(row, 'Tuple(__op String, id UUID, full_name String, email String, phone Nullable(String), date_of_birth String, address String, locale String, time_zone String, created_at String, updated_at String)')) from default.src`))
await t('raw parse strings', () => w.command(`insert into function null('x UInt64') select cityHash64(JSONExtract(row, 'Tuple(__op String, id String, full_name String, email String, phone String, date_of_birth String, address String, locale String, time_zone String, created_at String, updated_at String)')) from default.src`))
await t('isValidJSON', () => w.command(`insert into function null('x UInt64') select isValidJSON(row) from default.src`))
await w.command(view!.sql)
await t('events with view', () => ins('cdc.events'))
await t('merge', () => new Promise(r => setTimeout(r, 3000)))
await w.close(); await ch.stop()
