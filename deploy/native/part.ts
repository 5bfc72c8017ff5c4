import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One server of the stack. */
export type Part = {
  name: string
  /** Where it listens on 127.0.0.1. */
  port: number
  /** Parts that must be ready before this one starts. */
  needs?: readonly string[]
  /** It is told where browsers reach Tendon (`webOrigin`), and is started anew when that has changed. */
  usesWebOrigin?: boolean
  /** Makes the program and its files available: installs, builds, formats. Safe to repeat. */
  prepare(): Promise<Command> | Command
  /** Whether it serves; a part without it is ready when its port accepts connections. */
  ready?(): Promise<boolean>
  /** A new one dies at once as long as what a killed one has left behind has not ended: it is tried again for this long. */
  lingersMs?: number
  /** What it takes at most to be ready, once its program is there. */
  startTimeoutMs?: number
  /** Once, after it has become ready: databases, buckets, users. Safe to repeat, wherever it was cut. */
  initialize?(): Promise<void>
  /** What a client of this part sets. */
  exports(): Record<string, string>
}

export type Command = {
  program: string
  args: string[]
  env?: Record<string, string>
  cwd?: string
  uid?: number
  gid?: number
}

/** Downloads and builds, kept from run to run. */
export const cache =
  process.env.TENDON_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tendon')

/** Data, logs and pids of the running stack; gone when it is down. */
export const runFolder = process.env.TENDON_STACK_DIR ?? join(cache, 'stack')

const { TENDON_STACK_PORT_OFFSET: portOffset = '0' } = process.env

/** With which the highest of its ports is still one. */
export const maxPortOffset = 45_000
export const isPortOffset = /^\d{1,5}$/.test(portOffset) && Number(portOffset) <= maxPortOffset

/** A port of this stack: several stacks live side by side with another TENDON_STACK_PORT_OFFSET each. */
export const portOf = (base: number): number => base + Number(portOffset)

const { TENDON_STACK_START_TIMEOUT_S: startTimeoutText } = process.env
/** In place of each part's own bound, on a machine that is slower than those it was set by. */
export const startTimeoutMs = startTimeoutText ? Number(startTimeoutText) * 1_000 : undefined
export const isStartTimeout = startTimeoutMs === undefined || startTimeoutMs > 0

/** Where browsers reach the Tendon that uses the stack: the provider sends them back there, and the CDN lets its pages read. */
export const webOrigin = process.env.TENDON_STACK_WEB_ORIGIN ?? 'http://localhost:8080'

export const logFile = (name: string) => join(runFolder, `${name}.log`)

/** A file of deploy/, which compose mounts too. */
export const deployFile = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** Whether a URL answers with a status of success. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}
