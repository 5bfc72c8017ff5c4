import { embeddedOptions } from '@tendon/embedded/options.ts'

/** Of this process, without what it says of servers to attach: the product is to run on its own parts. */
export function ownEnvironment(): Record<string, string> {
  const options = new Set<string>(Object.values(embeddedOptions).map(({ env }) => env))
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => !options.has(entry[0]) && entry[1] !== undefined,
    ),
  )
}
