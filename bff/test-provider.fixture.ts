import type { IncomingMessage, ServerResponse } from 'node:http'

/** An identity provider as the suites see it: the embedded one, or Keycloak with its directory. */
export type TestProvider = {
  /** As tokens name it, and as browsers reach it. */
  issuer: string
  clientId: string
  clientSecret: string
  /** Path of the token endpoint on the fixture's own server. */
  tokenPath: string
  /** What the bff asks of it passes through the fixture's server, so that it can be held, counted and cut off. */
  handler(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Makes the bff known as a client, and begins to answer. */
  register(bff: { url: string; backchannelUrl: string }): Promise<void>
  /** Goes away, as seen from the bff, and comes back. */
  leave(): Promise<void>
  come(): Promise<void>
  /** An account that only this test has, with the password that is its name. */
  createPerson(roles: string[], customerId?: string): Promise<string>
  /** As when somebody leaves: the account can no longer be used. */
  disablePerson(username: string): Promise<void>
  /** As when the directory itself is told to lock it, for good. */
  lockPerson(username: string): Promise<void>
  /** As when their entry is taken out of the directory. */
  deletePerson(username: string): Promise<void>
  removeRole(username: string, role: string): Promise<void>
  /** The session that the browser has at the provider ends there, by its own page. */
  signOutPage: string
  close(): Promise<void>
}

/** What the token endpoint was asked and answered, by grant type. */
export type TokenCall = { grantType: string; status: number }
