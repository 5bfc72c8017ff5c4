import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'

const requestTimeoutMs = 30_000
const pollIntervalMs = 100
const stopTimeoutMs = 30_000
/** While the workers rebalance, they answer 409; a connector that was just made is 404 to the others for a moment. */
const rebalanceTimeoutMs = 60_000

const state = z.string()
const statusBody = z.object({
  connector: z.object({ state }),
  tasks: z.array(z.object({ id: z.int(), state, trace: z.string().optional() })),
})
const configBody = z.record(z.string(), z.string())
const offsetsBody = z.object({ offsets: z.array(z.object({ offset: z.record(z.string(), z.unknown()) })) })

export type ConnectorConfig = Record<string, string>
export type ConnectorStatus = {
  /** RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING */
  state: string
  /** Of its one task; undefined before it has any. */
  task: { state: string; trace: string | undefined } | undefined
}

export type Connector = {
  /** undefined when there is no such connector */
  config(): Promise<ConnectorConfig | undefined>
  status(): Promise<ConnectorStatus | undefined>
  /** Makes it. */
  create(config: ConnectorConfig): Promise<void>
  /** Changes it; when this resolves, nothing runs any more as it was before. */
  change(config: ConnectorConfig): Promise<void>
  /** Whether its initial snapshot is over and everything of it is in Kafka. */
  isStreaming(): Promise<boolean>
  restart(): Promise<void>
  /** Lets it go on that was stopped or paused. */
  resume(): Promise<void>
  /** Removes it with its offsets, so that one of its name begins anew. */
  remove(): Promise<void>
}

/** One connector by Kafka Connect's REST interface (Kafka docs, "REST API"; offsets: KIP-875). */
export function createConnector(connectUrl: string, name: string): Connector {
  const url = `${connectUrl.replace(/\/$/, '')}/connectors/${encodeURIComponent(name)}`

  async function call<Body extends z.ZodType>(
    method: string,
    path: string,
    body: Body,
    content?: unknown,
  ): Promise<z.infer<Body> | undefined> {
    const deadline = performance.now() + rebalanceTimeoutMs
    for (;;) {
      const response = await send(method, path, content)
      const text = await response.text()
      if (response.ok) return body.parse(text === '' ? undefined : JSON.parse(text))
      if (response.status === 404) return undefined
      if (response.status !== 409 || performance.now() > deadline) {
        throw cdcErrors.connectRefused(
          `Kafka Connect answered ${response.status} to ${method} of connector ${name}.`,
          { cause: new Error(text) },
        )
      }
      await delay(pollIntervalMs)
    }
  }

  async function send(method: string, path: string, content?: unknown): Promise<Response> {
    try {
      return await fetch(`${url}${path}`, {
        method,
        signal: AbortSignal.timeout(requestTimeoutMs),
        ...(content !== undefined && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(content),
        }),
      })
    } catch (cause) {
      throw cdcErrors.connectUnavailable('Kafka Connect could not be reached.', { cause })
    }
  }

  async function status(): Promise<ConnectorStatus | undefined> {
    const answer = await call('GET', '/status', statusBody)
    const task = answer?.tasks[0]
    return answer && { state: answer.connector.state, task: task && { state: task.state, trace: task.trace } }
  }

  async function untilStopped(): Promise<void> {
    const deadline = performance.now() + stopTimeoutMs
    for (;;) {
      const now = await status()
      if (!now || (now.state === 'STOPPED' && now.task === undefined)) return
      if (performance.now() > deadline) throw cdcErrors.connectRefused(`Connector ${name} does not stop.`)
      await delay(pollIntervalMs)
    }
  }

  return {
    config: () => call('GET', '/config', configBody),
    status,
    async create(config) {
      await call('PUT', '/config', z.unknown(), config)
    },
    async change(config) {
      await call('PUT', '/stop', z.unknown())
      await untilStopped()
      await call('PUT', '/config', z.unknown(), config)
      await call('PUT', '/resume', z.unknown())
    },
    async isStreaming() {
      const answer = await call('GET', '/offsets', offsetsBody)
      const offset = answer?.offsets[0]?.offset
      return offset !== undefined && !('snapshot' in offset)
    },
    async restart() {
      await call('POST', '/restart?includeTasks=true&onlyFailed=true', z.unknown())
    },
    async resume() {
      await call('PUT', '/resume', z.unknown())
    },
    async remove() {
      if (!(await status())) return
      await call('PUT', '/stop', z.unknown())
      await untilStopped()
      await call('DELETE', '/offsets', z.unknown())
      await call('DELETE', '', z.unknown())
    },
  }
}
