import { subscribe } from 'node:diagnostics_channel'

/** Loaded into a process of the service: tells its parent of each request that has arrived. */
subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: { url: string } }
  process.send?.(request.url)
})
