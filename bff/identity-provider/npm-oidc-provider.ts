/**
 * npm oidc-provider, without its word on the runtime: of a Node that has not become an LTS release yet it writes to the
 * terminal that it is not supported (lib/index.js). The version that everything here is tested on comes with the project.
 */
const { warn } = console
console.warn = (...said: unknown[]) => {
  if (!String(said[0]).includes('Unsupported runtime')) warn(...said)
}

export const oidc = await import('oidc-provider').finally(() => {
  console.warn = warn
})
