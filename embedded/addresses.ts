import type { EmbeddedConfig } from './options.ts'

export type Addresses = {
  /** What browsers use, without a slash at the end. */
  publicUrl: string
  /** Where this process reaches its own public port. */
  loopbackUrl: string
  reportsServiceUrl: string
}

/** All addresses of interfaces, and the one of them at which this machine reaches itself. */
const wildcards: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** @param ports those that were found free */
export function chooseAddresses(
  config: Pick<EmbeddedConfig, 'host' | 'publicUrl'>,
  ports: { public: number; reports: number },
): Addresses {
  const { host } = config
  const own = wildcards[host] ?? host
  const isLoopback = own === '127.0.0.1' || own === '::1'
  const loopbackUrl = `http://${own.includes(':') ? `[${own}]` : own}:${ports.public}`
  return {
    publicUrl: config.publicUrl ?? (isLoopback ? `http://localhost:${ports.public}` : loopbackUrl),
    loopbackUrl,
    reportsServiceUrl: `http://127.0.0.1:${ports.reports}`,
  }
}
