import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import { oidc } from './npm-oidc-provider.ts'

const schema = `
  CREATE TABLE IF NOT EXISTS record (
    model      TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    payload    TEXT    NOT NULL,
    grant_id   TEXT,
    uid        TEXT,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (model, id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS record_grant ON record (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS record_uid ON record (uid) WHERE uid IS NOT NULL;
  CREATE INDEX IF NOT EXISTS record_expiry ON record (expires_at);
  CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`

const upsertRecord = `
  INSERT INTO record (model, id, payload, grant_id, uid, expires_at)
  VALUES (:model, :id, :payload, :grant_id, :uid, :expires_at)
  ON CONFLICT (model, id) DO UPDATE
  SET payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid, expires_at = excluded.expires_at
`
const findRecord = 'SELECT payload FROM record WHERE model = :model AND id = :id AND expires_at > :now'
const findRecordByUid = 'SELECT payload FROM record WHERE model = :model AND uid = :uid AND expires_at > :now'
const findSessionBySid = `
  SELECT record.id FROM record, json_each(payload, '$.authorizations') AS authorized
  WHERE model = 'Session' AND json_extract(authorized.value, '$.sid') = :sid AND expires_at > :now
`
const consumeRecord = `
  UPDATE record SET payload = json_set(payload, '$.consumed', :now)
  WHERE model = :model AND id = :id AND json_extract(payload, '$.consumed') IS NULL
`
/**
 * A refresh token may be used once more, for when the answer to its first use was lost on its way; but only while nothing
 * that came of it has been used. As Keycloak has it with `refreshTokenMaxReuse` 1: the sign-in's other tokens end with
 * the first use of one of them, so that of two that share a token, one is found out (RFC 9700 §4.14.2).
 */
const useRefreshToken = `
  UPDATE record
  SET payload = json_set(payload, iif(json_extract(payload, '$.usedOnce') IS NULL, '$.usedOnce', '$.consumed'), :now)
  WHERE model = 'RefreshToken' AND id = :id AND json_extract(payload, '$.consumed') IS NULL
  RETURNING grant_id, json_extract(payload, '$.nonce') AS nonce, json_extract(payload, '$.consumed') IS NULL AS is_first
`
// Sign-ins of one browser share a grant; each has a nonce of its own, which all its refresh tokens carry.
const consumeOthersOfSignIn = `
  UPDATE record SET payload = json_set(payload, '$.consumed', :now)
  WHERE model = 'RefreshToken' AND grant_id = :grant_id AND id <> :id
    AND json_extract(payload, '$.nonce') IS :nonce AND json_extract(payload, '$.consumed') IS NULL
`
const destroyRecord = 'DELETE FROM record WHERE model = :model AND id = :id'
const destroyGrantRecords = 'DELETE FROM record WHERE model = :model AND grant_id = :grant_id'
const deleteExpired = 'DELETE FROM record WHERE expires_at <= :now'
const deleteBeyondBound = `
  DELETE FROM record WHERE rowid IN (
    SELECT rowid FROM record WHERE model = :model ORDER BY expires_at DESC LIMIT -1 OFFSET :bound
  )
`
const findSecret = 'SELECT value FROM secret WHERE name = :name'
const insertSecret = 'INSERT OR IGNORE INTO secret (name, value) VALUES (:name, :value)'

/** Anybody can begin a sign-in, so what that leaves behind has a bound; the oldest go first. */
const maxInteractions = 10_000
const sweepIntervalMs = 30_000
/** Of records that the provider gives no lifetime, so that nothing stays for ever. */
const defaultLifetimeSeconds = 24 * 3600

export type ProviderStore = ReturnType<typeof openProviderStore>

/**
 * What the provider must not forget over a restart: its keys, sessions, grants and refresh tokens, in one
 * SQLite file that only its owner can read.
 *
 * SQLite rather than the library's default store, which is one LRU of 1,000 entries in memory. A killed process
 * loses nothing that was acknowledged (WAL, https://www.sqlite.org/wal.html).
 */
export function openProviderStore(dataPath: string) {
  mkdirSync(dataPath, { recursive: true })
  const file = join(dataPath, 'identity-provider.sqlite')
  // Made before SQLite opens it, so that its mode holds for the WAL beside it too.
  closeSync(openSync(file, 'a', 0o600))
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000')
  database.exec(schema)
  const statements = {
    upsert: database.prepare(upsertRecord),
    find: database.prepare(findRecord),
    findByUid: database.prepare(findRecordByUid),
    findSessionBySid: database.prepare(findSessionBySid),
    consume: database.prepare(consumeRecord),
    useRefreshToken: database.prepare(useRefreshToken),
    consumeOthersOfSignIn: database.prepare(consumeOthersOfSignIn),
    destroy: database.prepare(destroyRecord),
    destroyGrant: database.prepare(destroyGrantRecords),
    deleteExpired: database.prepare(deleteExpired),
    deleteBeyondBound: database.prepare(deleteBeyondBound),
    findSecret: database.prepare(findSecret),
    insertSecret: database.prepare(insertSecret),
  }

  function sweep(): void {
    statements.deleteExpired.run({ now: epochSeconds() })
    statements.deleteBeyondBound.run({ model: 'Interaction', bound: maxInteractions })
  }
  sweep()
  const sweeper = setInterval(sweep, sweepIntervalMs).unref()

  function consumeRefreshToken(id: string): boolean {
    const now = epochSeconds()
    const used = statements.useRefreshToken.get({ id, now })
    if (!used) return false
    const { grant_id, nonce, is_first: isFirst } = used
    if (isFirst) statements.consumeOthersOfSignIn.run({ id, now, grant_id: grant_id!, nonce: nonce! })
    return true
  }

  return {
    /** oidc-provider's storage port for one kind of record (its docs: example/my_adapter.js). */
    adapter(model: string): Adapter {
      return {
        async upsert(id, payload, expiresIn) {
          statements.upsert.run({
            model,
            id,
            payload: JSON.stringify(payload),
            grant_id: payload.grantId ?? null,
            uid: payload.uid ?? null,
            expires_at: epochSeconds() + (expiresIn ?? defaultLifetimeSeconds),
          })
        },
        find: async (id) => parsePayload(statements.find.get({ model, id, now: epochSeconds() })),
        findByUid: async (uid) => parsePayload(statements.findByUid.get({ model, uid, now: epochSeconds() })),
        findByUserCode: async () => undefined,
        async consume(id) {
          // The library looks at `consumed` and calls this in two steps: only here can one of many requests win.
          const isWon =
            model === 'RefreshToken'
              ? consumeRefreshToken(id)
              : statements.consume.run({ model, id, now: epochSeconds() }).changes > 0
          if (!isWon) throw new oidc.errors.InvalidGrant('already used')
        },
        async destroy(id) {
          statements.destroy.run({ model, id })
        },
        async revokeByGrantId(grantId) {
          statements.destroyGrant.run({ model, grant_id: grantId })
        },
      }
    },
    /** The session that an application knows by this id, which stands in its ID tokens (`sid`). */
    sessionIdOf(sid: string): string | undefined {
      const row = statements.findSessionBySid.get({ sid, now: epochSeconds() })
      return row && String(row.id)
    },
    /** The secret of this name, made on first use. */
    async secret(name: string, create: () => Promise<string> | string): Promise<string> {
      const found = () => statements.findSecret.get({ name })?.value
      if (found() === undefined) statements.insertSecret.run({ name, value: await create() })
      return String(found())
    },
    close() {
      clearInterval(sweeper)
      database.close()
    },
  }
}

function parsePayload(row: Record<string, unknown> | undefined): AdapterPayload | undefined {
  return row && JSON.parse(String(row.payload))
}

const epochSeconds = () => Math.floor(Date.now() / 1000)
