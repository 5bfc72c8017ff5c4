import { setTimeout as delay } from 'node:timers/promises'
import type { KeyValue, Lease } from '@tendon/platform/key-value.ts'
import { reportsErrors } from '../errors.ts'

/** How one value is found, made and published; `find` gives what `publish` wrote, in whichever instance. */
type FlightWork<Value, Draft> = {
  find(): Promise<Value | undefined>
  compute(): Promise<Draft>
  /** The draft, or what another leader has published before; undefined when that is gone again. */
  publish(draft: Draft): Promise<Value | undefined>
}

export type SingleFlight<Value> = {
  /**
   * The value of this name, computed once however many ask.
   * @throws TENDON-REPORTS-011 when whoever computes it isn't ready within the bound; what `compute` throws
   */
  run<Draft>(name: string, work: FlightWork<Value, Draft>): Promise<Value>
  /** Resolves when what is under way now has ended. */
  settled(): Promise<void>
}

const firstPollMs = 10
const maxPollMs = 40

/** A leader is renewed three times in it: two thirds of it may be lost to a stall before a second one computes too. */
export const leaseTtlMs = 1_000

/**
 * One computation a name: within this process by sharing its promise, across instances by a lease.
 *
 * The lease is short and renewed, so that a leader that died is replaced within `leaseTtlMs`. A leader that
 * was only slow (paused, swapped out) finds its lease lost when it wants to publish, drops its result and takes
 * its successor's. The lease saves work; it cannot order writes, for a leader may also be paused after its last
 * renewal. That only the first result is published is for `publish` to see to.
 */
export function createSingleFlight<Value>(options: {
  keyValue: KeyValue
  /** How long to wait for another instance. */
  waitLimitMs: number
}): SingleFlight<Value> {
  const { keyValue, waitLimitMs } = options
  const flights = new Map<string, Promise<Value>>()

  async function acrossInstances<Draft>(name: string, work: FlightWork<Value, Draft>): Promise<Value> {
    const deadlineMs = performance.now() + waitLimitMs
    for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, maxPollMs)) {
      const lease = await keyValue.acquireLease(leaseKey(name), leaseTtlMs)
      const value = lease ? await lead(lease, work) : await work.find()
      if (value !== undefined) return value
      if (performance.now() > deadlineMs) {
        throw reportsErrors.reportBusy('The report is being computed and was not ready in time.')
      }
      await delay(pollMs)
    }
  }

  /** Undefined when the lease was lost on the way, or what another leader published is gone. */
  async function lead<Draft>(lease: Lease, work: FlightWork<Value, Draft>): Promise<Value | undefined> {
    // A renewal that fails shows when publishing.
    const renewal = setInterval(() => lease.renew().catch(() => false), leaseTtlMs / 3)
    try {
      // The leader before may have published between our look and the end of its lease.
      const found = await work.find()
      if (found !== undefined) return found
      const draft = await work.compute()
      return (await lease.renew()) ? await work.publish(draft) : undefined
    } finally {
      clearInterval(renewal)
      // One that cannot be released ends by itself; the value is no worse for it.
      await lease.release().catch(() => false)
    }
  }

  return {
    run(name, work) {
      const underWay = flights.get(name)
      if (underWay) return underWay
      const flight = acrossInstances(name, work).finally(() => flights.delete(name))
      flights.set(name, flight)
      return flight
    },
    async settled() {
      await Promise.allSettled(flights.values())
    },
  }
}

/** The key under which instances agree on who computes this name. */
export function leaseKey(name: string): string {
  return `tendon:report-lease:${name}`
}
