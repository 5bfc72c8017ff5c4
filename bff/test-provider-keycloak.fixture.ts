import { randomUUID } from 'node:crypto'
import { Attribute, Change, Client } from 'ldapts'
import { z } from 'zod'
import type { TestProvider } from './test-provider.fixture.ts'

const environment = z.object({
  OIDC_ISSUER: z.url(),
  OIDC_BFF_SECRET: z.string(),
  KEYCLOAK_ADMIN_USER: z.string(),
  KEYCLOAK_ADMIN_PASSWORD: z.string(),
  LDAP_URL: z.url(),
  LDAP_DIRECTORY_PASSWORD: z.string(),
})

const base = 'dc=tendon,dc=example'
const personName = (username: string) => `uid=${username},ou=people,${base}`
const groupName = (role: string) => `cn=${role},ou=groups,${base}`

export type KeycloakTestProvider = TestProvider & { changeClientSecret(secret: string): Promise<void> }

/**
 * The stack's Keycloak and OpenLDAP, which suites share: each has a client of its own, made like the one of
 * deploy/keycloak/tendon-realm.json, and changes only people that it made.
 */
export async function openKeycloakTestProvider(): Promise<KeycloakTestProvider> {
  const env = environment.parse(process.env)
  const issuer = env.OIDC_ISSUER
  const { origin, pathname } = new URL(issuer)
  const clientId = `bff-${randomUUID()}`
  const admin = await openAdmin(origin, env)
  const directory = new Client({ url: env.LDAP_URL })
  await directory.bind(`cn=directory,ou=services,${base}`, env.LDAP_DIRECTORY_PASSWORD)
  const made = new Set<string>()
  let isAway = false

  async function changeGroup(role: string, operation: 'add' | 'delete', username: string): Promise<void> {
    const modification = new Attribute({ type: 'member', values: [personName(username)] })
    await directory.modify(groupName(role), new Change({ operation, modification }))
  }

  async function changePerson(username: string, type: string, value: string): Promise<void> {
    const modification = new Attribute({ type, values: [value] })
    await directory.modify(personName(username), new Change({ operation: 'replace', modification }))
  }

  async function deletePerson(username: string): Promise<void> {
    // OpenLDAP leaves members in its groups that are no more.
    for (const role of ['patient', 'report-admin'])
      await changeGroup(role, 'delete', username).catch(() => {})
    await directory.del(personName(username))
    made.delete(username)
  }

  return {
    issuer,
    clientId,
    clientSecret: env.OIDC_BFF_SECRET,
    tokenPath: `${pathname}/protocol/openid-connect/token`,
    async handler(request, response) {
      if (isAway) {
        request.socket.destroy()
        return
      }
      const {
        host: _host,
        connection: _connection,
        'transfer-encoding': _encoding,
        ...headers
      } = request.headers
      const body =
        request.method === 'POST'
          ? await z.instanceof(Buffer).parseAsync(Buffer.concat(await Array.fromAsync(request)))
          : null
      const answer = await fetch(origin + request.url, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        body: body && new Uint8Array(body),
        redirect: 'manual',
      })
      const content = Buffer.from(await answer.arrayBuffer())
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? 'text/plain',
      })
      response.end(content)
    },
    register: ({ url, backchannelUrl }) => admin.createClient(clientId, url, backchannelUrl),
    async leave() {
      isAway = true
    },
    async come() {
      isAway = false
    },
    async createPerson(roles, customerId = randomUUID()) {
      const username = `person-${randomUUID().slice(0, 8)}`
      await directory.add(personName(username), {
        objectClass: 'inetOrgPerson',
        uid: username,
        cn: 'Somebody Else',
        givenName: 'Somebody',
        sn: 'Else',
        mail: `${username}@example.com`,
        employeeNumber: customerId,
        businessCategory: 'TRUE',
        userPassword: username,
      })
      made.add(username)
      for (const role of roles) await changeGroup(role, 'add', username)
      return username
    },
    disablePerson: (username) => changePerson(username, 'businessCategory', 'FALSE'),
    // Locked for good (draft-behera-ldap-password-policy-10 §5.3.3).
    lockPerson: (username) => changePerson(username, 'pwdAccountLockedTime', '000001010000Z'),
    deletePerson,
    removeRole: (username, role) => changeGroup(role, 'delete', username),
    signOutPage: `${issuer}/protocol/openid-connect/logout?client_id=${clientId}`,
    changeClientSecret: (secret) => admin.updateClient(clientId, { secret }),
    async close() {
      await admin.deleteClient(clientId)
      for (const username of made) await deletePerson(username)
      await directory.unbind()
    },
  }
}

/** Keycloak's Admin REST API, as far as clients are made by it. */
async function openAdmin(origin: string, env: z.infer<typeof environment>) {
  const clients = `${origin}/admin/realms/tendon/clients`

  async function call(method: string, url: string, body?: unknown): Promise<unknown> {
    // Anew each time: the admin's tokens live a minute.
    const answered = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'admin-cli',
        username: env.KEYCLOAK_ADMIN_USER,
        password: env.KEYCLOAK_ADMIN_PASSWORD,
      }),
    })
    const { access_token: token } = z.object({ access_token: z.string() }).parse(await answered.json())
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  const allNamed = async (clientId: string) =>
    z.array(z.looseObject({ id: z.string() })).parse(await call('GET', `${clients}?clientId=${clientId}`))
  const named = async (clientId: string) => (await allNamed(clientId))[0]!

  return {
    /** Like `bff`, with addresses of its own. */
    async createClient(clientId: string, url: string, backchannelUrl: string): Promise<void> {
      const { id, baseUrl, attributes, protocolMappers, ...template } = z
        .looseObject({
          id: z.string(),
          baseUrl: z.string().optional(),
          attributes: z.record(z.string(), z.string()),
          protocolMappers: z.array(z.looseObject({ id: z.string() })),
        })
        .parse(await named('bff'))
      const scopes = await call('GET', `${clients}/${id}/scope-mappings/realm`)
      await call('POST', clients, {
        ...template,
        clientId,
        secret: env.OIDC_BFF_SECRET,
        ...(baseUrl && { baseUrl: `${url}${new URL(baseUrl).pathname}` }),
        redirectUris: [`${url}/callback`],
        attributes: {
          ...attributes,
          'post.logout.redirect.uris': `${url}/`,
          'backchannel.logout.url': `${backchannelUrl}/auth/backchannel-logout`,
        },
        protocolMappers: protocolMappers.map(({ id: _id, ...mapper }) => mapper),
      })
      const created = await named(clientId)
      await call('POST', `${clients}/${created.id}/scope-mappings/realm`, scopes)
    },
    async updateClient(clientId: string, changes: object): Promise<void> {
      await call('PUT', `${clients}/${(await named(clientId)).id}`, { clientId, ...changes })
    },
    /** One that was not made is as good as gone. */
    async deleteClient(clientId: string): Promise<void> {
      for (const { id } of await allNamed(clientId)) await call('DELETE', `${clients}/${id}`)
    },
  }
}
