import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Log } from '@tendon/platform/log.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { createIdentityProvider, type IdentityProvider } from './identity-provider/identity-provider.ts'
import type { Person } from './identity-provider/people.ts'
import type { TestProvider } from './test-provider.fixture.ts'

const demo: Person[] = [
  ...(['alice', 'bob'] as const).map((username) => ({
    username,
    password: username,
    // As it must be escaped on a page.
    name: `${demoPeople[username].fullName} <Patient>`,
    email: demoPeople[username].email,
    customerId: demoPeople[username].customerId,
    roles: ['patient'],
  })),
  {
    username: 'staff',
    password: 'staff',
    name: 'Staff',
    email: 'staff@example.com',
    customerId: null,
    roles: ['report-admin'],
  },
]
export const secrets = { bff: 'secret-of-the-bff', cdc: 'secret-of-cdc' }

export type EmbeddedTestProvider = TestProvider & {
  /** Starts again, with the same files. */
  restart(options?: { demoPasswordsShown?: boolean }): Promise<void>
  /** The refresh tokens that it knows, read from its file: there a record's id is the token. */
  refreshTokens(): string[]
}

/** The embedded provider, at `/idp` of an origin. */
export async function openEmbeddedTestProvider(origin: string, log: Log): Promise<EmbeddedTestProvider> {
  const dataPath = await mkdtemp(join(tmpdir(), 'tendon-bff-'))
  const issuer = `${origin}/idp`
  // Changed in place: the provider looks at it with every refresh, as one does that asks a directory.
  const people = structuredClone(demo)
  let client: { url: string; backchannelUrl: string } | undefined
  let provider: IdentityProvider | undefined

  async function start(options: { demoPasswordsShown?: boolean } = {}): Promise<void> {
    if (!client) throw new Error('no bff is registered')
    provider = createIdentityProvider({
      issuer,
      dataPath,
      clients: [
        {
          clientId: 'bff',
          clientSecret: secrets.bff,
          redirectUris: [`${client.url}/callback`],
          postLogoutRedirectUris: [`${client.url}/`],
          backchannelLogoutUri: `${client.backchannelUrl}/auth/backchannel-logout`,
        },
        { clientId: 'tendon-cdc', clientSecret: secrets.cdc, roles: ['report-invalidator'] },
      ],
      people,
      log,
      demoPasswordsShown: options.demoPasswordsShown ?? true,
    })
    await provider.start()
  }
  const stop = async () => provider?.stop()

  async function removePerson(username: string): Promise<void> {
    const at = people.findIndex((person) => person.username === username)
    people.splice(at, 1)
  }

  return {
    issuer,
    clientId: 'bff',
    clientSecret: secrets.bff,
    tokenPath: '/idp/token',
    async handler(request, response) {
      if (provider) await provider.handler(request, response)
      else response.writeHead(503).end()
    },
    async register(bff) {
      client = bff
      await start()
    },
    leave: stop,
    come: start,
    async restart(options) {
      await stop()
      await start(options)
    },
    async createPerson(roles, customerId = randomUUID()) {
      const username = `person-${randomUUID().slice(0, 8)}`
      people.push({
        username,
        password: username,
        name: 'Somebody Else',
        email: `${username}@example.com`,
        customerId,
        roles,
      })
      return username
    },
    // Its people have no other way to be disabled.
    disablePerson: removePerson,
    lockPerson: removePerson,
    deletePerson: removePerson,
    async removeRole(username, role) {
      const person = people.find((candidate) => candidate.username === username)!
      person.roles = person.roles.filter((candidate) => candidate !== role)
    },
    signOutPage: `${issuer}/session/end?client_id=bff`,
    refreshTokens() {
      const database = new DatabaseSync(join(dataPath, 'identity-provider.sqlite'), { readOnly: true })
      const rows = database.prepare("SELECT id FROM record WHERE model = 'RefreshToken'").all()
      database.close()
      return rows.map(({ id }) => String(id))
    },
    async close() {
      await stop()
      await rm(dataPath, { recursive: true, force: true })
    },
  }
}
