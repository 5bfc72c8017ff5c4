import type { KeyValue } from '@tendon/platform/key-value.ts'

/** Awaited at these moments: for what is held while something else happens. */
export type StoreHooks = {
  beforeWrite?: ((key: string) => unknown) | undefined
  afterRead?: ((key: string) => unknown) | undefined
}

/** The same store, whose written values are kept for looking at. */
export function observed(keyValue: KeyValue, written: Map<string, string[]>, hooks: StoreHooks): KeyValue {
  async function record(key: string, value: string): Promise<void> {
    written.set(key, [...(written.get(key) ?? []), value])
    await hooks.beforeWrite?.(key)
  }
  return {
    ...keyValue,
    async get(key) {
      const value = await keyValue.get(key)
      await hooks.afterRead?.(key)
      return value
    },
    async set(key, value, options) {
      await record(key, value)
      return keyValue.set(key, value, options)
    },
    async replace(key, expected, value, options) {
      await record(key, value)
      return keyValue.replace(key, expected, value, options)
    },
  }
}
